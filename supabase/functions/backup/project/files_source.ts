/**
 * Buckets and objects of Supabase Storage as the source of a backup. They are listed by SQL where there
 * is a database session, else by the API; bytes always come by the API.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
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
import type { Session } from "../postgres/session.ts";
import {
  changed,
  checkedBytes,
  type DownloadSource,
  isWorthAnotherRead,
  wholeBytes,
} from "./checked_download.ts";
import { addressOf, bucketItem, OBJECT_CONTENT, objectItem, textFact } from "./object_facts.ts";
import { type BucketRow, ObjectRows } from "./object_rows.ts";
import { md5Of, type ObjectAddress, type ObjectInfo } from "./object_types.ts";
import { rowsListing } from "./rows_listing.ts";
import { findOrphans, type ObjectStore, type Orphans } from "./orphans.ts";
import type { Download, StorageApi } from "./storage_api.ts";

/** What files are saved from. */
export interface FilesSourceOptions {
  api: StorageApi;
  /** Ref of the project, null when it is not known. */
  projectRef: string | null;
  /** Of the project's database; without it the API lists, and owners are not known. */
  database: Session | null;
  /** The store behind Storage, where it can be listed: only self-hosted projects have it at hand. */
  store?: ObjectStore;
  /** Items of a page. @default 1000 */
  pageItems?: number;
  /** @default the runtime's */
  hashing?: Hashing;
}

/** Objects up to this size are read into memory, so that they can be read again. */
const WHOLE_BYTES = 1 << 20;

/** Reads of an object that changes or does not fit its checksum. */
const READS = 3;

/** All buckets and objects of a project. */
export function filesSource(options: FilesSourceOptions): ItemSource {
  return new FilesSource(options);
}

/** Where a page begins. */
interface Position {
  bucket: string;
  /** The API's own cursor; null for the bucket's own item and its first objects. */
  cursor: string | null;
}

class FilesSource implements ItemSource {
  readonly type = "files" as const;
  readonly #options: FilesSourceOptions;
  readonly #api: StorageApi;
  readonly #pageItems: number;
  #rows: Promise<ObjectRows | null> | undefined;

  constructor(options: FilesSourceOptions) {
    this.#options = options;
    this.#api = options.api;
    this.#pageItems = options.pageItems ?? 1000;
  }

  async describe(signal: AbortSignal): Promise<ItemSourceFacts> {
    const rows = await this.#open();
    const seen = new Set((await this.#api.buckets(signal)).map(({ id }) => id));
    const known = rows === null ? [] : await rows.buckets();
    requireSight(seen, known);
    if (rows === null) requireServiceRole(this.#api.requests.role);
    const others = await rows?.otherBuckets() ?? [];
    const { store, projectRef } = this.#options;
    const drift: ItemFacts = {};
    const missing: ItemSourceFacts["missing"] = [];
    if (rows !== null && store !== undefined) {
      try {
        drift.objectsWithoutRow = toFacts(await findOrphans(store, rows, signal));
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        const { code, message } = toBackupError(error);
        missing.push({ what: "the comparison of rows with the store", failure: { code, message } });
      }
    }
    const listedBy = rows === null ? "api" : "database";
    return {
      projectRef,
      facts: { listedBy, buckets: rows === null ? seen.size : known.length, ...drift },
      missing,
      skipped: [
        ...others.map(({ kind, count }) => ({
          what: `${count} ${kind} bucket${count === 1 ? "" : "s"}`,
          reason: "They hold no objects, and the API of Storage cannot give their content.",
        })),
        ...(rows === null
          ? [{ what: "owners of objects", reason: "Only the database tells them." }]
          : []),
      ],
    };
  }

  async ranged(): Promise<RangedListing | null> {
    const rows = await this.#open();
    return rows === null ? null : rowsListing(rows, { pageItems: this.#pageItems });
  }

  /** By the API; with the rows, which can be listed from any key on, it is seldom asked for. */
  async page(after: string | null, signal: AbortSignal): Promise<ItemPage> {
    const listing = await this.ranged();
    if (listing !== null) {
      const { items, end } = await listing.list({ from: after, upTo: null }, signal);
      return { items, next: end ? null : items.at(-1)!.key };
    }
    const from = after === null ? null : JSON.parse(after) as Position;
    const buckets = (await this.#buckets(signal))
      .filter(({ key }) => from === null || compareKeys(key, from.bucket) >= 0);
    const items: ListedItem[] = [];
    for (const bucket of buckets) {
      signal.throwIfAborted();
      let at: Position | null = from?.bucket === bucket.key
        ? from
        : { bucket: bucket.key, cursor: null };
      if (at !== from) items.push(bucket);
      while (at !== null) {
        if (items.length >= this.#pageItems) return { items, next: JSON.stringify(at) };
        const found: Listed = await this.#listByApi(at, signal);
        items.push(...found.items);
        at = found.next;
      }
    }
    return { items, next: null };
  }

  async read(item: ListedItem, signal: AbortSignal): Promise<ReadItem | null> {
    if (addressOf(item.key).name === null) return { contents: [] };
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#readOnce(item, signal);
      } catch (error) {
        if (!isWorthAnotherRead(error) || attempt >= READS) throw error;
      }
    }
  }

  async readRange(
    item: ListedItem,
    { from, to, signal }: { from: number; to: number; signal: AbortSignal },
  ): Promise<{ revision: string | null; body: AsyncIterable<Uint8Array> } | null> {
    const address = objectAddress(item);
    const source = this.#downloads(address, signal);
    const first = await source.open({ from, to }, signal);
    if (first === null) return await this.#requireGone(address, signal);
    if (first.eTag !== textFact(item.facts, "eTag")) {
      await first.cancel();
      throw changed(item.key);
    }
    const md5 = from === 0 && to === item.sizeBytes ? md5Of(first.eTag) : null;
    return { revision: item.revision, body: checkedBytes(source, { first, from, to, md5 }) };
  }

  async #readOnce(item: ListedItem, signal: AbortSignal): Promise<ReadItem | null> {
    const address = objectAddress(item);
    const source = this.#downloads(address, signal);
    const first = await source.open({ from: 0 }, signal);
    if (first === null) return await this.#requireGone(address, signal);
    let current: ListedItem | null;
    try {
      current = await this.#currentOf(item, { download: first, address, signal });
    } catch (error) {
      await first.cancel();
      throw error;
    }
    if (current === null) {
      await first.cancel();
      return null;
    }
    const small = first.bytes !== null && first.bytes <= WHOLE_BYTES;
    const md5 = md5Of(first.eTag);
    const body = small
      ? await wholeBytes(source, first)
      : checkedBytes(source, { first, from: 0, to: null, md5 });
    const { revision, facts } = current;
    return { revision, facts, contents: [{ name: OBJECT_CONTENT, body }] };
  }

  /** The item that the bytes on their way belong to: another than was listed, when it was replaced. */
  async #currentOf(
    item: ListedItem,
    { download, address, signal }: {
      download: Download;
      address: ObjectAddress;
      signal: AbortSignal;
    },
  ): Promise<ListedItem | null> {
    const rows = await this.#open();
    const same = download.eTag === textFact(item.facts, "eTag");
    if (same && rows !== null) return item;
    const info = await this.#look(address, signal);
    if (info === null) return null;
    if (info.eTag !== download.eTag) throw changed(item.key);
    const now = objectItem(address.bucket, info);
    // A listing by the API tells of no version, so that it has to stay out of the comparison.
    const { revision } = rows === null
      ? objectItem(address.bucket, { ...info, version: null })
      : now;
    return { ...now, revision, facts: same ? { ...item.facts, ...now.facts } : now.facts };
  }

  /** @throws `files_damaged` when the object has a row and no bytes @returns null when it has neither */
  async #requireGone(address: ObjectAddress, signal: AbortSignal): Promise<null> {
    const info = await this.#look(address, signal);
    if (info === null) return null;
    const why = "its row is in storage.objects, and the store has no bytes of it";
    throw new BackupError(
      "files_damaged",
      `Cannot read ${address.bucket}/${address.name}: ${why}`,
      {
        hint: "Delete the object by the API, or upload it again.",
      },
    );
  }

  async #look(address: ObjectAddress, signal: AbortSignal): Promise<ObjectInfo | null> {
    const rows = await this.#open();
    return await (rows === null ? this.#api.info(address, signal) : rows.find(address));
  }

  #downloads(address: ObjectAddress, signal: AbortSignal): DownloadSource {
    return {
      title: `${address.bucket}/${address.name}`,
      open: (range, signal) => this.#api.download(address, { ...range, signal }),
      tries: this.#api.requests.tries,
      hashing: this.#options.hashing ?? runtimeHashing,
      signal,
    };
  }

  #open(): Promise<ObjectRows | null> {
    const { database } = this.#options;
    this.#rows ??= database === null ? Promise.resolve(null) : ObjectRows.open(database);
    this.#rows.catch(() => this.#rows = undefined);
    return this.#rows;
  }

  async #buckets(signal: AbortSignal): Promise<ListedItem[]> {
    const buckets = await this.#api.buckets(signal);
    return buckets.filter(({ type }) => type === "STANDARD")
      .map((bucket) => {
        const { id, name, owner, createdAt } = bucket;
        return bucketItem(id, bucket, { name, owner, createdAt });
      })
      .sort((a, b) => compareKeys(a.key, b.key));
  }

  /** A page of the API. Objects that are read in ranges get all their facts here: reading gives none. */
  async #listByApi(at: Position, signal: AbortSignal): Promise<Listed> {
    const { objects, next } = await this.#api.list(at.bucket, { cursor: at.cursor, signal });
    const items: ListedItem[] = [];
    for (const object of objects) {
      const item = objectItem(at.bucket, object);
      if (item.sizeBytes <= WHOLE_BYTES) {
        items.push(item);
        continue;
      }
      const info = await this.#api.info({ bucket: at.bucket, name: object.name }, signal);
      if (info === null) continue; // deleted since the page was made
      const facts = { ...item.facts, ...objectItem(at.bucket, info).facts };
      const { revision, sizeBytes } = objectItem(at.bucket, { ...info, version: null });
      items.push({ key: item.key, revision, facts, sizeBytes });
    }
    return { items, next: next === null ? null : { ...at, cursor: next } };
  }
}

/** Items of one bucket, and where the next ones begin. */
interface Listed {
  items: ListedItem[];
  next: Position | null;
}

function objectAddress({ key }: ListedItem): ObjectAddress {
  const { bucket, name } = addressOf(key);
  if (name === null) {
    throw new BackupError("internal", `Cannot read ${key}: a bucket has no bytes`);
  }
  return { bucket, name };
}

/** @throws `files_unauthorized` for a key that does not see what the database has */
function requireSight(seen: ReadonlySet<string>, known: readonly BucketRow[]): void {
  const hidden = known.filter(({ id, type }) =>
    (type ?? "STANDARD") === "STANDARD" && !seen.has(id)
  );
  const [first] = hidden;
  if (first === undefined) return;
  throw new BackupError(
    "files_unauthorized",
    `Cannot read the files: the database has ${known.length} buckets, and the key does not see ` +
      `${hidden.length} of them, such as ${first.id}`,
    {
      hint: "Supabase Storage needs the service_role key or a secret key of this project; or " +
        "SUPABASE_URL and the database belong to different projects.",
    },
  );
}

/** @throws `files_unauthorized`: policies would hide objects from another role, without an error */
function requireServiceRole(role: string | null): void {
  if (role === null || role === "service_role") return;
  throw new BackupError(
    "files_unauthorized",
    `Cannot read the files: the key is for the role ${role}, which may not see all of them`,
    { hint: "Supabase Storage needs the service_role key or a secret key of this project." },
  );
}

function toFacts({ count, names, complete }: Orphans): ItemFacts {
  return { count, names, complete };
}
