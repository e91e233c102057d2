/**
 * A storage in memory, served as S3 is, for repositories too large for the test server of `s3_server.ts`:
 * a listing costs what it answers, however many objects there are. Signatures are not checked.
 *
 * @module
 */
import {
  type MemoryStorage,
  memoryStorage,
} from "../../supabase/functions/backup/storage/memory.ts";
import type { S3Server } from "./s3_server.ts";

/** A running server; `storage` is what it serves as the bucket `backups`. */
export interface MemoryS3Server extends S3Server {
  storage: MemoryStorage;
}

const PAGE = 1000;

/** Starts a server on a free port of this machine. @param storage what it has already */
export function startMemoryS3Server(storage: MemoryStorage = memoryStorage()): MemoryS3Server {
  const { objects } = storage;
  const names = new SortedNames(objects.keys());
  const ending = new AbortController();
  let calls = 0;

  const listener = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, signal: ending.signal },
    async (request) => {
      calls += 1;
      const url = new URL(request.url);
      const key = decodeURIComponent(url.pathname).replace(/^\/backups\/?/, "");
      const body = new Uint8Array(await request.arrayBuffer());
      if (key === "") return list(url.searchParams);
      if (request.method === "PUT") return put(key, body, request.headers);
      if (request.method === "DELETE") {
        if (objects.delete(key)) names.delete(key);
        return new Response(null, { status: 204 });
      }
      return read(key, request);
    },
  );

  function list(query: URLSearchParams): Response {
    const prefix = query.get("prefix") ?? "";
    const { page, next } = names.page(prefix, query.get("continuation-token"));
    const contents = page.map((key) => {
      const { body, modifiedAt } = objects.get(key)!;
      return `<Contents><Key>${key}</Key><LastModified>${modifiedAt.toISOString()}</LastModified>` +
        `<ETag>&quot;00000000000000000000000000000000&quot;</ETag><Size>${body.length}</Size>` +
        "<StorageClass>STANDARD</StorageClass></Contents>";
    });
    const token = next === null ? "" : `<NextContinuationToken>${next}</NextContinuationToken>`;
    return xml(
      `<ListBucketResult><IsTruncated>${next !== null}</IsTruncated>${contents.join("")}` +
        `${token}</ListBucketResult>`,
    );
  }

  function put(key: string, body: Uint8Array, headers: Headers): Response {
    if (objects.has(key)) {
      if (headers.get("if-none-match") === "*") return refusal(412, "PreconditionFailed");
    } else names.add(key);
    objects.set(key, { body, modifiedAt: new Date() });
    return new Response(null, { headers: { etag: '"e"' } });
  }

  function read(key: string, { method, headers }: Request): Response {
    const object = objects.get(key);
    if (object === undefined) {
      return method === "HEAD" ? new Response(null, { status: 404 }) : refusal(404, "NoSuchKey");
    }
    const { body, modifiedAt } = object;
    const range = /^bytes=(\d+)-(\d*)$/.exec(headers.get("range") ?? "");
    const part = range === null
      ? body
      : body.subarray(Number(range[1]), range[2] ? Number(range[2]) + 1 : body.length);
    return new Response(method === "HEAD" ? null : part as BodyInit, {
      status: range === null ? 200 : 206,
      headers: {
        "content-length": String(part.length),
        "last-modified": modifiedAt.toUTCString(),
      },
    });
  }

  return {
    storage,
    endpoint: `http://127.0.0.1:${listener.addr.port}`,
    credentials: { AWS_ACCESS_KEY_ID: "memory", AWS_SECRET_ACCESS_KEY: "memory" },
    calls: () => calls,
    storedBytes: () =>
      Promise.resolve([...objects.values()].reduce((sum, { body }) => sum + body.length, 0)),
    async close() {
      ending.abort(); // an orderly end would wait for connections that the client keeps
      await listener.finished;
    },
  };
}

/** Names in order; what is added late is put in its place when the next page is asked for. */
class SortedNames {
  #sorted: string[];
  #isSorted = false;

  constructor(names: Iterable<string>) {
    this.#sorted = [...names];
  }

  add(name: string): void {
    this.#sorted.push(name);
    this.#isSorted = false;
  }

  delete(name: string): void {
    const at = this.#isSorted ? this.#from(name) : this.#sorted.indexOf(name);
    this.#sorted.splice(at, 1);
  }

  /** @param after the name behind which the page begins */
  page(prefix: string, after: string | null): { page: string[]; next: string | null } {
    if (!this.#isSorted) this.#sorted.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    this.#isSorted = true;
    let at = this.#from(after ?? prefix);
    if (after !== null && this.#sorted[at] === after) at++;
    const page: string[] = [];
    while (page.length < PAGE && this.#sorted[at]?.startsWith(prefix)) {
      page.push(this.#sorted[at++]!);
    }
    const hasMore = this.#sorted[at]?.startsWith(prefix) === true;
    return { page, next: hasMore ? page.at(-1)! : null };
  }

  /** Where the first name lies that is not before this one. */
  #from(name: string): number {
    let [low, high] = [0, this.#sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#sorted[middle]! < name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function refusal(status: number, code: string): Response {
  return new Response(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`, {
    status,
    headers: { "content-type": "application/xml" },
  });
}

function xml(text: string): Response {
  return new Response(text, { headers: { "content-type": "application/xml" } });
}
