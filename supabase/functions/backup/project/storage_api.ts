/**
 * What is needed of Supabase Storage's HTTP API: buckets and objects, streamed, with plain `fetch`.
 *
 * Downloads go by `/object/authenticated/`: the shorter route lets a key that has expired pass as nobody,
 * and then says of every private object that it does not exist.
 *
 * @module
 */
import { toBase64, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { Json } from "../core/part.ts";
import type { Deadline } from "./deadline.ts";
import type { Answer } from "./http_answer.ts";
import { objectPath } from "./object_path.ts";
import {
  bareETag,
  type Bucket,
  type BucketSettings,
  type ObjectAddress,
  type ObjectInfo,
  type ObjectMetadata,
} from "./object_types.ts";
import {
  isBucketMissing,
  isDuplicate,
  isMissing,
  noAnswerError,
  refusalError,
} from "./storage_errors.ts";
import { type StorageApiOptions, StorageRequests } from "./storage_request.ts";

/** Bytes of an object on their way. */
export interface Download {
  eTag: string | null;
  /** Bytes of the answer; null when the server does not say. */
  bytes: number | null;
  /** Throws `files_unreachable` when it breaks off, and when other than {@linkcode bytes} came. */
  body: AsyncIterable<Uint8Array>;
  /** The whole body at once, for small ones; throws as {@linkcode body}, of which it is the other way. */
  whole(): Promise<Uint8Array>;
  /** Gives up the rest. */
  cancel(): Promise<void>;
}

/** A page of a bucket's objects. */
export interface ListPage {
  objects: ObjectInfo[];
  /** Null when this was the last. */
  next: string | null;
}

/** Objects in a page of a listing: the most that the server gives. */
const LIST_LIMIT = 1000;

/** The API of one project's Storage. */
export class StorageApi {
  readonly requests: StorageRequests;

  constructor(options: StorageApiOptions) {
    this.requests = new StorageRequests(options);
  }

  /** All buckets of objects, in no order. @throws `files_*` */
  async buckets(signal: AbortSignal): Promise<Bucket[]> {
    const verb = "list the buckets of Storage";
    const rows = await this.requests.json<unknown>({
      ...{ verb, path: "/bucket", repeatable: true, signal },
    });
    if (!Array.isArray(rows)) throw malformed(verb);
    return rows.map((row) => readBucket(row, verb));
  }

  /** One bucket, null when there is none. @throws `files_*` */
  async bucket(id: string, signal: AbortSignal): Promise<Bucket | null> {
    const verb = `look at bucket ${id}`;
    const path = `/bucket/${encodeURIComponent(id)}`;
    const row = await this.requests.json({ verb, path, repeatable: true, signal }, isBucketMissing);
    return row === null ? null : readBucket(row, verb);
  }

  /** Makes a bucket. @returns false when there is one of that name @throws `files_*` */
  async createBucket(id: string, settings: BucketSettings, signal: AbortSignal): Promise<boolean> {
    const made = await this.requests.json({
      verb: `create bucket ${id}`,
      method: "POST",
      path: "/bucket",
      json: { id, name: id, ...bucketBody(settings) },
      repeatable: true, // a second time it is there already, and is compared by the caller
      signal,
    }, isDuplicate);
    return made !== null;
  }

  /** Gives a bucket these settings. @throws `files_*` */
  async updateBucket(id: string, settings: BucketSettings, signal: AbortSignal): Promise<void> {
    await this.requests.json({
      verb: `change the settings of bucket ${id}`,
      method: "PUT",
      path: `/bucket/${encodeURIComponent(id)}`,
      json: bucketBody(settings),
      repeatable: true,
      signal,
    });
  }

  /** What the database of Storage says of an object; null when it knows none. @throws `files_*` */
  async info({ bucket, name }: ObjectAddress, signal: AbortSignal): Promise<ObjectInfo | null> {
    const verb = `look at ${bucket}/${name}`;
    const path = `/object/info/authenticated/${objectPath(bucket, name)}`;
    const row = await this.requests.json<Record<string, Json>>(
      { verb, path, repeatable: true, signal },
      (refusal) => isMissing(refusal) || isBucketMissing(refusal),
    );
    if (row === null) return null;
    if (typeof row !== "object" || row.name !== name) throw malformed(verb);
    return {
      name,
      version: textOf(row.version),
      size: numberOf(row.size),
      eTag: bareETag(row.etag),
      mimetype: textOf(row.content_type),
      cacheControl: textOf(row.cache_control),
      userMetadata: readUserMetadata(row.metadata),
      robots: null,
      createdAt: textOf(row.created_at),
      updatedAt: textOf(row.last_modified),
    };
  }

  /**
   * Bytes of an object, from `from` up to before `to`; null when there is none.
   * @throws `files_*`
   */
  async download(
    { bucket, name }: ObjectAddress,
    { from = 0, to, signal }: { from?: number; to?: number; signal: AbortSignal },
  ): Promise<Download | null> {
    const verb = `read ${bucket}/${name}`;
    const ranged = from > 0 || to !== undefined;
    const range = `bytes=${from}-${to === undefined ? "" : to - 1}`;
    const path = `/object/authenticated/${objectPath(bucket, name)}`;
    const answer = await this.requests.send({
      ...{ verb, path, repeatable: true, signal },
      ...(ranged ? { headers: { range } } : {}),
    });
    if (!answer.ok) {
      if (isMissing(answer.refusal) || isBucketMissing(answer.refusal)) return null;
      throw refusalError(verb, answer.refusal);
    }
    const { response, deadline } = answer;
    const cancel = async () => {
      deadline.end();
      await response.body?.cancel().catch(() => {}); // it may have broken off by itself
    };
    if (ranged && response.status !== 206) {
      await cancel();
      throw malformed(verb, "the server gave the whole object in place of a range");
    }
    const told = response.headers.get("content-length");
    const bytes = told === null ? null : Number(told);
    const broken = (cause: unknown) => noAnswerError(verb, this.requests.origin, cause);
    return {
      eTag: bareETag(response.headers.get("etag")),
      bytes,
      body: readBody(response, { bytes, deadline, signal, broken }),
      whole: () => readWhole(response, { bytes, deadline, signal, broken }),
      cancel,
    };
  }

  /**
   * Stores an object in one request; it exists with all its bytes or not at all.
   * @returns false when there is one of that name and it was not to be replaced
   * @throws `files_*`
   */
  async upload(
    { bucket, name }: ObjectAddress,
    content: { body: Uint8Array; metadata: ObjectMetadata; replace: boolean; signal: AbortSignal },
  ): Promise<boolean> {
    const { body, metadata, replace, signal } = content;
    const stored = await this.requests.json({
      verb: `store ${bucket}/${name}`,
      method: "POST",
      path: `/object/${objectPath(bucket, name)}`,
      headers: {
        "content-type": metadata.mimetype ?? "application/octet-stream",
        "x-upsert": String(replace),
        ...(metadata.cacheControl === null ? {} : { "cache-control": metadata.cacheControl }),
        ...(metadata.robots === null ? {} : { "x-robots-tag": metadata.robots }),
        ...(metadata.userMetadata === null
          ? {}
          : { "x-metadata": toBase64(utf8(JSON.stringify(metadata.userMetadata))) }),
      },
      bytes: body,
      repeatable: true, // a second time it is there already, and is compared by the caller
      signal,
    }, isDuplicate);
    return stored !== null;
  }

  /** Objects of a bucket by name, flat. @param cursor `next` of the page before @throws `files_*` */
  async list(
    bucket: string,
    { cursor, signal }: { cursor: string | null; signal: AbortSignal },
  ): Promise<ListPage> {
    const verb = `list the objects of bucket ${bucket}`;
    const page = await this.requests.json<{
      hasNext?: boolean;
      nextCursor?: string;
      objects?: Record<string, Json>[];
    }>({
      verb,
      method: "POST",
      path: `/object/list-v2/${encodeURIComponent(bucket)}`,
      json: {
        limit: LIST_LIMIT,
        with_delimiter: false,
        sortBy: { column: "name", order: "asc" },
        ...(cursor === null ? {} : { cursor }),
      },
      repeatable: true,
      signal,
    });
    if (!Array.isArray(page?.objects)) throw malformed(verb);
    const next = page.hasNext === true ? page.nextCursor ?? null : null;
    if (page.hasNext === true && (next === null || next === cursor)) throw malformed(verb);
    return { objects: page.objects.map(readListed), next };
  }
}

/** What reading a body needs to know. */
interface BodyReading {
  bytes: number | null;
  deadline: Deadline;
  signal: AbortSignal;
  broken: (cause: unknown) => BackupError;
}

/** The body, counted: a connection that was cut may look like an end. */
async function* readBody(
  response: Answer,
  { bytes, deadline, signal, broken }: BodyReading,
): AsyncGenerator<Uint8Array> {
  let read = 0;
  try {
    deadline.renew();
    for await (const chunk of response.body ?? []) {
      read += chunk.length;
      deadline.end(); // the time that a reader takes is not the server's
      yield chunk;
      deadline.renew();
    }
    requireLength(read, bytes);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw broken(error);
  } finally {
    deadline.end();
  }
}

/** Reading an object so takes half the CPU time that it takes as a stream: much, where there are many. */
async function readWhole(
  response: Answer,
  { bytes, deadline, signal, broken }: BodyReading,
): Promise<Uint8Array> {
  try {
    const body = await response.bytes();
    requireLength(body.length, bytes);
    return body;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw broken(error);
  } finally {
    deadline.end();
  }
}

function requireLength(read: number, told: number | null): void {
  if (told !== null && read !== told) throw new Error(`${read} of ${told} bytes came`);
}

/** An object of a listing; what its row holds beyond the metadata, only `info` tells. */
function readListed(row: Record<string, Json>): ObjectInfo {
  const metadata = (row.metadata ?? {}) as Record<string, Json>;
  return {
    name: String(row.name),
    version: null,
    ...readMetadata(metadata),
    userMetadata: null,
    createdAt: textOf(row.created_at),
    updatedAt: textOf(row.updated_at),
  };
}

/** What the column `metadata` of an object's row says. */
export function readMetadata(
  metadata: Record<string, Json>,
): Pick<ObjectInfo, "size" | "eTag" | "mimetype" | "cacheControl" | "robots"> {
  return {
    size: numberOf(metadata.size),
    eTag: bareETag(metadata.eTag),
    mimetype: textOf(metadata.mimetype),
    cacheControl: textOf(metadata.cacheControl),
    robots: textOf(metadata.xRobotsTag),
  };
}

/** What the application attached; null for nothing. */
export function readUserMetadata(value: Json | undefined): Json {
  if (value === undefined || value === null) return null;
  return typeof value === "object" && Object.keys(value).length === 0 ? null : value;
}

function readBucket(row: unknown, verb: string): Bucket {
  const { id, name, owner, type, ...rest } = (row ?? {}) as Record<string, Json>;
  if (typeof id !== "string") throw malformed(verb);
  return {
    id,
    name: textOf(name) ?? id,
    type: textOf(type) ?? "STANDARD",
    public: rest.public === true,
    fileSizeLimit: numberOf(rest.file_size_limit),
    allowedMimeTypes: Array.isArray(rest.allowed_mime_types)
      ? rest.allowed_mime_types.map(String)
      : null,
    owner: textOf(owner) || null,
    createdAt: textOf(rest.created_at),
    updatedAt: textOf(rest.updated_at),
  };
}

function bucketBody(settings: BucketSettings): Record<string, Json> {
  return {
    public: settings.public,
    file_size_limit: settings.fileSizeLimit,
    allowed_mime_types: settings.allowedMimeTypes,
  };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" || (typeof value === "string" && /^\d+$/.test(value))
    ? Number(value)
    : null;
}

function malformed(verb: string, what = "the answer is not what Storage documents"): BackupError {
  return new BackupError("files_refused", `Cannot ${verb}: ${what}`, {
    hint: "Something between here and Storage may answer in its place.",
  });
}
