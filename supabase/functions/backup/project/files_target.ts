/**
 * Restoring buckets and objects through the API of Supabase Storage: an object whose row alone were
 * written would have no bytes.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { concat } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { ItemResult, ItemStep, ItemTarget, ItemWork, SavedItem } from "../core/items.ts";
import type { Session } from "../postgres/session.ts";
import { applyBucket, bucketStep } from "./bucket_steps.ts";
import { checkedWords, differenceOf, isProven, requireSame } from "./compare_objects.ts";
import { addressOf, metadataOf, OBJECT_CONTENT, textFact } from "./object_facts.ts";
import { ObjectRows } from "./object_rows.ts";
import { md5Of, type ObjectAddress, type ObjectInfo } from "./object_types.ts";
import { restoreOwner } from "./restore_owner.ts";
import { STEP_BYTES } from "./resumable_upload.ts";
import type { StorageApi } from "./storage_api.ts";
import { type Resume, uploadInSteps } from "./upload_in_steps.ts";

/** What files are restored into. */
export interface FilesTargetOptions {
  api: StorageApi;
  /** What becomes of buckets and objects that are there and differ. */
  onExisting: "skip" | "replace";
  /** Of the project's database: makes planning quicker, and owners and times possible. */
  database: Session | null;
  /** Whether owners and times of the backup are written into the rows. Needs the database. */
  ownersAndTimes: boolean;
}

/** Objects looked up at once where there is no database. */
const AT_ONCE = 8;

/** Buckets and objects of a project. @throws `invalid_config` for owners without a database */
export function filesTarget(options: FilesTargetOptions): ItemTarget {
  if (options.ownersAndTimes && options.database === null) {
    throw new BackupError(
      "invalid_config",
      "Cannot restore owners and times of objects: only the database can hold them",
      { hint: "Restore without them, or give the database of the project." },
    );
  }
  return new FilesTarget(options);
}

class FilesTarget implements ItemTarget {
  readonly #options: FilesTargetOptions;
  readonly #api: StorageApi;

  constructor(options: FilesTargetOptions) {
    this.#options = options;
    this.#api = options.api;
  }

  async plan(items: readonly SavedItem[], signal: AbortSignal): Promise<ItemStep[]> {
    const { onExisting } = this.#options;
    const buckets = new Map((await this.#api.buckets(signal)).map((each) => [each.id, each]));
    const saved = items.filter((item) => addressOf(item.key).name !== null);
    const present = await this.#present(
      saved.map(addressOfObject).filter(({ bucket }) => buckets.has(bucket)),
      signal,
    );
    return [
      ...items.filter((item) => addressOf(item.key).name === null)
        .map((item) => bucketStep(item, { now: buckets.get(item.key), onExisting })),
      ...await mapInBatches(saved, async (item) => {
        const step = this.#objectStep(item, present.get(item.key));
        const isSame = step.action === "keep" && step.difference === undefined;
        return isSame && !await this.#hasBytes(item, signal) ? withoutBytes(item) : step;
      }),
    ];
  }

  /**
   * A row alone says nothing of bytes: a restore of the database brings rows back without them. A server
   * that keeps its bytes as files answers 500 then; if it has another reason, what is stored again is the same.
   */
  async #hasBytes(item: SavedItem, signal: AbortSignal): Promise<boolean> {
    const range = item.sizeBytes > 0 ? { from: 0, to: 1 } : {};
    try {
      const download = await this.#api.download(addressOfObject(item), { ...range, signal });
      await download?.cancel();
      return download !== null;
    } catch (error) {
      if (error instanceof BackupError && error.details?.status === 500) return false;
      throw error;
    }
  }

  async apply(step: ItemStep, work: ItemWork): Promise<ItemResult> {
    const { item, signal } = work;
    const { key, action } = step;
    if (action === "keep") return { key, outcome: "kept" };
    if (action === "by-hand") return { key, outcome: "by-hand" };
    if (addressOf(key).name === null) return await applyBucket(this.#api, { step, item, signal });
    const stored = await this.#store(step, work);
    if (stored.kind === "paused") return { key, outcome: "paused", resume: { ...stored.resume } };
    const address = addressOfObject(item);
    const info = await this.#api.info(address, signal);
    if (stored.kind === "exists" && !isProven(info, item, stored.md5)) {
      return { key, outcome: "kept", checked: "another object has taken the name meanwhile" };
    }
    requireSame(info, { item, md5: stored.md5 });
    const { ownersAndTimes, database } = this.#options;
    if (ownersAndTimes && database !== null) await restoreOwner(database, address, item.facts);
    return { key, outcome: "done", checked: checkedWords(info, item, { ownersAndTimes }) };
  }

  #objectStep(item: SavedItem, now: ObjectInfo | undefined): ItemStep {
    const { key } = item;
    const content = item.contents.find(({ name }) => name === OBJECT_CONTENT);
    if (content === undefined) {
      return { key, action: "by-hand", title: `upload ${key}: the backup has no bytes of it` };
    }
    if (now === undefined) {
      return { key, action: "create", title: `store ${key} (${content.bytes} bytes)` };
    }
    const difference = differenceOf(now, item);
    if (Object.keys(difference).length === 0) {
      return { key, action: "keep", title: `keep ${key}: it is the same` };
    }
    return this.#options.onExisting === "skip"
      ? { key, action: "keep", title: `keep ${key}, which is another`, difference }
      : {
        ...{ key, action: "replace", title: `replace ${key} (${content.bytes} bytes)`, difference },
        hazards: ["The object that is there now is lost, unless a backup has it."],
      };
  }

  async #store({ action }: ItemStep, work: ItemWork): Promise<Stored> {
    const { item, open, signal } = work;
    const address = addressOfObject(item);
    const content = item.contents.find(({ name }) => name === OBJECT_CONTENT);
    if (content === undefined) {
      throw new BackupError(
        "not_found",
        `Cannot restore ${item.key}: the backup has no bytes of it`,
      );
    }
    const replace = action === "replace" || this.#options.onExisting === "replace";
    const metadata = metadataOf(item.facts);
    if (content.bytes > STEP_BYTES) {
      const savedMd5 = md5Of(textFact(item.facts, "eTag"));
      const result = await uploadInSteps(this.#api, address, {
        ...{ metadata, bytes: content.bytes, replace, signal },
        open: (from) => open(content, { from }),
        resume: work.resume as unknown as Resume | null,
        maxBytes: work.maxBytes,
        isThere: async () => isProven(await this.#api.info(address, signal), item, savedMd5),
      });
      return typeof result === "string"
        ? { kind: result, md5: savedMd5 }
        : { kind: "paused", resume: result };
    }
    const body = concat(await Array.fromAsync(open(content)));
    const md5 = createHash("md5").update(body).digest("hex");
    const isStored = await this.#api.upload(address, { body, metadata, replace, signal });
    return { kind: isStored ? "stored" : "exists", md5 };
  }

  /** What is in the target of these objects, by key. */
  async #present(
    addresses: readonly ObjectAddress[],
    signal: AbortSignal,
  ): Promise<Map<string, ObjectInfo>> {
    const { database } = this.#options;
    const rows = database === null ? null : await ObjectRows.open(database);
    const found = new Map<string, ObjectInfo>();
    for (let at = 0; rows === null && at < addresses.length; at += AT_ONCE) {
      const batch = addresses.slice(at, at + AT_ONCE);
      const infos = await Promise.all(batch.map((each) => this.#api.info(each, signal)));
      for (const [index, info] of infos.entries()) {
        if (info !== null) found.set(`${batch[index]!.bucket}/${info.name}`, info);
      }
    }
    for (const { bucket, ...info } of await rows?.findAll(addresses) ?? []) {
      found.set(`${bucket}/${info.name}`, info);
    }
    return found;
  }
}

/** Nothing is lost by it: there are no bytes to lose. */
function withoutBytes({ key }: SavedItem): ItemStep {
  return { key, action: "replace", title: `store ${key}: its row is there, its bytes are not` };
}

/** Calls `look` for all, a few at a time; results in their order. */
async function mapInBatches<T, R>(all: readonly T[], look: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < all.length; at += AT_ONCE) {
    results.push(...await Promise.all(all.slice(at, at + AT_ONCE).map(look)));
  }
  return results;
}

/** What has become of an object's bytes. */
type Stored =
  | { kind: "stored" | "exists"; md5: string | null }
  | { kind: "paused"; resume: Resume };

function addressOfObject({ key }: SavedItem): ObjectAddress {
  const { bucket, name } = addressOf(key);
  return { bucket, name: name ?? "" };
}
