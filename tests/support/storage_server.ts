/**
 * Supabase Storage for tests: its HTTP API with rows in a real PostgreSQL and bytes in memory. Status
 * codes, error bodies, headers and the rules for names are those of the real server (release 1.11, whose
 * source is public and which was run beside it), with the real status in the body of an HTTP 400.
 * One class beyond the usual length: each method is one request of that API over the same rows.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { fromBase64, fromUtf8 } from "../../supabase/functions/backup/core/bytes.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { StorageApi } from "../../supabase/functions/backup/project/storage_api.ts";
import { DUPLICATE, LIMITS, NO_BUCKET, NO_KEY, Refusal } from "./storage_refusals.ts";
import { StorageUploads } from "./storage_uploads.ts";
import { temporaryDatabase } from "./temporary_database.ts";

/** What goes wrong with the next requests that fit. */
export interface StorageFault {
  /** Of `METHOD /path?query`. */
  request: RegExp;
  /** How many requests it meets. @default 1 */
  times?: number;
  /** In place of the answer. */
  answer?: { status: number; body?: string; headers?: Record<string, string> };
  /** The answer's body breaks off after so many bytes. */
  cutAfter?: number;
  /** The request is carried out, and its answer is lost. */
  loseAnswer?: boolean;
  /** Runs before the request is carried out. */
  before?: () => Promise<void>;
}

/** Bytes of an object. Large ones of zeros take no memory. */
export type StoredBytes = { bytes: Uint8Array } | { zeros: number };

/** The characters that names may have. */
const KEY = /^[A-Za-z0-9_/!.*'() &$=@;:+,?-]+$/;

/** A running server. */
export class StorageServer implements AsyncDisposable {
  readonly key = "test-service-key";
  /** Of the database, as the server's superuser. */
  readonly databaseUrl: string;
  readonly session: Session;
  readonly faults: StorageFault[] = [];
  /** `METHOD /path` of every request. */
  readonly requests: string[] = [];
  /** Bytes by `bucket/name/version`. */
  readonly store = new Map<string, StoredBytes>();
  /** Makes the bytes of rows that nobody has uploaded. */
  synthesize: (name: string) => Uint8Array | null = () => null;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #ending = new AbortController();
  readonly #uploads: StorageUploads;
  readonly #dispose: () => Promise<void>;

  private constructor(session: Session, databaseUrl: string, dispose: () => Promise<void>) {
    this.session = session;
    this.databaseUrl = databaseUrl;
    this.#dispose = dispose;
    this.#uploads = new StorageUploads(this);
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: this.#ending.signal },
      (request) => this.#serve(request),
    );
  }

  /** Starts one with a database of its own. */
  static async start(prefix = "storage"): Promise<StorageServer> {
    const database = await temporaryDatabase(prefix);
    const session = await connect({ url: database.url });
    const tables = new URL("storage_tables.sql", import.meta.url);
    await session.execute(await Deno.readTextFile(tables));
    return new StorageServer(session, database.url, async () => {
      await session.close();
      await database[Symbol.asyncDispose]();
    });
  }

  /** Starts one over the tables of a project that has the platform's shape. @param url as its superuser */
  static async over(url: string): Promise<StorageServer> {
    const session = await connect({ url });
    return new StorageServer(session, url, () => session.close());
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** A client of it, which waits for nothing between its tries. */
  api(options: { url?: string; key?: string; tries?: number } = {}): StorageApi {
    const { url = this.url, key = this.key, tries = 3 } = options;
    const clock = { now: () => new Date(), sleep: () => Promise.resolve() };
    return new StorageApi({ url, key: new Secret(key), tries, clock });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // An orderly end would wait for connections that clients keep.
    this.#ending.abort();
    await this.#server.finished;
    await this.#dispose();
  }

  /** Makes a bucket. */
  async addBucket(
    id: string,
    settings: { public?: boolean; types?: string[] } = {},
  ): Promise<void> {
    await this.session.query(
      `insert into storage.buckets (id, name, public, allowed_mime_types)
       values ($1, $1, $2, (select array_agg(t) from jsonb_array_elements_text($3::jsonb) t))`,
      [id, settings.public ?? false, JSON.stringify(settings.types ?? [])],
    );
  }

  /** Puts an object there as an upload would; names are not checked. */
  async put(
    bucket: string,
    name: string,
    content: string | StoredBytes,
    more: {
      mimetype?: string;
      cacheControl?: string;
      userMetadata?: unknown;
      owner?: string;
      eTag?: string;
      robots?: string;
      /** Leaves an object that is there as it is. @default false */
      onlyNew?: boolean;
    } = {},
  ): Promise<void> {
    const stored = typeof content === "string"
      ? { bytes: new TextEncoder().encode(content) }
      : content;
    const size = "zeros" in stored ? stored.zeros : stored.bytes.length;
    const hash = "zeros" in stored
      ? `${"0".repeat(31)}a-${Math.ceil(size / 5_242_880)}`
      : createHash("md5").update(stored.bytes).digest("hex");
    const metadata = {
      eTag: `"${more.eTag ?? hash}"`,
      size,
      mimetype: more.mimetype ?? "text/plain",
      cacheControl: more.cacheControl ?? "no-cache",
      lastModified: new Date().toISOString(),
      contentLength: size,
      httpStatusCode: 200,
      ...(more.robots === undefined ? {} : { xRobotsTag: more.robots }),
    };
    const version = crypto.randomUUID();
    const [row] = await this.session.query(
      `insert into storage.objects (bucket_id, name, version, metadata, user_metadata, owner_id)
       values ($1, $2, $3, $4::jsonb, $5::jsonb, $6)
       on conflict (bucket_id, name) do update set version = excluded.version,
         metadata = excluded.metadata, user_metadata = excluded.user_metadata,
         owner_id = excluded.owner_id where not $7::boolean
       returning id`,
      [
        ...[bucket, name, version, JSON.stringify(metadata)],
        JSON.stringify(more.userMetadata ?? {}),
        more.owner ?? null,
        more.onlyNew ?? false,
      ],
    );
    if (row === undefined) throw DUPLICATE();
    this.store.set(`${bucket}/${name}/${version}`, stored);
  }

  /** Removes an object as the API would. */
  async remove(bucket: string, name: string): Promise<void> {
    await this.session.execute(`set storage.allow_delete_query = 'true'`);
    await this.session.query(
      `delete from storage.objects where bucket_id = $1 and name = $2`,
      [bucket, name],
    );
  }

  /** Forgets all uploads in steps, as after a day. */
  forgetUploads(): void {
    this.#uploads.forgetAll();
  }

  /** A row, null when there is none. */
  async row(bucket: string, name: string): Promise<ObjectRow | null> {
    const [found] = await this.session.query<{ row: ObjectRow }>(
      `select to_jsonb(o) as row from storage.objects o where bucket_id = $1 and name = $2`,
      [bucket, name],
    );
    return found?.row ?? null;
  }

  /** Bytes that an object has now. */
  async bytes(bucket: string, name: string): Promise<StoredBytes | null> {
    const row = await this.row(bucket, name);
    return row === null ? null : this.#bytesOf(row);
  }

  #bytesOf({ bucket_id, name, version }: ObjectRow): StoredBytes | null {
    const stored = this.store.get(`${bucket_id}/${name}/${version}`);
    if (stored !== undefined) return stored;
    const bytes = this.synthesize(name);
    return bytes === null ? null : { bytes };
  }

  async #serve(request: Request): Promise<Response> {
    const url = new URL(request.url);
    // A project has it under this path beside its other services; the server itself has not.
    url.pathname = url.pathname.replace(/^\/storage\/v1(?=\/)/, "");
    const line = `${request.method} ${url.pathname}${url.search}`;
    this.requests.push(line);
    const fault = this.faults.find((each) => each.request.test(line) && (each.times ?? 1) > 0);
    if (fault !== undefined) fault.times = (fault.times ?? 1) - 1;
    await fault?.before?.();
    if (fault?.answer !== undefined) {
      await request.body?.cancel();
      const { status, body = "", headers = {} } = fault.answer;
      return new Response(body, { status, headers });
    }
    const plain = url.pathname.startsWith("/upload/");
    let response: Response;
    try {
      response = await this.#answer(request, url);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      response = error.response(plain);
    } finally {
      if (request.body !== null && !request.bodyUsed) await request.body.cancel().catch(() => {});
    }
    if (fault?.loseAnswer) return broken(response, 0);
    return fault?.cutAfter === undefined ? response : broken(response, fault.cutAfter);
  }

  async #answer(request: Request, url: URL): Promise<Response> {
    // As hosted projects have it before all paths.
    const path = decodeURIComponent(url.pathname).replace(/^\/storage\/v1/, "");
    const plain = request.headers.get("authorization") === `Bearer ${this.key}`;
    if (!plain && request.method !== "HEAD") {
      throw new Refusal(403, "AccessDenied", "JWS Protected Header is invalid", "Unauthorized");
    }
    const [, resource, ...rest] = path.split("/");
    if (resource === "upload") return await this.#uploads.answer(request, rest.slice(1).join("/"));
    if (resource === "bucket") return await this.#bucket(request, rest[0]);
    const [route, second] = rest;
    if (route === "info") {
      return json(await this.#info(rest.slice(second === "authenticated" ? 2 : 1)));
    }
    if (route === "list-v2") return json(await this.#list(second!, await request.json()));
    if (route === "authenticated") return await this.#download(request, rest.slice(1));
    if (request.method === "POST") return await this.#upload(request, rest);
    if (request.method === "GET") return await this.#download(request, rest);
    if (request.method === "DELETE") return json(await this.#removeAll(route!, request));
    throw new Refusal(404, "NotFound", `Route ${request.method}:${path} not found`);
  }

  async #bucket(request: Request, id: string | undefined): Promise<Response> {
    const rows = await this.session.query<{ row: Record<string, unknown> }>(
      `select to_jsonb(b) - array['owner_id', 'avif_autodetection'] as row from storage.buckets b`,
    );
    const found = rows.map(({ row }) => ({ ...row, owner: row.owner ?? "" }));
    const one = found.find((row) => (row as Record<string, unknown>).id === id);
    if (request.method === "GET" && id === undefined) return json(found);
    if (request.method !== "POST" && one === undefined) throw NO_BUCKET();
    if (request.method === "GET") return json(one);
    const body = await request.json();
    const key = id ?? body.id;
    if (!/^[A-Za-z0-9_!.*'() &$=@;:+,?-]{1,100}$/.test(key)) {
      throw new Refusal(400, "InvalidBucketName", "Bucket name invalid", "Invalid Input");
    }
    if (request.method === "POST") {
      if (found.some((row) => (row as Record<string, unknown>).id === key)) {
        throw new Refusal(409, "BucketAlreadyExists", "The resource already exists", "Duplicate");
      }
      await this.session.query(`insert into storage.buckets (id, name) values ($1, $1)`, [key]);
    }
    await this.session.query(
      `update storage.buckets set public = $2, file_size_limit = $3, updated_at = now(),
         allowed_mime_types = (select array_agg(t) from jsonb_array_elements_text($4::jsonb) t)
       where id = $1`,
      [key, body.public, body.file_size_limit, JSON.stringify(body.allowed_mime_types ?? [])],
    );
    return json(request.method === "POST" ? { name: key } : { message: "Successfully updated" });
  }

  async #find(address: string[]): Promise<ObjectRow> {
    const [bucket = "", ...name] = address;
    const row = await this.row(bucket, name.join("/"));
    if (row !== null) return row;
    throw await this.bucketLimits(bucket) === null ? NO_BUCKET() : NO_KEY();
  }

  /** Its limit and its media types; null when there is no such bucket. */
  async bucketLimits(id: string): Promise<{ bytes: number | null; types: string[] | null } | null> {
    const [row] = await this.session.query<{ bytes: string | null; types: string[] | null }>(
      `select file_size_limit as bytes, allowed_mime_types as types from storage.buckets where id = $1`,
      [id],
    );
    if (row === undefined) return null;
    return { bytes: row.bytes === null ? null : Number(row.bytes), types: row.types };
  }

  async #info(address: string[]): Promise<unknown> {
    const row = await this.#find(address);
    const { metadata = {} } = row;
    return {
      id: row.id,
      name: row.name,
      version: row.version,
      bucket_id: row.bucket_id,
      size: metadata.size ?? null,
      content_type: metadata.mimetype ?? null,
      cache_control: metadata.cacheControl ?? null,
      etag: metadata.eTag ?? null,
      metadata: row.user_metadata,
      last_modified: new Date(row.updated_at).toISOString(),
      created_at: new Date(row.created_at).toISOString(),
    };
  }

  /** Answers with what there was of the names. */
  async #removeAll(bucket: string, request: Request): Promise<unknown[]> {
    const { prefixes } = await request.json() as { prefixes: string[] };
    if (await this.bucketLimits(bucket) === null) throw NO_BUCKET();
    const removed: unknown[] = [];
    for (const name of prefixes) {
      const row = await this.row(bucket, name);
      if (row === null) continue;
      await this.remove(bucket, name);
      removed.push(row);
    }
    return removed;
  }

  async #list(
    bucket: string,
    body: { limit?: number; cursor?: string; prefix?: string },
  ): Promise<unknown> {
    const limit = Math.min(body.limit ?? 1000, 1000);
    const token = body.cursor === undefined ? "" : fromUtf8(fromBase64(body.cursor));
    const after = /^l:(.*)$/m.exec(token)?.[1] ?? null;
    const rows = await this.session.query<{ row: ObjectRow }>(
      `select to_jsonb(o) as row from storage.objects o where bucket_id = $1
         and ($2::text is null or name collate "C" > $2) and starts_with(name, $4)
       order by name collate "C" limit $3`,
      [bucket, after, limit + 1, body.prefix ?? ""],
    );
    const page = rows.slice(0, limit).map(({ row }) => row);
    const last = page.at(-1)?.name;
    return {
      hasNext: rows.length > limit,
      ...(rows.length > limit ? { nextCursor: btoa(`l:${last}\no:asc\nc:name`) } : {}),
      folders: [],
      objects: page.map(({ id, name, metadata, updated_at, created_at }) => ({
        ...{ id, name, metadata },
        updated_at: new Date(updated_at).toISOString(),
        created_at: new Date(created_at).toISOString(),
      })),
    };
  }

  async #download(request: Request, address: string[]): Promise<Response> {
    const row = await this.#find(address);
    const stored = this.#bytesOf(row);
    if (stored === null) {
      throw new Refusal(404, "NoSuchKey", "The resource was not found", "Not found");
    }
    const size = "zeros" in stored ? stored.zeros : stored.bytes.length;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "");
    const from = Number(range?.[1] ?? 0);
    const to = Math.min(size, range?.[2] ? Number(range[2]) + 1 : size);
    if (range !== null && from >= size) {
      throw new Refusal(416, "InvalidRange", "invalid range provided", "invalid_range");
    }
    const type = row.metadata.mimetype ?? "application/octet-stream";
    return new Response(bodyOf(stored, from, to), {
      status: range === null ? 200 : 206,
      headers: {
        "accept-ranges": "bytes",
        // A page is never served as one, so that nobody puts a site there.
        "content-type": type.includes("text/html") ? "text/plain" : type,
        "cache-control": row.metadata.cacheControl ?? "no-cache",
        etag: row.metadata.eTag ?? "",
        "content-length": String(to - from),
        ...(range === null ? {} : { "content-range": `bytes ${from}-${to - 1}/${size}` }),
      },
    });
  }

  async #upload(request: Request, address: string[]): Promise<Response> {
    const [bucket = "", ...rest] = address;
    const name = rest.join("/");
    const { headers } = request;
    const declared = Number(headers.get("content-length") ?? 0);
    const mimetype = headers.get("content-type") ?? "application/octet-stream";
    await this.requireAllowed({ bucket, name }, {
      bytes: declared,
      mimetype,
      most: LIMITS.standard,
    });
    const bytes = new Uint8Array(await request.arrayBuffer());
    if (headers.get("x-upsert") !== "true" && await this.row(bucket, name) !== null) {
      throw DUPLICATE();
    }
    const attached = headers.get("x-metadata");
    await this.put(bucket, name, { bytes }, {
      mimetype,
      cacheControl: headers.get("cache-control") ?? "no-cache",
      onlyNew: headers.get("x-upsert") !== "true",
      userMetadata: attached === null ? {} : JSON.parse(fromUtf8(fromBase64(attached))),
      ...(headers.has("x-robots-tag") ? { robots: headers.get("x-robots-tag")! } : {}),
    });
    return json({ Key: `${bucket}/${name}`, Id: crypto.randomUUID() });
  }

  /** What every way of uploading checks. */
  async requireAllowed(
    { bucket, name }: { bucket: string; name: string },
    { bytes, mimetype, most }: { bytes: number; mimetype: string; most: number },
  ): Promise<void> {
    if (!KEY.test(name)) throw new Refusal(400, "InvalidKey", `Invalid key: ${name}`);
    const limits = await this.bucketLimits(bucket);
    if (limits === null) throw NO_BUCKET();
    const [family] = mimetype.split("/");
    if (
      limits.types !== null &&
      !limits.types.some((type) => [mimetype, `${family}/*`].includes(type))
    ) {
      throw new Refusal(415, "InvalidMimeType", `mime type ${mimetype} is not supported`);
    }
    if (bytes > Math.min(most, limits.bytes ?? most)) {
      const message = "The object exceeded the maximum allowed size";
      throw new Refusal(413, "EntityTooLarge", message, "Payload too large");
    }
  }
}

/** A row of storage.objects as JSON. */
export interface ObjectRow {
  id: string;
  bucket_id: string;
  name: string;
  version: string;
  metadata: Record<string, string>;
  user_metadata: Record<string, unknown>;
  owner: string | null;
  owner_id: string | null;
  created_at: string;
  updated_at: string;
}

function json(value: unknown): Response {
  return new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });
}

function bodyOf(stored: StoredBytes, from: number, to: number): BodyInit {
  if ("bytes" in stored) return stored.bytes.subarray(from, to) as BodyInit;
  const block = new Uint8Array(1 << 18);
  let left = to - from;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close();
      controller.enqueue(block.subarray(0, Math.min(left, block.length)));
      left -= block.length;
    },
  }, { highWaterMark: 0 });
}

/** The same answer, whose body breaks off. */
function broken(response: Response, after: number): Response {
  const whole = response.body ?? new Response("lost").body!;
  let left = after;
  const body = whole.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        if (left > 0) controller.enqueue(chunk.slice(0, left));
        left -= chunk.length;
        if (left < 0) controller.error(new Error("cut"));
      },
    }),
  );
  const { headers } = response;
  return new Response(body, { status: response.status === 204 ? 200 : response.status, headers });
}
