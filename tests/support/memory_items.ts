/**
 * A source of items in memory, with its troubles settable, and a job over it.
 *
 * @module
 */
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import {
  compareKeys,
  type ItemSource,
  type KeyRange,
  type ListedItem,
  type RangedListing,
  type ReadItem,
  type SavedItem,
} from "../../supabase/functions/backup/core/items.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import type { Repository } from "../../supabase/functions/backup/repository/mod.ts";
import {
  backupItems,
  type BackupItemsOptions,
} from "../../supabase/functions/backup/usecases/items/backup_items.ts";

/** Contents by key; the revision of an item is a hash of its content. */
export class MemoryItems implements ItemSource {
  readonly type = "files";
  readonly items = new Map<string, Uint8Array>();
  /** Keys that were read, in order. */
  readonly reads: string[] = [];
  /** Called before an item is read; throws its troubles. */
  onRead: (key: string) => void = () => {};
  pageItems = 3;
  /** Whether its listing can begin anywhere, and whether it makes digests of runs of keys itself. */
  listing: "pages" | "ranges" | "digests" = "pages";
  /** Keys that were listed, other than for a digest. */
  readonly listed: string[] = [];

  set(key: string, content: string | Uint8Array): void {
    this.items.set(key, typeof content === "string" ? new TextEncoder().encode(content) : content);
  }

  describe = () =>
    Promise.resolve({ projectRef: "abcdefghijklmnopqrst", facts: {}, missing: [], skipped: [] });

  page(after: string | null) {
    const keys = [...this.items.keys()].sort(compareKeys)
      .filter((key) => after === null || compareKeys(key, after) > 0);
    const items = keys.slice(0, this.pageItems).map((key) => this.#list(key));
    const next = keys.length > items.length ? items.at(-1)!.key : null;
    return Promise.resolve({ items, next });
  }

  ranged(): Promise<RangedListing | null> {
    if (this.listing === "pages") return Promise.resolve(null);
    const within = (range: KeyRange) =>
      [...this.items.keys()].sort(compareKeys).filter((key) => isWithin(key, range))
        .map((key) => this.#list(key));
    const digestOf = (items: readonly ListedItem[]) => JSON.stringify(items);
    const digests = (runs: readonly KeyRange[]) =>
      Promise.resolve(runs.map((run) => digestOf(within(run))));
    return Promise.resolve({
      list: (range) => {
        const all = within(range);
        const items = all.slice(0, this.pageItems);
        this.listed.push(...items.map(({ key }) => key));
        return Promise.resolve({ items, end: items.length === all.length });
      },
      digestOf,
      ...(this.listing === "digests" ? { digests } : {}),
    });
  }

  read(item: ListedItem): Promise<ReadItem | null> {
    this.reads.push(item.key);
    this.onRead(item.key);
    const content = this.items.get(item.key);
    if (content === undefined) return Promise.resolve(null);
    return Promise.resolve({ contents: [{ name: "object", body: inPieces(content) }] });
  }

  readRange(item: ListedItem, { from, to }: { from: number; to: number }) {
    this.reads.push(`${item.key} ${from}`);
    this.onRead(item.key);
    const content = this.items.get(item.key);
    if (content === undefined) return Promise.resolve(null);
    const { revision } = this.#list(item.key);
    return Promise.resolve({ revision, body: inPieces(content.subarray(from, to)) });
  }

  #list(key: string): ListedItem {
    const content = this.items.get(key)!;
    const revision = String(content.reduce((hash, byte) => (hash * 31 + byte) >>> 0, 7));
    return { key, revision, facts: {}, sizeBytes: content.length };
  }
}

/** Runs a backup of a source to its end. @throws what ended it */
export async function backUpItems(
  source: ItemSource,
  repository: Repository,
  options: Partial<BackupItemsOptions> & { maxAttempts?: number } = {},
) {
  const { maxAttempts = 4, ...rest } = options;
  const backupId = newJobId("backup", new Date(), source.type);
  const definition = backupItems({
    ...{ backupId, reason: null, origin: "manual", database: "postgres" },
    ...{ source, repository, clock: systemClock, writtenBy: "test" },
    ...rest,
  });
  await runInProcess(definition, {
    job: {
      ...{ jobId: backupId, kind: "backup", type: source.type, backupId },
      ...{ reason: null, createdBy: "test" },
    },
    clock: systemClock,
    concurrency: 3,
    maxAttempts,
  });
  const { manifest, record } = await repository.readBackup(backupId, { type: source.type });
  const items: SavedItem[] = [];
  for (const page of manifest.pages) {
    items.push(...await Array.fromAsync(repository.readLines<SavedItem>(page.items)));
  }
  return { backupId, manifest, record, items };
}

/** A content as the repository has it. */
export async function contentOf(repository: Repository, item: SavedItem): Promise<Uint8Array> {
  const pieces = item.contents.flatMap((content) => content.pieces);
  const blobs = await Array.fromAsync(repository.readPieces(pieces));
  return new Uint8Array(await new Blob(blobs).arrayBuffer());
}

function isWithin(key: string, { from, upTo }: KeyRange): boolean {
  return (from === null || compareKeys(key, from) > 0) &&
    (upTo === null || compareKeys(key, upTo) <= 0);
}

async function* inPieces(content: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < content.length; at += 1000) yield content.slice(at, at + 1000);
}
