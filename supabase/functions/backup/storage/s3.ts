/**
 * A storage in a bucket of Amazon S3 or of a server that speaks its protocol. What it asks all the time it asks by
 * itself; the large client, which takes a twentieth of what a hosted worker may use before its first request, is
 * loaded for uploads in parts, locks of objects that are there, and checks of the provider.
 *
 * @module
 */
import type { S3Client } from "@aws-sdk/client-s3";
import { BackupError } from "../core/errors.ts";
import { systemClock } from "../core/clock.ts";
import { inGroups } from "./locks.ts";
import { checkName } from "./names.ts";
import {
  beginningOf,
  S3Bucket,
  type S3BucketOptions,
  type S3Question,
  type S3Refusal,
} from "./s3_bucket.ts";
import { isPreconditionFailed, isUnsupported, statusOf, translateS3Error } from "./s3_errors.ts";
import { readS3Page, timeOf } from "./s3_listing.ts";
import { checksumHeaders, lockHeaders } from "./s3_lock_headers.ts";
import { readBytes, send, type Take } from "./send.ts";
import { textOf } from "./s3_xml.ts";
import type { GetOptions, ObjectLock, ProviderProbe, Storage, StoredObject } from "./storage.ts";

/** Where the bucket is and how to enter. */
export interface S3Options extends S3BucketOptions {
  /** Put before every name, with its final slash; empty for none. */
  prefix: string;
  /** Objects larger than this are sent in parts. Default 16 MiB. */
  multipartBytes?: number;
  /** As S3 names it; null for the bucket's. */
  storageClass?: string | null;
  lock?: ObjectLock | null;
}

const MULTIPART_BYTES = 16 * 1024 * 1024;
/** A page of a thousand names has some hundred kilobytes. */
const MOST_PAGE_BYTES = 16 * 1024 * 1024;

/** What a caller is told of an error. */
interface Call {
  /** `store chunks/ab` */
  verb: string;
  signal: AbortSignal | undefined;
}

/** A storage in a bucket, without retries: see `retryStorage`. */
export function s3Storage(options: S3Options): Storage & { probe: ProviderProbe } {
  return new S3Storage(options);
}

class S3Storage implements Storage {
  readonly location: string;
  readonly lock?: ObjectLock;
  readonly probe: ProviderProbe;
  readonly extendLock?: NonNullable<Storage["extendLock"]>;
  readonly #bucket: S3Bucket;
  readonly #options: S3Options;
  #client: S3Client | undefined;
  /** False once the server said that it knows no conditional put. */
  #conditionalPut = true;

  constructor(options: S3Options) {
    this.#options = options;
    this.location = `s3://${options.bucket}/${options.prefix}`;
    this.#bucket = new S3Bucket(options);
    this.probe = {
      overwrite: async (...given) => await (await this.#loadProbe()).overwrite(...given),
      destroy: async (...given) => await (await this.#loadProbe()).destroy(...given),
      reachesMore: async (...given) => await (await this.#loadProbe()).reachesMore(...given),
    };
    const { lock } = options;
    if (!lock) return;
    this.lock = lock;
    this.extendLock = async (names, until, signal) => {
      const { client, extendS3Lock } = await this.#large();
      await inGroups(names, (name) =>
        this.#run({ verb: `lock ${name}`, signal }, async () => {
          const object = this.#object(checkName(name));
          const options = { lock, until, ...(signal ? { abortSignal: signal } : {}) };
          await extendS3Lock(client, object, options);
        }));
    };
  }

  async put(name: string, body: Uint8Array, signal?: AbortSignal): Promise<{ created: boolean }> {
    checkName(name);
    // Some servers take a conditional put and ignore the condition, so the question comes first.
    if (await this.head(name, signal)) return { created: false };
    const call = { verb: `store ${name}`, signal };
    return await this.#run(call, async () => {
      try {
        await this.#send(name, body, call);
      } catch (error) {
        if (isPreconditionFailed(error)) return { created: false };
        if (!this.#conditionalPut || !isUnsupported(error)) throw error;
        this.#conditionalPut = false;
        await this.#send(name, body, call);
      }
      return { created: true };
    });
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    checkName(name);
    const { from = 0, to, maxBytes, signal } = options;
    const whole = from === 0 && to === undefined;
    if (to !== undefined && to <= from) return new Uint8Array(0);
    const call = { verb: `read ${name}`, signal };
    return await this.#run(call, async () => {
      const range = `bytes=${from}-${to === undefined ? "" : to - 1}`;
      const question: S3Question = {
        method: "GET",
        name,
        ...(whole ? {} : { headers: { range } }),
      };
      try {
        return await this.#ask(
          question,
          call,
          (answer, heard) => readBytes(answer, { name, maxBytes, heard }),
        );
      } catch (error) {
        if (statusOf(error) === 416) return new Uint8Array(0);
        throw error;
      }
    });
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredObject | null> {
    checkName(name);
    const call = { verb: `look at ${name}`, signal };
    return await this.#run(call, async () => {
      try {
        return await this.#ask({ method: "HEAD", name }, call, ({ headers }) => {
          const modified = headers.get("last-modified");
          const modifiedAt = modified === null ? null : timeOf(modified);
          if (modifiedAt === undefined) throw notTold(call, "the answer's time cannot be read");
          const sizeBytes = Number(headers.get("content-length") ?? 0);
          return Promise.resolve({ name, sizeBytes, modifiedAt });
        });
      } catch (error) {
        if (statusOf(error) === 404) return null;
        throw error;
      }
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject> {
    const { prefix: own } = this.#options;
    const verb = `list ${prefix || "all objects"}`;
    const told = new Set<string>();
    let token: string | null = null;
    do {
      const query: Record<string, string> = {
        ...{ "list-type": "2", prefix: own + prefix },
        ...(token === null ? {} : { "continuation-token": token }),
      };
      const call = { verb, signal };
      const page = await this.#run(call, () => this.#page(query, call));
      for (const { name, sizeBytes, modifiedAt } of page.objects) {
        const inside = name.slice(own.length);
        if (inside) yield { name: inside, sizeBytes, modifiedAt };
      }
      token = page.truncated ? page.token : null;
      if (told.has(token ?? "")) throw notTold(call, "its pages lead in a circle");
      if (token !== null) told.add(token);
    } while (token !== null);
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkName(name);
    const call = { verb: `delete ${name}`, signal };
    await this.#run(call, async () => {
      try {
        await this.#ask({ method: "DELETE", name }, call, discard);
      } catch (error) {
        if (statusOf(error) !== 404) throw error;
      }
    });
  }

  async #page(query: Record<string, string>, call: Call) {
    const text = await this.#ask(
      { method: "GET", name: "", query },
      call,
      async (answer, heard) => {
        const options = { name: "a listing", maxBytes: MOST_PAGE_BYTES, heard };
        const bytes = await readBytes(answer, options);
        return new TextDecoder().decode(bytes);
      },
    );
    const page = readS3Page(text);
    if (page !== null && !(page.truncated && !page.token)) return page;
    const isError = /^\s*(?:<\?[^>]*>\s*)?<Error[\s>]/.test(text);
    const said = isError ? ` (${textOf(text, "Code") ?? "an error"})` : "";
    throw notTold(call, `the answer is no listing of S3, or not all of one${said}`);
  }

  async #send(name: string, body: Uint8Array, call: Call): Promise<void> {
    const { multipartBytes = MULTIPART_BYTES, storageClass = null } = this.#options;
    const { clock = systemClock } = this.#options;
    if (body.length > multipartBytes) {
      const { client, sendInParts } = await this.#large();
      const { lock = null } = this.#options;
      return await sendInParts(client, {
        ...{ object: this.#object(name), body, storageClass, lock, clock, signal: call.signal },
        condition: this.#conditionalPut ? { IfNoneMatch: "*" } : {},
      });
    }
    const headers = {
      "content-type": "application/octet-stream",
      ...(this.#conditionalPut ? { "if-none-match": "*" } : {}),
      ...(storageClass === null ? {} : { "x-amz-storage-class": storageClass }),
      ...(this.lock && { ...lockHeaders(this.lock, clock), ...checksumHeaders(body) }),
    };
    await this.#ask({ method: "PUT", name, headers, body }, call, discard);
  }

  /** @throws {S3Refusal} */
  async #ask<T>(
    question: S3Question,
    { verb, signal }: Call,
    take: Take<T>,
  ): Promise<T> {
    const { prefix, bucket } = this.#options;
    const name = question.name && prefix + question.name;
    const request = this.#bucket.requestFor({ ...question, name });
    const { method, body } = question;
    const said = await send<{ taken: T } | { refusal: S3Refusal }>(request.url, {
      ...{ method, headers: request.headers, ...(body === undefined ? {} : { body }), signal },
      verb: `${verb} in bucket ${bucket}`,
      take: async (answer, heard) => {
        if (answer.ok) return { taken: await take(answer, heard) };
        const text = await beginningOf(answer.body);
        return { refusal: this.#bucket.refusalOf(answer, { text, request }) };
      },
    });
    if ("refusal" in said) throw said.refusal;
    return said.taken;
  }

  async #run<T>({ verb, signal }: Call, run: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await run();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw translateS3Error(error, { verb, bucket: this.#options.bucket });
    }
  }

  #object(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#options.prefix + name };
  }

  async #loadProbe(): Promise<ProviderProbe> {
    const { client, s3Probe } = await this.#large();
    return s3Probe({
      client,
      objectOf: (name) => this.#object(name),
      run: (verb, signal, run) => this.#run({ verb, signal }, run),
    });
  }

  /** The large client and what it is used for. */
  async #large() {
    try {
      const [{ s3Client }, { extendS3Lock }, { sendInParts }, { s3Probe }] = await Promise.all([
        import("./s3_client.ts"),
        import("./s3_locks.ts"),
        import("./s3_parts.ts"),
        import("./s3_probe.ts"),
      ]);
      this.#client ??= s3Client(this.#options);
      return { client: this.#client, extendS3Lock, sendInParts, s3Probe };
    } catch (cause) {
      throw new BackupError("internal", "Cannot use S3: its client does not load", {
        hint: "Large uploads, locks and checks of the provider need it. Deploy or install again.",
        cause,
      });
    }
  }
}

/** For an answer that does not say what was asked. */
function notTold({ verb }: Call, why: string): BackupError {
  return new BackupError("storage_unreachable", `Cannot ${verb}: ${why}`, {
    hint: "Check the endpoint, and what stands between here and the server.",
  });
}

/** Reads an answer that has nothing to say, so that its connection is free again. */
async function discard(answer: Response): Promise<void> {
  await readBytes(answer, { name: "an answer", maxBytes: MOST_PAGE_BYTES });
}
