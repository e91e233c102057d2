/**
 * Somebody who is told: an HTTP server that keeps what was posted to it and answers as a test says.
 *
 * @module
 */

/** How long a message may take; more than any machine that is busy with other tests needs. */
const PATIENCE_MS = 60_000;

/** A request that came. */
export interface Received {
  path: string;
  headers: Headers;
  text: string;
  // deno-lint-ignore no-explicit-any -- tests look at bodies field by field
  body: any;
}

/** A receiver; disposing stops it. */
export interface Receiver extends AsyncDisposable {
  url: string;
  received: Received[];
  /** What is answered next, once each; afterwards 200. A function may also hang or break off. */
  answers: (number | (() => Response | Promise<Response>))[];
  /** Waits until so many requests have come. @throws when they do not come */
  until(count: number): Promise<void>;
}

/** Starts one on this machine. */
export function startReceiver(): Receiver {
  const received: Received[] = [];
  const answers: Receiver["answers"] = [];
  let arrived = Promise.withResolvers<void>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const text = await request.text();
    const body = (request.headers.get("content-type") ?? "").includes("json")
      ? JSON.parse(text)
      : null;
    received.push({ path: new URL(request.url).pathname, headers: request.headers, text, body });
    arrived.resolve();
    arrived = Promise.withResolvers();
    const answer = answers.shift() ?? 200;
    return typeof answer === "number" ? new Response("answer", { status: answer }) : await answer();
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    received,
    answers,
    async until(count) {
      const { promise: tired, reject } = Promise.withResolvers<never>();
      const patience = setTimeout(
        () => reject(new Error(`only ${received.length} of ${count} messages came`)),
        PATIENCE_MS,
      );
      try {
        while (received.length < count) await Promise.race([arrived.promise, tired]);
      } finally {
        clearTimeout(patience);
      }
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
