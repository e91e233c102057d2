/**
 * A way to a server that breaks when told to: the connection is gone without a word from either side.
 *
 * @module
 */

/** Which way the bytes go. */
export type Direction = "to-client" | "to-server";

/** See the module. */
export interface CuttingProxy extends AsyncDisposable {
  /** The same address by way of the proxy. */
  url: string;
  /** Cuts the first connection that from now on passes so many bytes in one direction; says when. */
  cutAfter(bytes: number, direction: Direction): Promise<void>;
}

interface Plan {
  bytes: number;
  direction: Direction;
  done: () => void;
}

/** Opens it in front of the server of a database address. */
export function cuttingProxy(url: string): CuttingProxy {
  const target = new URL(url);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  let plan: Plan | null = null;

  const pump = async (from: Deno.Conn, to: Deno.Conn, direction: Direction) => {
    const buffer = new Uint8Array(16_384);
    let counted: Plan | null = null;
    let passed = 0;
    try {
      for (let read; (read = await from.read(buffer)) !== null;) {
        if (plan !== counted) [counted, passed] = [plan, 0];
        passed += read;
        if (plan !== null && plan.direction === direction && passed >= plan.bytes) {
          plan.done();
          plan = null;
          return;
        }
        for (let at = 0; at < read;) at += await to.write(buffer.subarray(at, read));
      }
    } catch {
      // One of the two has gone: so has the other, in a moment.
    } finally {
      for (const end of [from, to]) close(end);
    }
  };
  const close = (end: Deno.Conn) => {
    if (open.delete(end)) end.close();
  };
  const accept = async () => {
    for await (const client of listener) {
      const server = await Deno.connect({ hostname: target.hostname, port: Number(target.port) });
      open.add(client).add(server);
      pump(client, server, "to-server");
      pump(server, client, "to-client");
    }
  };
  const accepting = accept().catch(() => {}); // the listener is closed
  const through = new URL(url);
  through.port = String((listener.addr as Deno.NetAddr).port);
  return {
    url: through.href,
    cutAfter(bytes, direction) {
      const { promise, resolve } = Promise.withResolvers<void>();
      plan = { bytes, direction, done: resolve };
      return promise;
    },
    async [Symbol.asyncDispose]() {
      listener.close();
      await accepting;
      for (const end of open) close(end);
    },
  };
}
