/**
 * A storage in a bucket of Supabase Storage, best of another project than the one that is backed up.
 *
 * @module
 */
import type { StorageClient } from "@supabase/storage-js";
import { BackupError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import { checkName } from "./names.ts";
import { readBytes } from "./send.ts";
import type { GetOptions, ProviderProbe, Storage, StoredObject } from "./storage.ts";
import { isRefusal, type SupabaseRefusal, translateSupabaseError } from "./supabase_errors.ts";

/** Where the bucket is and how to enter. */
export interface SupabaseOptions {
  /** Address of the project, as `https://<ref>.supabase.co`. */
  endpoint: string;
  bucket: string;
  /** Put before every name, with its final slash; empty for none. */
  prefix: string;
  /** A secret key of that project. */
  key: Secret;
}

/** A request is given up after this time. */
const TIMEOUT_MS = 120_000;
const PAGE = 1000;

/** A storage in a bucket, without retries: see `retryStorage`. */
export function supabaseStorage(options: SupabaseOptions): Storage {
  return new SupabaseStorage(options);
}

/** What the client answers. */
interface Outcome<T> {
  data: T | null;
  error: unknown;
}

class SupabaseStorage implements Storage {
  readonly location: string;
  readonly probe: ProviderProbe;
  readonly #options: SupabaseOptions;
  #library: Promise<typeof import("@supabase/storage-js")> | null = null;

  constructor(options: SupabaseOptions) {
    this.#options = options;
    const { bucket, prefix, endpoint } = options;
    this.location = `supabase://${bucket}/${prefix}?endpoint=${endpoint}`;
    this.probe = {
      overwrite: async (name, body, signal) => {
        // Every upload of this storage is on that condition.
        return (await this.put(name, body, signal)).created ? "done" : "refused";
      },
      destroy: async (name, { signal }) => {
        await this.delete(name, signal);
        return "done";
      },
      reachesMore: async (signal) => {
        const ask = (client: StorageClient) => client.listBuckets();
        return (await this.#ask("list the buckets", signal, ask)).length > 1;
      },
    };
  }

  async put(name: string, body: Uint8Array, signal?: AbortSignal): Promise<{ created: boolean }> {
    checkName(name);
    const options = { upsert: false, contentType: "application/octet-stream" };
    try {
      // The bytes as they are: a form around them would need a copy.
      await this.#ask(
        `store ${name} of ${body.length} bytes`,
        signal,
        (client) => client.from(this.#options.bucket).upload(this.#path(name), body, options),
      );
      return { created: true };
    } catch (error) {
      if (isRefusal(error, "KeyAlreadyExists", "ResourceAlreadyExists")) return { created: false };
      throw this.#ours(error, `store ${name} of ${body.length} bytes`);
    }
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    checkName(name);
    const { from = 0, to, maxBytes, signal } = options;
    if (to !== undefined && to <= from) return new Uint8Array(0);
    const whole = from === 0 && to === undefined;
    const range = whole ? undefined : `bytes=${from}-${to === undefined ? "" : to - 1}`;
    try {
      let bytes: Uint8Array = new Uint8Array(0);
      await this.#ask(`read ${name}`, signal, async (client, seen) => {
        const outcome = await client.from(this.#options.bucket).download(this.#path(name))
          .asStream();
        if (outcome.error === null) {
          const { headers } = seen.answer!;
          bytes = await readBytes(new Response(outcome.data, { headers }), { name, maxBytes });
        }
        return outcome;
      }, range);
      return bytes;
    } catch (error) {
      if (
        isRefusal(error, "InvalidRange") || Number((error as SupabaseRefusal).statusCode) === 416
      ) {
        return new Uint8Array(0);
      }
      throw this.#ours(error, `read ${name}`);
    }
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredObject | null> {
    checkName(name);
    try {
      const ask = (client: StorageClient) =>
        client.from(this.#options.bucket).info(this.#path(name));
      const { size, createdAt } = await this.#ask(`look at ${name}`, signal, ask);
      return {
        name,
        sizeBytes: Number(size ?? 0),
        modifiedAt: createdAt ? new Date(createdAt) : null,
      };
    } catch (error) {
      if (isRefusal(error, "NoSuchKey")) return null;
      throw this.#ours(error, `look at ${name}`);
    }
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject> {
    const verb = `list ${prefix || "all objects"}`;
    let cursor: string | undefined;
    do {
      const page = await this.#ask(
        verb,
        signal,
        (client) =>
          client.from(this.#options.bucket).listV2({
            prefix: this.#options.prefix + prefix,
            limit: PAGE,
            ...(cursor === undefined ? {} : { cursor }),
          }),
      ).catch((error) => {
        throw this.#ours(error, verb);
      });
      for (const { name, metadata, created_at } of page.objects) {
        yield {
          name: name.slice(this.#options.prefix.length),
          sizeBytes: Number(metadata?.size ?? 0),
          modifiedAt: created_at ? new Date(created_at) : null,
        };
      }
      cursor = page.hasNext ? page.nextCursor : undefined;
    } while (cursor !== undefined);
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkName(name);
    try {
      const removed = await this.#ask(
        `delete ${name}`,
        signal,
        (client) => client.from(this.#options.bucket).remove([this.#path(name)]),
      );
      // A key without the right removes nothing and is not told so.
      if (removed.length > 0 || await this.head(name, signal) === null) return;
    } catch (error) {
      throw this.#ours(error, `delete ${name}`);
    }
    throw new BackupError("storage_refused", `Cannot delete ${name}: the object is still there`, {
      hint: "Use a secret key of the project: row security keeps others from removing objects.",
    });
  }

  #path(name: string): string {
    return this.#options.prefix + name;
  }

  /** Throws what the client returns as an error, as it is. */
  async #ask<T>(
    verb: string,
    signal: AbortSignal | undefined,
    run: (client: StorageClient, seen: { answer: Response | null }) => Promise<Outcome<T>>,
    range?: string,
  ): Promise<NonNullable<T>> {
    signal?.throwIfAborted();
    const ending = new AbortController();
    const onAbort = () => ending.abort(signal?.reason);
    const timer = setTimeout(() => {
      const why = `no answer in ${TIMEOUT_MS / 1000} seconds`;
      ending.abort(new BackupError("storage_unreachable", `Cannot ${verb}: ${why}`));
    }, TIMEOUT_MS);
    signal?.addEventListener("abort", onAbort, { once: true });
    const seen: { answer: Response | null } = { answer: null };
    const key = this.#options.key.reveal();
    const headers = {
      ...{ apikey: key, authorization: `Bearer ${key}`, "accept-encoding": "identity" },
      ...(range === undefined ? {} : { range }),
    };
    try {
      this.#library ??= import("@supabase/storage-js");
      const { StorageClient } = await this.#library;
      const url = `${this.#options.endpoint.replace(/\/+$/, "")}/storage/v1`;
      const client = new StorageClient(url, headers, async (input, init) => {
        // Where a request goes is what the settings say: a server may not send it on.
        const how = { ...init, redirect: "manual" as const, signal: ending.signal };
        return seen.answer = await fetch(input, how);
      });
      const { data, error } = await run(client, seen);
      if (error !== null) throw error;
      return data!;
    } catch (error) {
      if (ending.signal.aborted) throw ending.signal.reason;
      throw error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** One of our errors; the reason of a signal stays as it is. */
  #ours(error: unknown, verb: string): unknown {
    return translateSupabaseError(error, { verb, bucket: this.#options.bucket });
  }
}
