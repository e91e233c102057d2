/**
 * The manifest of a backup of items, put together from what its parts gave.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "../../core/errors.ts";
import { compareKeys, type ItemSourceFacts } from "../../core/items.ts";
import type { ItemManifest, ItemPageRef, ItemTotals, LinesRef } from "../../repository/mod.ts";
import type { SaveItemsResult } from "./save_items.ts";

/** What the pages of a backup come from. */
export interface PageOrigins {
  saved: readonly SaveItemsResult[];
  /** Pages of the parent that stay as they are. */
  referred: readonly ItemPageRef[];
}

/** The manifest; nothing is read or written for it. */
export function manifestOf(
  head: Omit<ItemManifest, "format" | "pages" | "deleted" | "totals">,
  { saved, referred }: PageOrigins,
): ItemManifest {
  const pages = [...referred, ...saved.flatMap(({ pages }) => pages)]
    .sort((a, b) => compareKeys(a.first, b.first));
  const deleted = joinLines(saved.flatMap(({ deleted }) => deleted));
  const totals = totalsOf({ saved, referred }, deleted.lines);
  return { format: 1, ...head, pages, deleted, totals };
}

/** @throws the first failure when there are items and none of them could be saved */
export function requireAny(
  saved: readonly SaveItemsResult[],
  { referred, facts: { missing } }: Pick<PageOrigins, "referred"> & { facts: ItemSourceFacts },
): void {
  if (referred.length > 0) return;
  const items = saved.reduce((sum, result) => sum + result.items, 0);
  const failed = saved.reduce((sum, result) => sum + result.failed, 0);
  const failure = saved.find((result) => result.failure !== null)?.failure ?? missing[0]?.failure;
  if (failure === undefined || failed < items) return;
  throw new BackupError(failure.code as ErrorCode, failure.message, {
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    details: { items, failed },
  });
}

/** Lists of keys as one, in the order of the runs that they are of. */
function joinLines(lists: SaveItemsResult["deleted"]): LinesRef {
  const sorted = [...lists].sort((a, b) =>
    a.from === null ? -1 : b.from === null ? 1 : compareKeys(a.from, b.from)
  );
  return {
    lines: sorted.reduce((sum, { keys }) => sum + keys.lines, 0),
    chunks: sorted.flatMap(({ keys }) => keys.chunks),
  };
}

function totalsOf({ saved, referred }: PageOrigins, deleted: number): ItemTotals {
  const sum = (pick: (result: SaveItemsResult) => number) =>
    saved.reduce((total, result) => total + pick(result), 0);
  const sumOf = (pages: readonly ItemPageRef[], pick: (page: ItemPageRef) => number) =>
    pages.reduce((total, page) => total + pick(page), 0);
  const pages = [...referred, ...saved.flatMap(({ pages }) => pages)];
  return {
    items: sumOf(pages, ({ items }) => items.lines),
    unchanged: sum(({ unchanged }) => unchanged) + sumOf(referred, ({ items }) => items.lines),
    deleted,
    failed: sum(({ failed }) => failed),
    vanished: sum(({ vanished }) => vanished),
    rawBytes: sumOf(pages, ({ rawBytes = 0 }) => rawBytes),
    newStoredBytes: sum(({ written }) => written.newStoredBytes),
    chunks: sum(({ written }) => written.chunks),
    newChunks: sum(({ written }) => written.newChunks),
  };
}

/** The storage has lost what the backup refers to. */
export function chunksLost(cause: unknown): BackupError {
  return new BackupError(
    "chunks_lost",
    "Cannot commit the backup: the storage has lost what an earlier backup had stored",
    { hint: "Verify the repository: earlier backups are damaged.", cause },
  );
}
