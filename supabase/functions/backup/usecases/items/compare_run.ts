/**
 * A run of listed items beside the same keys of the backup before: what is the same is referred to, what
 * is no more is named.
 *
 * @module
 */
import type { KeyRange, ListedItem, SavedItem } from "../../core/items.ts";
import type { LinesRef, Repository } from "../../repository/mod.ts";
import type { ItemRun } from "./cut_runs.ts";
import type { ParentItems } from "./parent_items.ts";

/** What a run is beside the parent. */
export interface ComparedRun {
  run: ItemRun;
  /** Items that are the same and need not be read. */
  same: Map<string, SavedItem>;
  /** Keys that are no more. */
  deleted: LinesRef;
}

/** What comparing needs. */
export interface CompareWork {
  parent: ParentItems;
  repository: Repository;
  /** Whether the storage has lost something of earlier backups: then each content is looked for. */
  doubtful: boolean;
  signal: AbortSignal;
}

/** The parent may have any number of items between two listed ones: none but the same are held. */
export async function compareRun(run: ItemRun, work: CompareWork): Promise<ComparedRun> {
  const { parent, repository, doubtful, signal } = work;
  const listed = new Map(run.items.map((item) => [item.key, item]));
  const same = new Map<string, SavedItem>();
  let gone = 0;
  for await (const before of parent.within(run, signal)) {
    const item = listed.get(before.key);
    if (item === undefined) gone++;
    const found = item === undefined ? null : unchangedSince(before, item);
    if (found !== null) same.set(found.key, found);
  }
  if (doubtful) await dropLost(same, work);
  const deleted = gone === 0
    ? { lines: 0, chunks: [] }
    : await repository.writeLines(keysWithin(run, { except: listed, ...work }), { signal });
  return { run, same, deleted };
}

/** Keys of the parent that were not listed. */
export async function* keysWithin(
  range: KeyRange,
  { except, parent, signal }: {
    except: ReadonlyMap<string, unknown>;
    parent: ParentItems;
    signal: AbortSignal;
  },
): AsyncIterable<string> {
  for await (const { key } of parent.within(range, signal)) if (!except.has(key)) yield key;
}

/**
 * The item as the parent has it, with the facts of today: a listing may know fewer of them than reading
 * told. Null when it has to be read.
 */
export function unchangedSince(before: SavedItem, item: ListedItem): SavedItem | null {
  if (before.failure !== undefined) return null;
  if (item.revision === null || before.revision !== item.revision) return null;
  return { ...before, ...item, facts: { ...before.facts, ...item.facts } };
}

/** Items whose bytes the storage has lost are read again. */
async function dropLost(
  same: Map<string, SavedItem>,
  { repository, signal }: CompareWork,
): Promise<void> {
  const chunksOf = ({ contents }: SavedItem) =>
    contents.flatMap(({ pieces }) => pieces.map(({ chunk }) => chunk));
  const names = new Set([...same.values()].flatMap(chunksOf));
  const missing = await repository.missingChunks(names, { signal });
  if (missing.size === 0) return;
  for (const item of [...same.values()]) {
    if (chunksOf(item).some((chunk) => missing.has(chunk))) same.delete(item.key);
  }
}
