/**
 * One isolate of the hosted platform, played by a process: runs a function's own front door with what the
 * platform adds (`EdgeRuntime`, `beforeunload`) and without what it takes away. `hosted_platform.ts`
 * starts it, speaks to it over stdin and stdout, and kills it.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- stdout is the line to the platform
import process from "node:process";

/** Between two reports of memory and of pending work. */
const REPORT_MS = 200;

/** What the runtime of hosted functions does not have. */
const ABSENT = ["rename", "copyFile", "truncate", "symlink", "chmod", "Command", "dlopen"];

const pending = new Set<Promise<unknown>>();

function say(message: Record<string, unknown>): void {
  console.log(JSON.stringify(message));
}

function report(): void {
  const { heapUsed, external } = Deno.memoryUsage();
  say({ memoryBytes: heapUsed + external, pending: pending.size });
}

/** Plays an isolate; `load` runs the function's front door. */
export async function play(load: () => Promise<unknown>): Promise<void> {
  say({ began: true });
  addRuntime();
  takeAway();
  const serve = Deno.serve;
  Object.defineProperty(Deno, "serve", {
    value: (handler: Deno.ServeHandler) =>
      serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => say({ port }) }, handler),
  });
  setInterval(report, REPORT_MS);
  await load();
  await hear();
}

function addRuntime(): void {
  const globals = globalThis as Record<string, unknown>;
  globals.EdgeRuntime = {
    waitUntil(work: Promise<unknown>) {
      pending.add(work);
      const settled = () => {
        pending.delete(work);
        report();
      };
      report();
      work.then(settled, (error) => {
        settled();
        console.error("waitUntil was given a promise that failed:", error);
      });
      return work;
    },
  };
}

function takeAway(): void {
  // The target runtime has no clock of the thread, whatever this Deno has.
  (process as { threadCpuUsage?: unknown }).threadCpuUsage = undefined;
  if (Deno.env.get("SB_EXECUTION_ID") === undefined) return;
  for (const name of ABSENT) delete (Deno as unknown as Record<string, unknown>)[name];
  delete (globalThis as Record<string, unknown>).Worker;
}

/** Dispatches what the platform says. */
async function hear(): Promise<void> {
  const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
  for await (const text of lines) {
    for (const reason of text.split("\n").filter((line) => line !== "")) {
      globalThis.dispatchEvent(
        new CustomEvent("beforeunload", { cancelable: true, detail: { reason } }),
      );
    }
  }
}
