/**
 * A function that does what a test of the platform asks for.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- the platform's log is what the test looks at
declare const EdgeRuntime: { waitUntil<T>(work: Promise<T>): Promise<T> };

const id = crypto.randomUUID();
const held: Uint8Array[] = [];
globalThis.addEventListener("beforeunload", (event) => {
  console.error(`beforeunload: ${(event as CustomEvent).detail.reason}`);
});

async function burn(): Promise<never> {
  while (true) {
    for (const end = performance.now() + 50; performance.now() < end;);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

async function fill(): Promise<never> {
  while (true) {
    held.push(new Uint8Array(16 * 1024 * 1024).fill(1));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

Deno.serve((request) => {
  const asked = new URL(request.url).searchParams.get("do");
  if (asked === "burn") EdgeRuntime.waitUntil(burn());
  if (asked === "fill") EdgeRuntime.waitUntil(fill());
  if (asked === "wait") EdgeRuntime.waitUntil(new Promise((resolve) => setTimeout(resolve, 1e6)));
  if (asked === "crash") return new Promise(() => setTimeout(() => Deno.exit(1), 10));
  return Response.json({ id, path: new URL(request.url).pathname });
});
