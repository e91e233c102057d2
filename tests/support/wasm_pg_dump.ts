/**
 * pg_dump from npm, for machines that have none: WebAssembly in a worker, its socket in this thread.
 *
 * @module
 */
import { type DumpWord, HEADER_BYTES, LENGTH, STATE } from "./wasm_pg_dump_worker.ts";

/** Major version of PostgreSQL that this pg_dump belongs to; it dumps older servers as well. */
export const WASM_PG_DUMP_MAJOR = 18;

const DATA_BYTES = 256 * 1024;

/**
 * A dump that has not moved for so long is given up: one was seen, in a run of all tests, whose worker still waited
 * for bytes a quarter of an hour after they had come. Why is not known; it is made again, by another worker.
 */
const STALLED_MS = 30_000;
const TRIES = 3;

/** Workers that have the module compiled; they end with the process. */
const idle: Worker[] = [];

/**
 * Dumps definitions and rows, rows as INSERT statements.
 *
 * @param url of a database whose server trusts the role `postgres`; this pg_dump knows no other role
 * @returns the dump, each byte as the character of its number
 * @throws {Error} with what pg_dump says
 */
export async function wasmPgDump(url: string, args: readonly string[]): Promise<string> {
  for (let tries = 1;; tries++) {
    try {
      return await dumpOnce(url, args);
    } catch (error) {
      if (!(error instanceof Stalled) || tries === TRIES) throw error;
    }
  }
}

/** The dump does not move any more. */
class Stalled extends Error {}

async function dumpOnce(url: string, args: readonly string[]): Promise<string> {
  const { hostname, port, pathname } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port || 5432) });
  const worker = idle.pop() ?? new Worker(new URL("./wasm_pg_dump_worker.ts", import.meta.url), {
    type: "module",
  });
  let stalled: ReturnType<typeof setTimeout> | undefined;
  try {
    const dump = await new Promise<string>((resolve, reject) => {
      const moves = () => {
        clearTimeout(stalled);
        stalled = setTimeout(() => reject(new Stalled("pg_dump stands still")), STALLED_MS);
      };
      moves();
      const database = decodeURIComponent(pathname.slice(1));
      const shared = new SharedArrayBuffer(HEADER_BYTES + DATA_BYTES);
      const relay = new Relay(connection, shared);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(`pg_dump stopped: ${event.message}`));
      };
      worker.onmessage = ({ data: word }: MessageEvent<DumpWord>) => {
        moves();
        if (word.kind === "done") resolve(word.dump);
        else if (word.kind === "failed") reject(new Error(word.reason));
        else relay.take(word).catch(reject);
      };
      worker.postMessage({ args: [...args, "--dbname", database], shared });
    });
    idle.push(worker);
    return dump;
  } catch (error) {
    worker.terminate();
    throw error;
  } finally {
    clearTimeout(stalled);
    connection.close();
  }
}

/** Passes bytes on in the order in which the worker asked for it. */
class Relay {
  readonly #connection: Deno.TcpConn;
  readonly #state: Int32Array;
  readonly #data: Uint8Array;
  #last: Promise<void> = Promise.resolve();

  constructor(connection: Deno.TcpConn, shared: SharedArrayBuffer) {
    this.#connection = connection;
    this.#state = new Int32Array(shared, 0, 2);
    this.#data = new Uint8Array(shared, HEADER_BYTES);
  }

  take(word: Extract<DumpWord, { kind: "write" | "read" }>): Promise<void> {
    this.#last = this.#last.then(() =>
      word.kind === "write" ? this.#write(word.bytes) : this.#read()
    );
    return this.#last;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      at += await this.#connection.write(bytes.subarray(at));
    }
  }

  async #read(): Promise<void> {
    const chunk = new Uint8Array(DATA_BYTES);
    const length = await this.#connection.read(chunk) ?? -1;
    if (length > 0) this.#data.set(chunk.subarray(0, length));
    Atomics.store(this.#state, LENGTH, length);
    Atomics.store(this.#state, STATE, 1);
    Atomics.notify(this.#state, STATE);
  }
}
