/**
 * A storage in a container of Azure Blob Storage.
 *
 * @module
 */
import type {
  BlobImmutabilityPolicy,
  BlobServiceClient,
  BlockBlobClient,
  ContainerClient,
} from "@azure/storage-blob";
import { concat, toBase64, utf8 } from "../core/bytes.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { randomId } from "../core/ids.ts";
import type { AzureAccess } from "./azure_access.ts";
import { azureClient } from "./azure_client.ts";
import { azureCode, azureStatus, isThere, translateAzureError } from "./azure_errors.ts";
import { inGroups, lockedUntil } from "./locks.ts";
import { checkName } from "./names.ts";
import { refuseOversized } from "./oversized.ts";
import type { GetOptions, ObjectLock, ProviderProbe, Storage, StoredObject } from "./storage.ts";

/** Where the container is and how to enter. */
export interface AzureOptions {
  container: string;
  /** Put before every name, with its final slash; empty for none. */
  prefix: string;
  access: AzureAccess;
  /** `Hot`, `Cool` or `Cold`; null for the account's. */
  tier?: string | null;
  lock?: ObjectLock | null;
  /** Objects larger than this are sent in blocks. @default 16 MiB */
  blockwiseBytes?: number;
  clock?: Clock;
}

const BLOCK_BYTES = 8 * 1024 * 1024;

/** A storage in a container, without retries: see `retryStorage`. */
export function azureStorage(options: AzureOptions): Storage {
  return new AzureStorage(options);
}

class AzureStorage implements Storage {
  readonly location: string;
  readonly lock?: ObjectLock;
  readonly probe: ProviderProbe;
  readonly extendLock?: NonNullable<Storage["extendLock"]>;
  readonly #options: AzureOptions;
  readonly #clock: Clock;
  #service: Promise<BlobServiceClient> | null = null;

  constructor(options: AzureOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { account, endpoint } = options.access;
    const where = account === null ? `endpoint=${endpoint}` : `account=${account}`;
    this.location = `azure://${options.container}/${options.prefix}?${where}`;
    this.probe = this.#probeOf();
    if (!options.lock) return;
    this.lock = options.lock;
    this.extendLock = (names, until, signal) =>
      inGroups(names, (name) => this.#extend(name, until, signal));
  }

  async put(name: string, body: Uint8Array, signal?: AbortSignal): Promise<{ created: boolean }> {
    checkName(name);
    return await this.#run(`store ${name}`, signal, async () => {
      const blob = await this.#blob(name);
      try {
        await this.#send(blob, body, signal);
        return { created: true };
      } catch (error) {
        if (isThere(error)) return { created: false };
        // Whoever is first to join blocks makes the other's go; the object is then there.
        if (azureCode(error) === "InvalidBlockList" && await blob.exists()) {
          return { created: false };
        }
        throw error;
      }
    });
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    checkName(name);
    const { from = 0, to, maxBytes, signal } = options;
    if (to !== undefined && to <= from) return new Uint8Array(0);
    return await this.#run(`read ${name}`, signal, async () => {
      const blob = await this.#blob(name);
      const length = to === undefined ? undefined : to - from;
      try {
        const answer = await blob.download(from, length, abort(signal));
        return await readStream(answer, { name, maxBytes });
      } catch (error) {
        if (azureStatus(error) === 416) return new Uint8Array(0);
        throw error;
      }
    });
  }

  async head(name: string, signal?: AbortSignal): Promise<StoredObject | null> {
    checkName(name);
    return await this.#run(`look at ${name}`, signal, async () => {
      try {
        const answer = await (await this.#blob(name)).getProperties(abort(signal));
        const { contentLength = 0, lastModified = null } = answer;
        return { name, sizeBytes: contentLength, modifiedAt: lastModified };
      } catch (error) {
        // A question without a body has an answer without one: the status is all there is.
        if (azureStatus(error) !== 404 || azureCode(error) === "ContainerNotFound") throw error;
        return null;
      }
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject> {
    const verb = `list ${prefix || "all objects"}`;
    const container = await this.#run(verb, signal, () => this.#container());
    const whole = { prefix: this.#options.prefix + prefix };
    const pages = container.listBlobsFlat({ ...whole, ...abort(signal) }).byPage();
    for (;;) {
      const page = await this.#run(verb, signal, () => pages.next());
      if (page.done) return;
      for (const { name, properties } of page.value.segment.blobItems) {
        yield {
          name: name.slice(this.#options.prefix.length),
          sizeBytes: properties.contentLength ?? 0,
          modifiedAt: properties.lastModified,
        };
      }
    }
  }

  async delete(name: string, signal?: AbortSignal): Promise<void> {
    checkName(name);
    await this.#run(`delete ${name}`, signal, async () => {
      await (await this.#blob(name)).deleteIfExists(abort(signal));
    });
  }

  async #send(
    blob: BlockBlobClient,
    body: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { tier = null, lock = null } = this.#options;
    const options = {
      conditions: { ifNoneMatch: "*" },
      blobHTTPHeaders: { blobContentType: "application/octet-stream" },
      ...(tier === null ? {} : { tier }),
      ...(lock?.mode ? { immutabilityPolicy: policy(lock, lockedUntil(lock, this.#clock)) } : {}),
      ...(lock?.legalHold ? { legalHold: true } : {}),
      ...abort(signal),
    };
    if (body.length <= (this.#options.blockwiseBytes ?? 2 * BLOCK_BYTES)) {
      await blob.upload(body as BlobPart, body.length, options);
      return;
    }
    // Blocks of two writers must not be taken for each other's; ids of one blob have one length.
    const writer = randomId(16);
    const ids: string[] = [];
    for (let at = 0; at < body.length; at += BLOCK_BYTES) {
      const block = body.subarray(at, at + BLOCK_BYTES);
      const id = toBase64(utf8(`${writer}-${String(ids.length).padStart(6, "0")}`));
      await blob.stageBlock(id, block as BlobPart, block.length, abort(signal));
      ids.push(id);
    }
    await blob.commitBlockList(ids, options);
  }

  async #extend(name: string, until: Date, signal: AbortSignal | undefined): Promise<void> {
    const lock = this.#options.lock!;
    await this.#run(`lock ${name}`, signal, async () => {
      const blob = await this.#blob(checkName(name));
      if (lock.legalHold) await blob.setLegalHold(true, abort(signal));
      if (lock.mode === null) return;
      try {
        await blob.setImmutabilityPolicy({ ...policy(lock, until), ...abort(signal) });
      } catch (error) {
        // A lock cannot be made shorter: the present one may end later.
        if (azureStatus(error) === 404) throw error;
        const { immutabilityPolicyExpiresOn: present } = await blob.getProperties(abort(signal));
        if (present === undefined || present < until) throw error;
      }
    });
  }

  #probeOf(): ProviderProbe {
    return {
      overwrite: async (name, body, signal) => {
        // Every upload of this storage is on that condition.
        return (await this.put(name, body, signal)).created ? "done" : "refused";
      },
      destroy: async (name, { bypassLock, signal }) => {
        try {
          await this.#run(`destroy ${name}`, signal, async () => {
            const blob = await this.#blob(checkName(name));
            if (bypassLock) {
              await blob.setLegalHold(false, abort(signal));
              await blob.deleteImmutabilityPolicy(abort(signal));
            }
            const { versionId } = await blob.getProperties(abort(signal));
            await blob.delete({ deleteSnapshots: "include", ...abort(signal) });
            // Where versions are kept, what was deleted is one of them now.
            if (versionId) await blob.withVersion(versionId).deleteIfExists(abort(signal));
          });
          return "done";
        } catch (error) {
          if (error instanceof BackupError && error.code === "storage_refused") return "refused";
          throw error;
        }
      },
      reachesMore: async (signal) => {
        if (this.#options.access.kind === "key") return true;
        return await this.#run("list the containers", signal, async () => {
          const service = await this.#client();
          try {
            await service.listContainers(abort(signal)).byPage({ maxPageSize: 1 }).next();
            return true;
          } catch (error) {
            if ([401, 403, 404].includes(azureStatus(error))) return false;
            throw error;
          }
        });
      },
    };
  }

  async #client(): Promise<BlobServiceClient> {
    return await (this.#service ??= azureClient(this.#options.access));
  }

  async #container(): Promise<ContainerClient> {
    return (await this.#client()).getContainerClient(this.#options.container);
  }

  async #blob(name: string): Promise<BlockBlobClient> {
    return (await this.#container()).getBlockBlobClient(this.#options.prefix + name);
  }

  async #run<T>(verb: string, signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    try {
      return await run();
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      throw translateAzureError(error, { verb, container: this.#options.container });
    }
  }
}

/** What the client gives of an object. */
interface Answer {
  contentLength?: number;
  readableStreamBody?: AsyncIterable<unknown>;
}

async function readStream(
  { contentLength, readableStreamBody }: Answer,
  { name, maxBytes }: { name: string; maxBytes: number | undefined },
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  if (readableStreamBody !== undefined) {
    // Leaving the loop by an error ends the stream, and with it the answer.
    for await (const part of readableStreamBody) {
      length += (part as Uint8Array).length;
      refuseOversized(name, Math.max(length, contentLength ?? 0), maxBytes);
      parts.push(part as Uint8Array);
    }
  }
  if (contentLength !== undefined && length !== contentLength) {
    const why = `${length} of ${contentLength} bytes came`;
    throw new BackupError("storage_unreachable", `Cannot read ${name}: ${why}`);
  }
  return concat(parts);
}

function policy({ mode }: ObjectLock, until: Date): BlobImmutabilityPolicy {
  return { expiriesOn: until, policyMode: mode === "compliance" ? "Locked" : "Unlocked" };
}

function abort(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal ? { abortSignal: signal } : {};
}
