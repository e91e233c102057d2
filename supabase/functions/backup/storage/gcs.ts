/**
 * A storage in a bucket of Google Cloud Storage, by its JSON API.
 *
 * @module
 */
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { GcsClient, takeNothing } from "./gcs_client.ts";
import type { ServiceAccount } from "./gcs_token.ts";
import { PIECE_BYTES, sendInPieces, sendObject } from "./gcs_upload.ts";
import { inGroups, lockedUntil } from "./locks.ts";
import { checkName } from "./names.ts";
import { readBytes, readJson } from "./send.ts";
import type { GetOptions, ObjectLock, ProviderProbe, Storage, StoredObject } from "./storage.ts";

/** Where the bucket is and how to enter. */
export interface GcsOptions {
  bucket: string;
  /** Put before every name, with its final slash; empty for none. */
  prefix: string;
  /** Address of another server; null for Google's. */
  endpoint: string | null;
  account: ServiceAccount;
  storageClass?: string | null;
  lock?: ObjectLock | null;
  /** Objects larger than this are sent in pieces that an error does not undo. @default 8 MiB */
  resumableBytes?: number;
  clock?: Clock;
}

/** A storage in a bucket, without retries: see `retryStorage`. */
export function gcsStorage(options: GcsOptions): Storage {
  return new GcsStorage(options);
}

/** What the server says of an object. */
interface Resource {
  name: string;
  size?: string;
  timeCreated?: string;
  retention?: { retainUntilTime?: string };
}

class GcsStorage implements Storage {
  readonly location: string;
  readonly lock?: ObjectLock;
  readonly probe: ProviderProbe;
  readonly extendLock?: NonNullable<Storage["extendLock"]>;
  readonly #options: GcsOptions;
  readonly #client: GcsClient;
  readonly #clock: Clock;

  constructor(options: GcsOptions) {
    const { lock = null, clock = systemClock } = options;
    this.#options = options;
    this.#clock = clock;
    this.#client = new GcsClient({ ...options, locks: lock !== null, clock });
    this.location = `gs://${options.bucket}/${options.prefix}`;
    this.probe = probeOf(this, this.#client);
    if (lock === null) return;
    this.lock = lock;
    this.extendLock = (names, until, signal) =>
      inGroups(names, (name) => this.#extend(name, until, signal));
  }

  async put(name: string, body: Uint8Array, signal?: AbortSignal): Promise<{ created: boolean }> {
    checkName(name);
    signal?.throwIfAborted();
    const upload = { name, body, facts: this.#facts(name), signal };
    return body.length > (this.#options.resumableBytes ?? PIECE_BYTES)
      ? await sendInPieces(this.#client, upload)
      : await sendObject(this.#client, upload);
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    const url = `${this.#client.object(name)}?alt=media`;
    const { from = 0, to, maxBytes, signal } = options;
    if (to !== undefined && to <= from) return new Uint8Array(0);
    const whole = from === 0 && to === undefined;
    const range = `bytes=${from}-${to === undefined ? "" : to - 1}`;
    return await this.#client.ask(`read ${name}`, url, {
      // Compressed answers would hide the length, and nothing of ours gets smaller.
      headers: { "accept-encoding": "identity", ...(whole ? {} : { range }) },
      signal,
      also: [416],
      take: async (answer, heard) => {
        if (answer.status !== 416) return await readBytes(answer, { name, maxBytes, heard });
        await answer.body?.cancel();
        return new Uint8Array(0);
      },
    });
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredObject | null> {
    const resource = await this.#resource(name, signal);
    return resource && this.#describe(resource);
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject> {
    const verb = `list ${prefix || "all objects"}`;
    const query = new URLSearchParams({
      prefix: this.#options.prefix + prefix,
      fields: "nextPageToken,items(name,size,timeCreated)",
    });
    for (;;) {
      const page = await this.#client.ask(verb, `${this.#client.objects}?${query}`, {
        signal,
        take: (answer) => readJson<{ items?: Resource[]; nextPageToken?: string }>(answer, verb),
      });
      for (const item of page.items ?? []) {
        const object = this.#describe(item);
        if (object.name) yield object;
      }
      if (page.nextPageToken === undefined) return;
      query.set("pageToken", page.nextPageToken);
    }
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    await this.#client.ask(`delete ${name}`, this.#client.object(name), {
      method: "DELETE",
      signal,
      missing: true,
      take: takeNothing,
    });
  }

  #facts(name: string): Record<string, unknown> {
    const { storageClass = null, lock = null } = this.#options;
    const until = lock && lockedUntil(lock, this.#clock);
    return {
      name: this.#options.prefix + name,
      contentType: "application/octet-stream",
      ...(storageClass === null ? {} : { storageClass }),
      ...(lock?.mode ? { retention: retention(lock, until!) } : {}),
      ...(lock?.legalHold ? { temporaryHold: true } : {}),
    };
  }

  async #extend(name: string, until: Date, signal: AbortSignal | undefined): Promise<void> {
    const lock = this.#options.lock!;
    const resource = await this.#resource(name, signal, "name,retention");
    if (resource === null) {
      throw new BackupError(
        "storage_missing",
        `Cannot lock ${name}: the bucket has no such object`,
      );
    }
    const present = resource.retention?.retainUntilTime;
    const isLonger = present !== undefined && new Date(present) >= until;
    const changes = {
      ...(lock.mode === null || isLonger ? {} : { retention: retention(lock, until) }),
      ...(lock.legalHold ? { temporaryHold: true } : {}),
    };
    if (Object.keys(changes).length === 0) return;
    await this.#client.ask(`lock ${name}`, this.#client.object(name), {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(changes),
      signal,
      take: takeNothing,
    });
  }

  /** What the server says of an object, null when there is none. */
  async #resource(
    name: string,
    signal: AbortSignal | undefined,
    fields = "name,size,timeCreated",
  ): Promise<Resource | null> {
    const verb = `look at ${name}`;
    return await this.#client.ask<Resource | null>(
      verb,
      `${this.#client.object(name)}?fields=${fields}`,
      {
        signal,
        missing: true,
        take: async (answer) => {
          if (answer.ok) return await readJson<Resource>(answer, verb);
          await answer.body?.cancel();
          return null;
        },
      },
    );
  }

  #describe({ name, size, timeCreated }: Resource): StoredObject {
    return {
      name: name.slice(this.#options.prefix.length),
      sizeBytes: Number(size ?? 0),
      modifiedAt: timeCreated === undefined ? null : new Date(timeCreated),
    };
  }

  #object(name: string): string {
    return `${this.#client.objects}/${encodeURIComponent(this.#options.prefix + checkName(name))}`;
  }
}

function probeOf(storage: Storage, client: GcsClient): ProviderProbe {
  return {
    async overwrite(name, body, signal) {
      // Every upload of this storage is on that condition.
      return (await storage.put(name, body, signal)).created ? "done" : "refused";
    },
    async destroy(name, { bypassLock, signal }) {
      try {
        if (bypassLock) {
          await client.ask(
            `unlock ${name}`,
            `${client.object(name)}?overrideUnlockedRetention=true`,
            {
              method: "PATCH",
              headers: { "content-type": "application/json" },
              body: JSON.stringify({ retention: null, temporaryHold: false }),
              signal,
              take: takeNothing,
            },
          );
        }
        await storage.delete(name, signal);
        return "done";
      } catch (error) {
        if (error instanceof BackupError && error.code === "storage_refused") return "refused";
        throw error;
      }
    },
    async reachesMore(signal) {
      if (client.projectId === null) return null;
      const query = new URLSearchParams({ project: client.projectId, maxResults: "2" });
      const verb = "list the buckets";
      return await client.ask(verb, `${client.buckets}?${query}`, {
        signal,
        also: [403, 404],
        take: async (answer) => {
          if (answer.ok) {
            const { items = [] } = await readJson<{ items?: unknown[] }>(answer, verb);
            return items.length > 1;
          }
          await takeNothing(answer);
          return false;
        },
      });
    },
  };
}

function retention({ mode }: ObjectLock, until: Date): { mode: string; retainUntilTime: string } {
  return {
    mode: mode === "compliance" ? "Locked" : "Unlocked",
    retainUntilTime: until.toISOString(),
  };
}
