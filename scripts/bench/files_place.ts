/**
 * The place that files are copied from when copying is measured: many small objects, made up as they are
 * asked for, told both as Supabase Storage tells them and as S3 does, so that every contestant reads from
 * the same process. A process of its own: `deno run -A scripts/bench/files_place.ts <objects> <bytes>`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { createHash } from "node:crypto";

/** Name of the bucket. */
export const BUCKET = "bench";

const PAGE = 1000;

/** Bytes of all contents overlap in it, far enough apart that compression finds nothing. */
const POOL_BYTES = 64 << 20;

/** The objects, which are the same on every run. */
export class BenchObjects {
  readonly count: number;
  readonly bytes: number;
  readonly #pool = new Uint8Array(POOL_BYTES);
  readonly #eTags: string[] = [];
  readonly #generations: Uint8Array;

  constructor(count: number, bytes: number) {
    this.count = count;
    this.bytes = bytes;
    this.#generations = new Uint8Array(count);
    let state = 88_675_123;
    const words = new Uint32Array(this.#pool.buffer);
    for (let at = 0; at < words.length; at++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[at] = state;
    }
    for (let at = 0; at < count; at++) this.#eTags.push(this.#md5(at));
  }

  /** In the order of their bytes, as their numbers are. */
  name(at: number): string {
    return `folder ${String(Math.floor(at / PAGE)).padStart(4, "0")}/${
      String(at).padStart(8, "0")
    }.bin`;
  }

  /** The number in a name; NaN for no name of ours. */
  numberOf(name: string): number {
    return Number(/(\d+)\.bin$/.exec(name)?.[1] ?? NaN);
  }

  content(at: number): Uint8Array {
    const start = (at * 40_503 * 64 + this.#generations[at]! * 13_577) % (POOL_BYTES - this.bytes);
    return this.#pool.subarray(start, start + this.bytes);
  }

  eTag(at: number): string {
    return this.#eTags[at]!;
  }

  /** When it was given its content. */
  modifiedAt(at: number): Date {
    return new Date(Date.UTC(2026, 0, 1) + this.#generations[at]! * 60_000);
  }

  /** Gives every thousandth object another content; their numbers. */
  change(): number[] {
    const changed: number[] = [];
    for (let at = 0; at < this.count; at += 1000) {
      this.#generations[at]! += 1;
      this.#eTags[at] = this.#md5(at);
      changed.push(at);
    }
    return changed;
  }

  #md5(at: number): string {
    return createHash("md5").update(this.content(at)).digest("hex");
  }
}

/** Answers `/bucket` and `/object/authenticated/…` of Storage, and a bucket of S3 below `/s3/`. */
function serve(objects: BenchObjects, reads: { count: number }): (request: Request) => Response {
  const get = (name: string, request: Request): Response => {
    const at = objects.numberOf(name);
    if (!(at < objects.count)) return new Response("none", { status: 404 });
    if (request.method === "GET") reads.count += 1;
    return new Response(request.method === "HEAD" ? null : objects.content(at) as BodyInit, {
      headers: {
        etag: `"${objects.eTag(at)}"`,
        "content-type": "application/octet-stream",
        "content-length": String(objects.bytes),
        "last-modified": objects.modifiedAt(at).toUTCString(),
      },
    });
  };
  const list = ({ searchParams }: URL): Response => {
    const from = Number(searchParams.get("continuation-token") ?? 0) ||
      objects.numberOf(searchParams.get("start-after") ?? "") + 1 || 0;
    const to = Math.min(objects.count, from + Number(searchParams.get("max-keys") ?? PAGE));
    const contents: string[] = [];
    for (let at = from; at < to; at++) {
      contents.push(
        `<Contents><Key>${objects.name(at)}</Key><Size>${objects.bytes}</Size>` +
          `<ETag>&quot;${objects.eTag(at)}&quot;</ETag>` +
          `<LastModified>${objects.modifiedAt(at).toISOString()}</LastModified></Contents>`,
      );
    }
    const more = to < objects.count;
    return new Response(
      `<ListBucketResult><Name>${BUCKET}</Name><KeyCount>${to - from}</KeyCount>` +
        `<IsTruncated>${more}</IsTruncated>${contents.join("")}` +
        `${more ? `<NextContinuationToken>${to}</NextContinuationToken>` : ""}</ListBucketResult>`,
      { headers: { "content-type": "application/xml" } },
    );
  };
  return (request) => {
    const url = new URL(request.url);
    const path = decodeURIComponent(url.pathname);
    if (path === "/change") return Response.json(objects.change());
    if (path === "/reads") return Response.json(reads.count);
    if (path === "/bucket") return Response.json([{ id: BUCKET, name: BUCKET, type: "STANDARD" }]);
    if (path.replace(/\/$/, "") === `/s3/${BUCKET}`) return list(url);
    const name = path.replace(`/object/authenticated/${BUCKET}/`, "").replace(`/s3/${BUCKET}/`, "");
    return get(name, request);
  };
}

if (import.meta.main) {
  const [count = 0, bytes = 0] = Deno.args.map(Number);
  const objects = new BenchObjects(count, bytes);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    serve(objects, { count: 0 }),
  );
  console.log(`http://127.0.0.1:${server.addr.port}`);
}
