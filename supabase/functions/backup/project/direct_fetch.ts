/**
 * Reading objects without the runtime's `fetch`, for two reasons. It undoes a content's own compression, so
 * that what an application stored compressed comes as other bytes than were stored, and nothing can ask it
 * not to. And a request costs a third of its CPU time, on both sides, which counts for hosts that read many
 * small objects.
 *
 * @module
 */
import { type Answer, ConnectionEnded } from "./http_answer.ts";
import { HttpConnection } from "./http_connection.ts";

/** What is asked, as `fetch` takes it. */
export interface FetchInit {
  /** @default "GET" */
  method?: string;
  headers: Record<string, string>;
  body?: BodyInit;
  /** No redirection is followed. */
  redirect: "manual";
  signal: AbortSignal;
}

/** `fetch`, or what is used in its place. */
export type Fetch = (url: string, init: FetchInit) => Promise<Answer>;

/** Connections that wait for the next request, of each server. */
const KEPT = 16;

/** Most small files fit into it. */
const ROOM_BYTES = 64 * 1024;
const MOST_FREE = 64;

/** Asks without a connection that is kept. Only for reading. */
export const fetchOnce: Fetch = async (url, init) =>
  await new DirectFetch({ kept: 0 }).get(url, init);

/**
 * The runtime's `fetch` for objects. What it has undone the compression of is asked for once more, as it is
 * stored: old runtimes then leave out the length, new ones leave it and the name of the compression. Not behind a proxy, which only the runtime goes by: whoever
 * knows another size then finds the difference.
 */
export const fetchAsStored: Fetch = async (url, init) => {
  const response = await fetch(url, init);
  const { headers } = response;
  const isAsStored = headers.has("content-length") && !headers.has("content-encoding");
  if (!response.ok || isAsStored || isByProxy()) return response;
  await response.body?.cancel();
  return await fetchOnce(url, init);
};

/** Whether the environment names a proxy. The runtime goes by it and knows of its exceptions; nothing here does. */
export function isByProxy(): boolean {
  return ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"]
    .some((name) => Deno.env.get(name) || Deno.env.get(name.toLowerCase()));
}

/** Keeps connections open, which whoever makes it must close. */
export class DirectFetch {
  readonly #kept: number;
  readonly #bodies = new Bodies();
  readonly #idle = new Map<string, HttpConnection[]>();
  #isClosed = false;

  constructor({ kept = KEPT }: { kept?: number } = {}) {
    this.#kept = kept;
  }

  /** As `fetch`. What is more than reading is left to the runtime. */
  readonly fetch: Fetch = async (url, init) =>
    /^(GET|HEAD)$/.test(init.method ?? "GET") ? await this.get(url, init) : await fetch(url, init);

  /** @throws what `fetch` throws where there is no answer, and the signal's reason */
  async get(address: string, { method = "GET", headers, signal }: FetchInit): Promise<Answer> {
    const [, origin = "", host = "", path = ""] = /^(https?:\/\/([^/?#]+))([^#]*)/.exec(address) ??
      [];
    if (!/^[\x21-\x7e]*$/.test(path)) throw new TypeError("Cannot ask: the address is not encoded");
    const request = requestOf(`${method} ${path || "/"} HTTP/1.1`, { host, ...headers });
    for (;;) {
      const kept = this.#idle.get(origin)?.pop();
      const connection = kept ?? await connect(new URL(origin), signal);
      const onRead = () => this.#keep(origin, connection);
      try {
        return await connection.ask(request, {
          ...{ isHead: method === "HEAD", signal, onRead },
          room: (bytes) => this.#bodies.take(bytes),
        });
      } catch (error) {
        // The server may end a connection that waits at any time, also while a request is on its way.
        if (kept === undefined || signal.aborted || !isOfAnEndedOne(error)) throw error;
      }
    }
  }

  /** Takes back what `bytes()` of an answer gave, for the next ones. */
  readonly recycle = (bytes: Uint8Array): void => this.#bodies.give(bytes);

  /** Ends the connections that wait; those in use end with their answers. */
  close(): void {
    this.#isClosed = true;
    for (const connection of [...this.#idle.values()].flat()) connection.close();
    this.#idle.clear();
  }

  #keep(origin: string, connection: HttpConnection): void {
    const idle = this.#idle.get(origin) ?? [];
    if (this.#isClosed || idle.length >= this.#kept) return connection.close();
    idle.push(connection);
    this.#idle.set(origin, idle);
  }
}

/**
 * Room for bodies that is used again: thousands of new buffers a second would make the garbage collector run
 * all the time.
 */
class Bodies {
  readonly #free: ArrayBuffer[] = [];

  take(bytes: number): Uint8Array {
    const room = bytes > ROOM_BYTES
      ? new ArrayBuffer(bytes)
      : this.#free.pop() ?? new ArrayBuffer(ROOM_BYTES);
    return new Uint8Array(room, 0, bytes);
  }

  give({ buffer }: Uint8Array): void {
    const isRoom = buffer.byteLength === ROOM_BYTES && buffer instanceof ArrayBuffer;
    if (isRoom && this.#free.length < MOST_FREE) this.#free.push(buffer);
  }
}

async function connect({ protocol, hostname, port }: URL, signal: AbortSignal) {
  signal.throwIfAborted();
  const isSafe = protocol === "https:";
  const place = {
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port || (isSafe ? 443 : 80)),
  };
  const opening: Promise<Deno.TcpConn | Deno.TlsConn> = isSafe
    ? Deno.connectTls(place)
    : Deno.connect(place);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const giveUp = () => {
    reject(signal.reason);
    opening.then((late) => late.close(), () => {}); // nobody waits for it any more
  };
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    return new HttpConnection(await Promise.race([opening, aborted]));
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

const encoder = new TextEncoder();

/** @throws {TypeError} for a value that would end its line */
function requestOf(first: string, headers: Record<string, string>): Uint8Array {
  let text = first;
  for (const name in headers) text += `\r\n${name}: ${fitting(headers[name]!)}`;
  return encoder.encode(`${text}\r\n\r\n`);
}

function fitting(value: string): string {
  if (/^[\t\x20-\x7e]*$/.test(value)) return value;
  throw new TypeError("Cannot ask: a header has characters that none may have");
}

function isOfAnEndedOne(error: unknown): boolean {
  return error instanceof ConnectionEnded || error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.ConnectionAborted;
}
