/**
 * A storage in a bucket of Amazon S3 or of a server that speaks its protocol.
 *
 * @module
 */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  type StorageClass,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { concat } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { inGroups } from "./locks.ts";
import { checkName } from "./names.ts";
import { refuseOversized } from "./oversized.ts";
import { s3Client, type S3ClientOptions } from "./s3_client.ts";
import { isPreconditionFailed, isUnsupported, statusOf, translateS3Error } from "./s3_errors.ts";
import { checksumFor, extendS3Lock, lockFor } from "./s3_locks.ts";
import { s3Probe } from "./s3_probe.ts";
import type { GetOptions, ObjectLock, ProviderProbe, Storage, StoredObject } from "./storage.ts";

/** Where the bucket is and how to enter. */
export interface S3Options extends S3ClientOptions {
  bucket: string;
  /** Put before every name, with its final slash; empty for none. */
  prefix: string;
  /** Objects larger than this are sent in parts. Default 16 MiB. */
  multipartBytes?: number;
  /** As S3 names it; null for the bucket's. */
  storageClass?: string | null;
  lock?: ObjectLock | null;
  clock?: Clock;
}

/** S3's least size of a part that is not the last. */
const PART_BYTES = 8 * 1024 * 1024;

/** A storage in a bucket, without retries: see `retryStorage`. */
export function s3Storage(options: S3Options): Storage & { probe: ProviderProbe } {
  return new S3Storage(options);
}

class S3Storage implements Storage {
  readonly location: string;
  readonly lock?: ObjectLock;
  readonly probe: ProviderProbe;
  readonly extendLock?: NonNullable<Storage["extendLock"]>;
  readonly #client: S3Client;
  readonly #options: S3Options;
  /** False once the server said that it knows no conditional put. */
  #conditionalPut = true;

  constructor(options: S3Options) {
    this.#options = options;
    this.location = `s3://${options.bucket}/${options.prefix}`;
    this.#client = s3Client(options);
    this.probe = s3Probe({
      client: this.#client,
      objectOf: (name) => this.#object(name),
      run: (verb, signal, run) => this.#run(verb, signal, run),
    });
    const { lock } = options;
    if (!lock) return;
    this.lock = lock;
    this.extendLock = (names, until, signal) =>
      inGroups(names, (name) =>
        this.#run(`lock ${name}`, signal, async () => {
          const object = this.#object(checkName(name));
          await extendS3Lock(this.#client, object, { lock, until, ...abort(signal) });
        }));
  }

  async put(name: string, body: Uint8Array, signal?: AbortSignal): Promise<{ created: boolean }> {
    checkName(name);
    // Some servers take a conditional put and ignore the condition, so the question comes first.
    if (await this.head(name, signal)) return { created: false };
    return await this.#run(`store ${name}`, signal, async () => {
      try {
        await this.#send(name, body, signal);
      } catch (error) {
        if (isPreconditionFailed(error)) return { created: false };
        if (!this.#conditionalPut || !isUnsupported(error)) throw error;
        this.#conditionalPut = false;
        await this.#send(name, body, signal);
      }
      return { created: true };
    });
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    checkName(name);
    const { from = 0, to, maxBytes, signal } = options;
    const whole = from === 0 && to === undefined;
    if (to !== undefined && to <= from) return new Uint8Array(0);
    return await this.#run(`read ${name}`, signal, async () => {
      const range = `bytes=${from}-${to === undefined ? "" : to - 1}`;
      const input = { ...this.#object(name), ...(whole ? {} : { Range: range }) };
      try {
        const answer = await this.#client.send(new GetObjectCommand(input), abort(signal));
        const bytes = await readBody(answer, { name, maxBytes });
        const expected = answer.ContentLength;
        if (expected !== undefined && bytes.length !== expected) {
          const why = `${bytes.length} of ${expected} bytes came`;
          throw new BackupError("storage_unreachable", `Cannot read ${name}: ${why}`);
        }
        return bytes;
      } catch (error) {
        if (statusOf(error) === 416) return new Uint8Array(0);
        throw error;
      }
    });
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredObject | null> {
    checkName(name);
    return await this.#run(`look at ${name}`, signal, async () => {
      try {
        const command = new HeadObjectCommand(this.#object(name));
        const answer = await this.#client.send(command, abort(signal));
        const modifiedAt = answer.LastModified ?? null;
        return { name, sizeBytes: answer.ContentLength ?? 0, modifiedAt };
      } catch (error) {
        if (statusOf(error) === 404) return null;
        throw error;
      }
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject> {
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        Bucket: this.#options.bucket,
        Prefix: this.#options.prefix + prefix,
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
      const page = await this.#run(
        `list ${prefix || "all objects"}`,
        signal,
        () => this.#client.send(command, abort(signal)),
      );
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        const name = (Key ?? "").slice(this.#options.prefix.length);
        if (name) yield { name, sizeBytes: Size ?? 0, modifiedAt: LastModified ?? null };
      }
      token = page.IsTruncated ? page.NextContinuationToken : undefined;
    } while (token !== undefined);
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkName(name);
    await this.#run(`delete ${name}`, signal, async () => {
      try {
        await this.#client.send(new DeleteObjectCommand(this.#object(name)), abort(signal));
      } catch (error) {
        if (statusOf(error) !== 404) throw error;
      }
    });
  }

  #object(name: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#options.prefix + name };
  }

  /** How objects are kept once they are there. */
  #kept() {
    const { storageClass = null, clock = systemClock } = this.#options;
    return {
      ...(storageClass === null ? {} : { StorageClass: storageClass as StorageClass }),
      ...(this.lock && lockFor(this.lock, clock)),
    };
  }

  #condition(): { IfNoneMatch?: string } {
    return this.#conditionalPut ? { IfNoneMatch: "*" } : {};
  }

  async #send(name: string, body: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    if (body.length > (this.#options.multipartBytes ?? 2 * PART_BYTES)) {
      return await this.#sendInParts(name, body, signal);
    }
    const input = {
      ...this.#object(name),
      ...this.#condition(),
      ...this.#kept(),
      ...checksumFor(this.lock, body),
      Body: body,
    };
    await this.#client.send(new PutObjectCommand(input), abort(signal));
  }

  /** Parts one after the other: a single caller's objects are seldom this large. */
  async #sendInParts(
    name: string,
    body: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const object = this.#object(name);
    const begin = new CreateMultipartUploadCommand({ ...object, ...this.#kept() });
    const { UploadId } = await this.#client.send(begin, abort(signal));
    if (UploadId === undefined) {
      throw new BackupError("storage_refused", `Cannot store ${name}: no upload was begun`);
    }
    try {
      const Parts: { ETag: string | undefined; PartNumber: number }[] = [];
      for (let at = 0; at < body.length; at += PART_BYTES) {
        const PartNumber = Parts.length + 1;
        const Body = body.subarray(at, at + PART_BYTES);
        const part = { UploadId, PartNumber, Body, ...checksumFor(this.lock, Body) };
        const command = new UploadPartCommand({ ...object, ...part });
        const { ETag } = await this.#client.send(command, abort(signal));
        Parts.push({ ETag, PartNumber });
      }
      const MultipartUpload = { Parts };
      const input = { ...object, ...this.#condition(), UploadId, MultipartUpload };
      await this.#client.send(new CompleteMultipartUploadCommand(input), abort(signal));
    } catch (error) {
      // Best effort: parts that stay behind are no object, and the first error says more.
      const input = { ...object, UploadId };
      await this.#client.send(new AbortMultipartUploadCommand(input)).catch(() => {});
      throw error;
    }
  }

  async #run<T>(verb: string, signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await run();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw translateS3Error(error, { verb, bucket: this.#options.bucket });
    }
  }
}

/** What a server says of an object, and the object. */
interface Answer {
  ContentLength?: number | undefined;
  Body?: { transformToWebStream(): ReadableStream; transformToByteArray(): Promise<Uint8Array> };
}

/** The body, counted while it comes where the server does not say beforehand how long it is. */
async function readBody(
  answer: Answer,
  { name, maxBytes }: { name: string; maxBytes: number | undefined },
): Promise<Uint8Array> {
  const { Body, ContentLength } = answer;
  if (!Body) return new Uint8Array(0);
  if (maxBytes === undefined) return await Body.transformToByteArray();
  const parts: Uint8Array[] = [];
  let length = ContentLength ?? 0;
  const stream: ReadableStream<Uint8Array> = Body.transformToWebStream();
  try {
    refuseOversized(name, length, maxBytes);
    length = 0;
    for await (const part of stream.values({ preventCancel: true })) {
      length += part.length;
      refuseOversized(name, length, maxBytes);
      parts.push(part);
    }
  } catch (error) {
    await stream.cancel().catch(() => {}); // the first error says more
    throw error;
  }
  return concat(parts);
}

function abort(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal ? { abortSignal: signal } : {};
}
