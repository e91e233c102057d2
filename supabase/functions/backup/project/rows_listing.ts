/**
 * Buckets and objects of Supabase Storage listed by their rows, from any key on. The database itself tells
 * of whole runs of keys whether they are what they were.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { compareKeys, type KeyRange, type RangedItem, type RangedListing } from "../core/items.ts";
import { addressOf, bucketItem, objectItem } from "./object_facts.ts";
import type { BucketRow, NameRange, ObjectRows } from "./object_rows.ts";

/** A listing by rows. @param pageItems of one call of `list` */
export function rowsListing(rows: ObjectRows, { pageItems }: { pageItems: number }): RangedListing {
  return new RowsListing(rows, pageItems);
}

class RowsListing implements RangedListing {
  readonly #rows: ObjectRows;
  readonly #pageItems: number;

  constructor(rows: ObjectRows, pageItems: number) {
    this.#rows = rows;
    this.#pageItems = pageItems;
  }

  async list(
    range: KeyRange,
    signal: AbortSignal,
  ): Promise<{ items: RangedItem[]; end: boolean }> {
    const items: RangedItem[] = [];
    for (const bucket of await this.#buckets()) {
      signal.throwIfAborted();
      if (isIn(bucket.key, range)) items.push(bucket);
      const names = namesIn(bucket.key, range);
      for (let after = names?.after ?? null; names !== null;) {
        const limit = this.#pageItems - items.length;
        if (limit <= 0) return { items, end: false };
        const found = await this.#rows.objects(bucket.key, { after, upTo: names.upTo, limit });
        for (const { mark, ...row } of found.objects) {
          items.push({ ...objectItem(bucket.key, row), mark });
        }
        if (found.last === null) break;
        after = found.last;
      }
    }
    return { items, end: true };
  }

  digestOf(items: readonly RangedItem[]): string {
    const parts = new DigestParts();
    for (const { bucket, items: some } of byBucket(items)) {
      const marks: string[] = [];
      for (const { key, mark = "", revision } of some) {
        if (key === bucket) parts.bucket(bucket, revision);
        else marks.push(mark);
      }
      if (marks.length === 0) continue;
      parts.objects(bucket, createHash("sha256").update(marks.join(""), "hex").digest("hex"));
    }
    return parts.digest();
  }

  async digests(runs: readonly KeyRange[], signal: AbortSignal): Promise<string[]> {
    const parts = runs.map(() => new DigestParts());
    for (const bucket of await this.#buckets()) {
      signal.throwIfAborted();
      const at = runs.findIndex((run) => isIn(bucket.key, run));
      if (at >= 0) parts[at]!.bucket(bucket.key, bucket.revision);
      const within = runs.flatMap((run, index) => {
        const names = namesIn(bucket.key, run);
        return names === null ? [] : [{ ...names, index }];
      });
      const [first, last] = [within[0], within.at(-1)];
      if (first === undefined || last === undefined) continue;
      const borders = within.slice(0, -1).map(({ upTo }) => upTo!);
      const { after } = first;
      const found = await this.#rows.digests(bucket.key, { after, borders, upTo: last.upTo });
      for (const [order, { index }] of within.entries()) {
        const digest = found[order] ?? null;
        if (digest !== null) parts[index]!.objects(bucket.key, digest);
      }
    }
    return parts.map((part) => part.digest());
  }

  async #buckets(): Promise<RangedItem[]> {
    const rows = await this.#rows.buckets();
    return rows.filter(({ type }) => (type ?? "STANDARD") === "STANDARD").map(rowItem)
      .sort((a, b) => compareKeys(a.key, b.key));
  }
}

/** The digest of a run, made of those of the buckets in it. */
class DigestParts {
  readonly #parts: (string | null)[][] = [];

  bucket(bucket: string, revision: string | null): void {
    this.#parts.push(["bucket", bucket, revision]);
  }

  objects(bucket: string, digest: string): void {
    this.#parts.push(["objects", bucket, digest]);
  }

  digest(): string {
    return createHash("sha256").update(JSON.stringify(this.#parts)).digest("hex");
  }
}

/** Items that follow each other, by bucket. */
function byBucket(items: readonly RangedItem[]): { bucket: string; items: RangedItem[] }[] {
  const groups: { bucket: string; items: RangedItem[] }[] = [];
  for (const item of items) {
    const { bucket } = addressOf(item.key);
    if (groups.at(-1)?.bucket !== bucket) groups.push({ bucket, items: [] });
    groups.at(-1)!.items.push(item);
  }
  return groups;
}

/** Names of a bucket's objects in a run of keys; null when there can be none. */
function namesIn(bucket: string, { from, upTo }: KeyRange): NameRange | null {
  const begin = from === null ? null : addressOf(from);
  const end = upTo === null ? null : addressOf(upTo);
  const sideOfBegin = begin === null ? 1 : compareKeys(bucket, begin.bucket);
  const sideOfEnd = end === null ? -1 : compareKeys(bucket, end.bucket);
  if (sideOfBegin < 0 || sideOfEnd > 0) return null;
  if (sideOfEnd === 0 && end!.name === null) return null; // it ends with the bucket's own item
  return {
    after: sideOfBegin === 0 ? begin!.name : null,
    upTo: sideOfEnd === 0 ? end!.name : null,
  };
}

function isIn(key: string, { from, upTo }: KeyRange): boolean {
  return (from === null || compareKeys(key, from) > 0) &&
    (upTo === null || compareKeys(key, upTo) <= 0);
}

/** A bucket's row as an item; of its other columns those that stay what they are. */
function rowItem(row: BucketRow): RangedItem {
  const types = row.allowed_mime_types;
  return bucketItem(row.id, {
    public: row.public === true,
    fileSizeLimit: typeof row.file_size_limit === "number" ? row.file_size_limit : null,
    allowedMimeTypes: Array.isArray(types) ? types.map(String) : null,
  }, {
    name: row.name ?? row.id,
    owner: row.owner_id ?? row.owner ?? null,
    createdAt: row.created_at ?? null,
  });
}
