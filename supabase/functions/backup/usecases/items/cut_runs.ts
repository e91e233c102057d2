/**
 * How a listing is cut: along the pages of the backup before, so that a page whose items are all the same
 * can be referred to as it is, and one item more or less changes one page. Pages that grow are halved and
 * neighbours that have become small are joined, as in a B-tree.
 *
 * @module
 */
import { compareKeys, type KeyRange, type ListedItem, type RangedItem } from "../../core/items.ts";
import type { ItemPageRef } from "../../repository/mod.ts";
import { overlapping, type ParentPage } from "./parent_items.ts";

/** Pages of the parent that become one run, at most: they may be full of items that were deleted. */
const JOINED_PAGES = 16;

/** Items of the parent that one part looks at, at most. */
const PARENT_ITEMS = 4096;

/** How the work is cut. */
export interface ItemLimits {
  /** Items of one page, at most. */
  pageItems: number;
  /** Items of one part, at most. */
  partItems: number;
  /** Bytes of one page and of one part, unless a single item has more. */
  partBytes: number;
  /** Items beyond it are read in ranges of this size, where the source can. */
  rangeBytes: number;
}

/** Neighbouring keys that become one page; all items of the run of keys. Survives JSON. */
export interface ItemRun extends KeyRange {
  items: ListedItem[];
  /** What the listing says of all of it; null where the source knows no digests. */
  digest: string | null;
}

/** A run of keys as it was listed. */
interface Segment {
  range: KeyRange;
  items: RangedItem[];
  /** The parent's page of exactly these keys. */
  whole: ParentPage | null;
}

/** What is known of the parent's pages. */
export interface Comparison {
  pages: readonly ParentPage[];
  /** Indices of pages that cannot be referred to, since the storage has lost some of what they name. */
  lost: ReadonlySet<number>;
  digestOf: (items: readonly RangedItem[]) => string;
  limits: ItemLimits;
}

/** What a listing comes to: pages of the parent that stay, by index, and runs to be looked at. */
export interface CutListing {
  same: number[];
  runs: ItemRun[];
}

/** Cuts what was listed of `range`, which is all of it. */
export function cutAlongPages(
  items: readonly RangedItem[],
  range: KeyRange,
  comparison: Comparison,
): CutListing {
  const { pages, lost, digestOf, limits } = comparison;
  const segments = segmentsOf(items, range, pages);
  const isSame = segments.map(({ whole, items }) =>
    whole !== null && !lost.has(whole.index) && whole.page.digest === digestOf(items)
  );
  const stays = withoutSmall(isSame, segments.map(({ whole }) => whole?.page ?? null), limits);
  const same: number[] = [];
  const changed: Segment[] = [];
  let open: Segment | null = null;
  let joined = 0;
  for (const [at, { range, items, whole }] of segments.entries()) {
    if (stays[at]) {
      same.push(whole!.index);
      open = null;
    } else if (open === null || joined >= JOINED_PAGES) {
      changed.push(open = { range, items: [...items], whole: null });
      joined = 1;
    } else {
      joined++;
      open.range = { from: open.range.from, upTo: range.upTo };
      open.items.push(...items);
    }
  }
  const runs = changed
    .filter(({ range, items }) => items.length > 0 || overlapping(pages, range).length > 0)
    .flatMap((segment) => cutIntoRuns(segment, { digestOf, limits }));
  return { same, runs };
}

/**
 * Runs of keys that have to be listed, by what the source's own digests say of the parent's pages.
 *
 * @param digests of `pages`, which follow each other
 */
export function changedRanges(
  pages: readonly ParentPage[],
  digests: readonly string[],
  { lost, limits }: Pick<Comparison, "lost" | "limits">,
): { same: number[]; changed: ParentPage[] } {
  const isSame = pages.map(({ index, page }, at) =>
    !lost.has(index) && page.digest === digests[at]
  );
  const stays = withoutSmall(isSame, pages.map(({ page }) => page), limits);
  return {
    same: pages.filter((_, at) => stays[at]).map(({ index }) => index),
    changed: pages.filter((_, at) => !stays[at]),
  };
}

/** Pages as runs of keys; neighbours become one run until it has so many items. */
export function joinPages(pages: readonly ParentPage[], mostItems: number): KeyRange[] {
  const ranges: (KeyRange & { items: number })[] = [];
  for (const { range, page } of pages) {
    const last = ranges.at(-1);
    if (last !== undefined && last.upTo === range.from && last.items < mostItems) {
      last.upTo = range.upTo;
      last.items += page.items.lines;
    } else {
      ranges.push({ ...range, items: page.items.lines });
    }
  }
  return ranges.map(({ from, upTo }) => ({ from, upTo }));
}

/**
 * Runs of neighbouring keys, together all of them: what lies between two items was deleted. All have about
 * as many items, so that each has room for some more.
 */
export function cutIntoRuns(
  { range, items }: { range: KeyRange; items: readonly RangedItem[] },
  { digestOf, limits }: {
    digestOf: ((items: readonly RangedItem[]) => string) | null;
    limits: ItemLimits;
  },
): ItemRun[] {
  const parts = Math.max(1, Math.ceil(items.length / limits.pageItems));
  const most = Math.ceil(items.length / parts);
  const runs: ItemRun[] = [];
  let held: RangedItem[] = [];
  let bytes = 0;
  let from = range.from;
  const close = (upTo: string | null) => {
    const digest = digestOf?.(held) ?? null;
    runs.push({ items: held.map(withoutMark), from, upTo, digest });
    held = [];
    bytes = 0;
    from = upTo;
  };
  for (const item of items) {
    const last = held.at(-1);
    const isFull = held.length >= most || bytes + item.sizeBytes > limits.partBytes;
    if (last !== undefined && isFull) close(last.key);
    held.push(item);
    bytes += item.sizeBytes;
  }
  close(range.upTo);
  return runs;
}

/** Runs that one part saves together, so that few small contents do not become as many chunks. */
export function packRuns(
  runs: readonly ItemRun[],
  { pages, limits }: Pick<Comparison, "pages" | "limits">,
): ItemRun[][] {
  const packs: ItemRun[][] = [];
  let [items, bytes, before] = [0, 0, 0];
  for (const run of runs) {
    items += run.items.length;
    bytes += bytesOf(run);
    before += overlapping(pages, run).reduce((sum, { page }) => sum + page.items.lines, 0);
    const isFull = items > limits.partItems || bytes > limits.partBytes || before > PARENT_ITEMS;
    if (packs.length === 0 || isFull) {
      packs.push([]);
      [items, bytes, before] = [run.items.length, bytesOf(run), 0];
    }
    packs.at(-1)!.push(run);
  }
  return packs;
}

/** Bytes that a run moves if all of it has changed. */
export function bytesOf({ items }: ItemRun): number {
  return items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** The listed items by the parent's pages that lie wholly within the run of keys, and between these. */
function segmentsOf(
  items: readonly RangedItem[],
  range: KeyRange,
  pages: readonly ParentPage[],
): Segment[] {
  const segments: Segment[] = [];
  let at = 0;
  let from = range.from;
  const take = (upTo: string | null, whole: ParentPage | null) => {
    const begin = at;
    while (at < items.length && (upTo === null || compareKeys(items[at]!.key, upTo) <= 0)) at++;
    segments.push({ range: { from, upTo }, items: items.slice(begin, at), whole });
    from = upTo;
  };
  for (const page of overlapping(pages, range)) {
    if (isBehind(page.range.upTo, range)) break;
    if (page.range.from !== from) {
      if (beginsBefore(page, from)) continue;
      take(page.range.from, null); // what is left of a page that begins before the run
    }
    take(page.range.upTo, page);
  }
  if (range.upTo === null || from !== range.upTo) take(range.upTo, null);
  return segments;
}

function beginsBefore({ range }: ParentPage, from: string | null): boolean {
  if (from === null || range.from === null) return from !== null;
  return compareKeys(range.from, from) < 0;
}

function isBehind(key: string, { upTo }: KeyRange): boolean {
  return upTo !== null && compareKeys(key, upTo) > 0;
}

/**
 * Which pages stay: not those beside a changed one that are nearly empty, and not neighbours that are half
 * a page together; they become one page.
 */
function withoutSmall(
  isSame: readonly boolean[],
  pages: readonly (ItemPageRef | null)[],
  { pageItems, partBytes }: ItemLimits,
): boolean[] {
  const fills = (page: ItemPageRef | null | undefined) =>
    page === null || page === undefined
      ? 1
      : Math.max(page.items.lines / pageItems, (page.rawBytes ?? 0) / partBytes);
  return isSame.map((same, at) => {
    if (!same) return false;
    const fill = fills(pages[at]);
    return ![at - 1, at + 1].some((beside) =>
      (isSame[beside] === false && fill <= 1 / 4) || fill + fills(pages[beside]) <= 1 / 2
    );
  });
}

function withoutMark({ key, revision, facts, sizeBytes }: RangedItem): ListedItem {
  return { key, revision, facts, sizeBytes };
}
