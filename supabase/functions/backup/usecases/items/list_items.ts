/**
 * Listing a source whose listing may begin at any key: only those runs of keys whose digest is not that of
 * the backup before, and in these only what is not on a page that is still the same.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import {
  compareKeys,
  type KeyRange,
  type ListedItem,
  type RangedItem,
  type RangedListing,
} from "../../core/items.ts";
import { toJson } from "../../core/json.ts";
import type { NewPart } from "../../core/part.ts";
import type { Repository } from "../../repository/mod.ts";
import {
  changedRanges,
  type Comparison,
  cutAlongPages,
  type CutListing,
  type ItemLimits,
  joinPages,
} from "./cut_runs.ts";
import { overlapping, type ParentItems, type ParentPage } from "./parent_items.ts";

/** Items that one part lists, about. */
const LISTED_ITEMS = 1000;

/** From so many pages on they become larger, up to so many items. */
const USUAL_PAGES = 16_384;
const MOST_ITEMS = 1024;

/** Pages of the parent that one part compares by digests of the source. */
const COMPARED_PAGES = 128;

/** Names of the parts, which are what users see of them. */
export const COMPARE = "comparing-pages";
export const LIST_RANGES = "listing-changes";

/** Pages of the parent by number: from the first to before the last. Survives JSON. */
export interface PageSpan {
  first: number;
  end: number;
}

/** Runs of keys to list. Survives JSON. */
export interface ListPayload {
  ranges: KeyRange[];
  /** Items that were listed before in one go, or that the parent has: pages grow with them. */
  known: number;
}

/** Indices of the parent's pages that stay as they are. Survives JSON. */
export interface SamePages {
  same: number[];
}

/** What is listed with. */
export interface ListWork extends Omit<Comparison, "digestOf"> {
  listing: RangedListing;
  signal: AbortSignal;
}

/** All pages of the parent, so many at a time. */
function pageSpans(pages: number): PageSpan[] {
  const spans: PageSpan[] = [];
  for (let first = 0; first < pages; first += COMPARED_PAGES) {
    spans.push({ first, end: Math.min(pages, first + COMPARED_PAGES) });
  }
  return spans;
}

/** Compares pages by the source's own digests; gives what stays, and what has to be listed. */
export async function comparePages(
  { first, end }: PageSpan,
  { listing, signal, pages, lost, limits }: ListWork,
): Promise<SamePages & { toList: ListPayload[] }> {
  const compared = pages.slice(first, end);
  const known = itemsOf(pages);
  const digests = await listing.digests!(compared.map(({ range }) => range), signal);
  const { same, changed } = changedRanges(compared, digests, {
    ...{ lost, limits: forItems(known, limits) },
  });
  return { same, toList: toLists(changed).map((ranges) => ({ ranges, known })) };
}

/** What is listed of these runs, and what is left of them. */
export async function listRanges(
  { ranges, known }: ListPayload,
  { listing, signal, ...given }: ListWork,
): Promise<CutListing & { rest: ListPayload | null }> {
  const found: CutListing = { same: [], runs: [] };
  const left = [...ranges];
  const comparison = { ...given, limits: forItems(known, given.limits) };
  let listed = 0;
  while (left.length > 0 && listed < LISTED_ITEMS) {
    const range = left.shift()!;
    const { items, end } = await listing.list(range, signal);
    requireOrder(items, range.from);
    const reached = end ? range.upTo : lastBorder(items, range, comparison.pages);
    if (!end) left.unshift({ from: reached, upTo: range.upTo });
    const cut = cutAlongPages(upTo(items, reached), { from: range.from, upTo: reached }, {
      ...comparison,
      digestOf: (items) => listing.digestOf(items),
    });
    found.same.push(...cut.same);
    found.runs.push(...cut.runs);
    listed += items.length;
  }
  const rest = left.length === 0 ? null : { ranges: left, known: known + listed };
  return { ...found, rest };
}

/** Pages of the parent that name something which the storage has not any more. */
export async function lostPages(
  parent: ParentItems,
  repository: Repository,
  signal: AbortSignal,
): Promise<number[]> {
  const pages = await parent.pages();
  const missing = await repository.missingChunks(pages.flatMap(namedBy), { signal });
  if (missing.size === 0) return [];
  return pages.filter((page) => namedBy(page).some((name) => missing.has(name)))
    .map(({ index }) => index);
}

/** Chunks of a page's lines and contents. */
export function namedBy({ page: { items, chunks = [] } }: ParentPage): string[] {
  return [...items.chunks.map(({ name }) => name), ...chunks];
}

/** Items of all these pages. */
function itemsOf(pages: readonly ParentPage[]): number {
  return pages.reduce((sum, { page }) => sum + page.items.lines, 0);
}

/** Large listings have larger pages: a manifest with all of them has to fit into one object. */
function forItems(known: number, limits: ItemLimits): ItemLimits {
  const pageItems = Math.ceil(known / USUAL_PAGES);
  return { ...limits, pageItems: Math.min(Math.max(pageItems, limits.pageItems), MOST_ITEMS) };
}

function toLists(pages: readonly ParentPage[]): KeyRange[][] {
  const lists: KeyRange[][] = [];
  let open: ParentPage[] = [];
  let items = 0;
  const close = () => {
    if (open.length > 0) lists.push(joinPages(open, LISTED_ITEMS));
    [open, items] = [[], 0];
  };
  for (const page of pages) {
    if (items + page.page.items.lines > LISTED_ITEMS) close();
    open.push(page);
    items += page.page.items.lines;
  }
  close();
  return lists;
}

/** Where a listing that goes on is cut: where a page of the parent ends, so that it is seen whole. */
function lastBorder(
  items: readonly RangedItem[],
  range: KeyRange,
  pages: readonly ParentPage[],
): string {
  const last = items.at(-1)!.key;
  const ended = overlapping(pages, { from: range.from, upTo: last })
    .filter(({ page }) => compareKeys(page.last, last) <= 0);
  return ended.at(-1)?.page.last ?? last;
}

function upTo(items: readonly RangedItem[], last: string | null): readonly RangedItem[] {
  if (last === null) return items;
  const behind = items.findIndex(({ key }) => compareKeys(key, last) > 0);
  return behind < 0 ? items : items.slice(0, behind);
}

/** @throws `internal` for a source that breaks its word: unchanged items would be taken for deleted ones */
export function requireOrder(items: readonly ListedItem[], from: string | null): void {
  let before = from;
  for (const { key } of items) {
    if (before !== null && compareKeys(before, key) >= 0) {
      throw new BackupError("internal", "Cannot back up: the source lists items out of order");
    }
    before = key;
  }
}

/** What a source with a parent is listed by: digests of the parent's pages, then what is behind them. */
export function listParts(listing: RangedListing, pages: readonly ParentPage[]): NewPart[] {
  const all = { from: null, upTo: null };
  const known = itemsOf(pages);
  if (listing.digests === undefined) return [listPart(1, { ranges: [all], known })];
  const spans = pageSpans(pages.length).map((span): NewPart => ({
    ...{ step: 1, name: COMPARE, payload: toJson(span), bytes: 0 },
  }));
  const from = pages.at(-1)?.range.upTo ?? null;
  return [...spans, listPart(1, { ranges: [{ from, upTo: null }], known })];
}

/** A part that lists runs of keys. */
export function listPart(step: number, list: ListPayload): NewPart {
  return { step, name: LIST_RANGES, payload: toJson(list), bytes: 0 };
}
