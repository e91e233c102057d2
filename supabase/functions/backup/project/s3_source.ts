/**
 * Any bucket of S3 as the source of a backup of files.
 *
 * @module
 */
import { systemClock } from "../core/clock.ts";
import { concat, utf8 } from "../core/bytes.ts";
import { BackupError, type ErrorCode } from "../core/errors.ts";
import { type Hashing, runtimeHashing } from "../core/hashing.ts";
import {
  compareKeys,
  type ItemFacts,
  type ItemPage,
  type ItemSource,
  type ItemSourceFacts,
  type ListedItem,
  type RangedListing,
  type ReadItem,
} from "../core/items.ts";
import { statusOf, translateS3Error } from "../storage/s3_errors.ts";
import type { S3Page } from "../storage/s3_listing.ts";
import {
  changed,
  checkedBytes,
  type DownloadSource,
  isWorthAnotherRead,
  wholeBytes,
} from "./checked_download.ts";
import type { Deadline } from "./deadline.ts";
import { isByProxy } from "./direct_fetch.ts";
import { addressOf, keyOf, OBJECT_CONTENT, objectFacts, textFact } from "./object_facts.ts";
import { bareETag, md5Of } from "./object_types.ts";
import type { Answer } from "./http_answer.ts";
import { headOf, headOfListed, type S3Head } from "./s3_head.ts";
import { type S3RequestOptions, S3Requests } from "./s3_requests.ts";
import { requireWholePage } from "./s3_whole_page.ts";
import type { Download } from "./storage_api.ts";

/** Which bucket, or which part of it. */
export interface S3SourceOptions extends S3RequestOptions {
  /** Only objects whose names begin so; empty for all. */
  prefix: string;
  /** Tries of each request. @default 4 */
  tries?: number;
}

/** Objects up to this size are read into memory, so that they can be read again. */
const WHOLE_BYTES = 1 << 20;

/** Reads of an object that does not fit its checksum. */
const READS = 3;

/** A bucket's objects. Nothing is asked before the first call. */
export function s3Source(options: S3SourceOptions): ItemSource {
  return new S3Source(options);
}

/** Bytes on their way, with what came before them. */
interface Got extends Download {
  head: S3Head;
}

class S3Source implements ItemSource {
  readonly type = "files" as const;
  readonly #options: S3SourceOptions;
  readonly #tries: number;
  readonly #hashing: Hashing;
  readonly #requests: S3Requests;

  constructor(options: S3SourceOptions) {
    this.#options = options;
    this.#tries = options.tries ?? 4;
    this.#hashing = options.hashing ?? runtimeHashing;
    this.#requests = new S3Requests(options);
  }

  async describe(signal: AbortSignal): Promise<ItemSourceFacts> {
    await this.#list(null, { limit: 1, signal });
    const { bucket, prefix, endpoint, region } = this.#options;
    return {
      projectRef: null,
      facts: { listedBy: "s3", bucket, prefix, endpoint, region },
      missing: [],
      skipped: [{ what: `settings of bucket ${bucket}`, reason: "They are not objects." }],
    };
  }

  async page(after: string | null, signal: AbortSignal): Promise<ItemPage> {
    const { items, truncated } = await this.#page(after, signal);
    return { items, next: truncated ? addressOf(items.at(-1)!.key).name : null };
  }

  ranged(): Promise<RangedListing> {
    return Promise.resolve({
      list: async ({ from, upTo }, signal) => {
        const begin = from === null ? null : addressOf(from);
        const side = begin === null ? -1 : compareKeys(begin.bucket, this.#options.bucket);
        if (side > 0) return { items: [], end: true }; // keys of another bucket, saved before
        const page = await this.#page(side < 0 ? null : begin!.name, signal);
        const behind = page.items.findIndex(({ key }) =>
          upTo !== null && compareKeys(key, upTo) > 0
        );
        if (behind < 0) return { items: page.items, end: !page.truncated };
        return { items: page.items.slice(0, behind), end: true };
      },
      digestOf: (items) => this.#hashing.sha256(utf8(JSON.stringify(items))),
    });
  }

  async #page(after: string | null, signal: AbortSignal) {
    const found = await this.#list(after, { limit: 1000, signal });
    const items: ListedItem[] = [];
    for (const listed of found.objects) {
      const { name } = listed;
      const item = this.#item(name, headOfListed(listed));
      // One that is read in ranges gets its facts here: reading gives none.
      const head = item.sizeBytes > WHOLE_BYTES ? await this.#head(name, signal) : null;
      items.push(head === null ? item : this.#item(name, sized(head, item.sizeBytes)));
    }
    requireWholePage(items, found);
    return { items, truncated: found.truncated };
  }

  async read(item: ListedItem, signal: AbortSignal): Promise<ReadItem | null> {
    const name = nameOf(item);
    const size = item.sizeBytes;
    for (let attempt = 1;; attempt++) {
      const first = await this.#get(name, { from: 0, size, signal });
      if (first === null) return null;
      const { revision, facts, sizeBytes } = this.#item(name, first.head);
      const source = this.#downloads(name, { size, signal });
      try {
        const md5 = md5Of(first.eTag);
        const body = sizeBytes <= WHOLE_BYTES
          ? await wholeBytes(source, first)
          : checkedBytes(source, { first, from: 0, to: null, md5 });
        return { revision, facts, contents: [{ name: OBJECT_CONTENT, body }] };
      } catch (error) {
        if (!isWorthAnotherRead(error) || attempt >= READS) throw error;
      }
    }
  }

  async readRange(
    item: ListedItem,
    { from, to, signal }: { from: number; to: number; signal: AbortSignal },
  ): Promise<{ revision: string | null; body: AsyncIterable<Uint8Array> } | null> {
    const name = nameOf(item);
    const size = item.sizeBytes;
    const first = await this.#get(name, { from, to, size, signal });
    if (first === null) return null;
    if (first.eTag !== textFact(item.facts, "eTag")) {
      await first.cancel();
      throw changed(item.key);
    }
    const source = this.#downloads(name, { size, signal });
    return { revision: item.revision, body: checkedBytes(source, { first, from, to, md5: null }) };
  }

  #downloads(
    name: string,
    { size, signal }: { size: number; signal: AbortSignal },
  ): DownloadSource {
    return {
      title: keyOf({ bucket: this.#options.bucket, name }),
      open: (range, signal) => this.#get(name, { ...range, size, signal }),
      tries: this.#tries,
      hashing: this.#hashing,
      signal,
    };
  }

  #item(name: string, head: S3Head): ListedItem {
    const size = head.ContentLength ?? 0;
    const eTag = bareETag(head.ETag);
    const updatedAt = head.LastModified?.toISOString() ?? null;
    const metadata = head.Metadata ?? {};
    const known = objectFacts({
      ...{ name, size, eTag, updatedAt, version: null, createdAt: null, robots: null },
      mimetype: head.ContentType ?? null,
      cacheControl: head.CacheControl ?? null,
      userMetadata: Object.keys(metadata).length === 0 ? null : metadata,
    });
    const more: ItemFacts = {
      ...(head.ContentEncoding === undefined ? {} : { contentEncoding: head.ContentEncoding }),
      ...(head.ContentDisposition === undefined
        ? {}
        : { contentDisposition: head.ContentDisposition }),
    };
    return {
      key: keyOf({ bucket: this.#options.bucket, name }),
      // S3 tells times to the second in some answers and more finely in others.
      revision: eTag === null ? null : `${eTag}:${size}:${updatedAt?.slice(0, 19) ?? ""}`,
      facts: { ...known, ...more },
      sizeBytes: size,
    };
  }

  async #list(
    after: string | null,
    { limit, signal }: { limit: number; signal: AbortSignal },
  ): Promise<S3Page> {
    const { prefix } = this.#options;
    return await this.#run(
      { verb: "list the objects", signal, isOfAll: true },
      () => this.#requests.list({ prefix, after, limit }, signal),
    );
  }

  async #head(name: string, signal: AbortSignal): Promise<S3Head | null> {
    return await this.#run(
      { verb: `look at ${name}`, signal },
      () => orNull(this.#requests.head(name, signal)),
    );
  }

  /** The bytes on their way. @param range `size` is what the listing says of the whole, where the answer does not */
  async #get(
    name: string,
    { from, to, size, signal }: { from: number; to?: number; size: number; signal: AbortSignal },
  ): Promise<Got | null> {
    const verb = `read ${name}`;
    const whole = from === 0 && to === undefined;
    const range = whole ? null : `bytes=${from}-${to === undefined ? "" : to - 1}`;
    const answer = await this.#run(
      { verb, signal },
      () => orNull(this.#requests.get(name, { range, signal })),
    );
    if (answer === null) return null;
    const { response, deadline } = answer;
    const told = headOf(response);
    const isTold = told.ContentLength !== undefined;
    const head = sized(told, Math.max(0, (to ?? size) - from));
    const stream = response.body;
    const bytes = head.ContentLength;
    const broken = (error: unknown) => this.#translate(error, { verb, signal, isOfAll: false });
    const body = counted(stream, { bytes, isTold, broken, verb, deadline });
    return {
      ...{ head, eTag: bareETag(head.ETag), bytes, body },
      whole: async () => {
        if (!isTold) return concat(await Array.fromAsync(body));
        try {
          const content = await response.bytes();
          requireLength(content.length, { bytes, isTold, verb });
          return content;
        } catch (error) {
          throw error instanceof BackupError ? error : broken(error);
        } finally {
          deadline.end();
        }
      },
      cancel: async () => {
        deadline.end();
        await stream?.cancel().catch(() => {}); // it is given up, or read already
      },
    };
  }

  async #run<T>(
    call: { verb: string; signal: AbortSignal; isOfAll?: boolean },
    run: () => Promise<T>,
  ): Promise<T> {
    const { clock = systemClock } = this.#options;
    for (let attempt = 1;; attempt++) {
      call.signal.throwIfAborted();
      try {
        return await run();
      } catch (error) {
        const known = this.#translate(error, { isOfAll: false, ...call });
        if (known.code !== "files_unreachable" || attempt >= this.#tries) throw known;
        await clock.sleep(200 * 2 ** attempt * (0.5 + Math.random() / 2), call.signal);
      }
    }
  }

  /** In the words of files, so that nobody takes the source for the place where backups lie. */
  #translate(
    error: unknown,
    { verb, signal, isOfAll }: { verb: string; signal: AbortSignal; isOfAll: boolean },
  ): BackupError {
    if (signal.aborted) throw signal.reason;
    if (error instanceof BackupError && error.code.startsWith("files_")) return error;
    const { code, message, hint } = translateS3Error(error, { verb, bucket: this.#options.bucket });
    const status = statusOf(error);
    const refused: ErrorCode = isOfAll && (status === 401 || status === 403)
      ? "files_unauthorized"
      : "files_refused";
    return new BackupError(
      code === "storage_unreachable" ? "files_unreachable" : refused,
      message,
      { hint: hintOf(error, hint), cause: error },
    );
  }
}

/** What to do, by the names that the settings of this source have. */
function hintOf(error: unknown, hint: string | undefined): string {
  const of = "BACKUP_FILES_SOURCE_";
  const [status, { name }] = [statusOf(error), error as Error];
  if (hint?.includes("BACKUP_STORAGE_")) return hint.replaceAll("BACKUP_STORAGE_", of);
  if (name === "NoSuchBucket") return `Check ${of}BUCKET: create the bucket, or correct its name.`;
  if (status === 401 || status === 403) {
    return `Check ${of}ACCESS_KEY and ${of}SECRET_KEY, and that they may list and read the bucket.`;
  }
  const places = `${of}ENDPOINT, ${of}REGION and ${of}BUCKET`;
  return `Check ${places}, and the network between here and the server.`;
}

/** What is known of an object; its size by the listing where the answer itself does not tell it. */
function sized(head: S3Head, size: number): S3Head & { ContentLength: number } {
  return { ...head, ContentLength: head.ContentLength ?? size };
}

/** How many bytes are expected. */
interface Expected {
  bytes: number;
  /** Whether the answer says so itself, and not only the listing. */
  isTold: boolean;
  verb: string;
}

/** The bytes, counted: a connection that was cut may look like an end, and there may be no end. */
async function* counted(
  stream: Answer["body"],
  { broken, deadline, ...expected }: Expected & {
    broken: (error: unknown) => BackupError;
    deadline: Deadline;
  },
): AsyncGenerator<Uint8Array> {
  let read = 0;
  try {
    for await (const chunk of stream ?? []) {
      read += chunk.length;
      if (read > expected.bytes) requireLength(read, expected);
      yield chunk;
      deadline.renew();
    }
  } catch (error) {
    throw broken(error);
  } finally {
    deadline.end();
  }
  requireLength(read, expected);
}

function requireLength(read: number, { bytes, isTold, verb }: Expected): void {
  if (read === bytes) return;
  if (!isTold) throw otherLength({ read, bytes, verb });
  throw new BackupError("files_unreachable", `Cannot ${verb}: ${read} of ${bytes} bytes came`);
}

/** What else it may be where the runtime alone can ask. */
const UNDONE = " If it is stored compressed, this version of Deno undoes that: save files where " +
  "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY are not set (NO_PROXY does not help), or with a newer one.";

/** For an answer that does not say how long it is: what comes is not what was listed. */
function otherLength({ read, bytes, verb }: { read: number; bytes: number; verb: string }) {
  const came = read > bytes ? `more than the ${bytes} bytes` : `only ${read} of the ${bytes} bytes`;
  return new BackupError("files_changed", `Cannot ${verb}: ${came} that were listed came`, {
    hint: `If it changed meanwhile, it is saved with the next backup.${isByProxy() ? UNDONE : ""}`,
  });
}

async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    const { name } = error as Error;
    if (statusOf(error) === 404 && name !== "NoSuchBucket") return null;
    throw error;
  }
}

/** @throws `files_refused` for names that no address can hold: another object would be read in its place */
function nameOf(item: ListedItem): string {
  const name = addressOf(item.key).name ?? "";
  if (!name.split("/").some((segment) => segment === "." || segment === "..")) return name;
  throw new BackupError(
    "files_refused",
    `Cannot ask for ${item.key}: no web address can hold a part of a name that is nothing but dots`,
    { hint: "Give the object another name." },
  );
}
