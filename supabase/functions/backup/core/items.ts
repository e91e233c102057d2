/**
 * What a backup of anything but a database is made of: items. A function, a section of the
 * configuration, a secret's name and an object of Storage are one item each, and all four types are
 * listed, saved, verified and restored by the same use-cases; only sources and targets differ.
 *
 * @module
 */
import type { Piece } from "./model.ts";
import type { Json } from "./part.ts";

/** Types of backup that are made of items. */
export const ITEM_TYPES = ["function", "config", "secrets", "files"] as const;

/** One of {@linkcode ITEM_TYPES}. */
export type ItemType = typeof ITEM_TYPES[number];

/** Facts of an item that are small and not secret to its owner; what they are, its source says. */
export type ItemFacts = { [name: string]: Json };

/** An item as its source lists it, before anything of it is read. */
export interface ListedItem {
  /**
   * Unique within the backup: a function's slug, a section's name, `bucket/object name`. A source lists
   * its items in ascending order of {@linkcode compareKeys}.
   */
  key: string;
  /**
   * What the source says of its version. The same key and revision as in the backup before means the
   * same content, which is then referred to and not read again. Null when the source cannot tell.
   */
  revision: string | null;
  facts: ItemFacts;
  /** Bytes that reading it will move, by the source; 0 when unknown. */
  sizeBytes: number;
}

/** A run of keys: behind `from`, up to and with `upTo`; null for no bound. Survives JSON. */
export interface KeyRange {
  from: string | null;
  upTo: string | null;
}

/** One content of an item, in chunks. */
export interface ItemContent {
  /** Within the item: a path of a source file, `bundle`, `object`. */
  name: string;
  bytes: number;
  /** SHA-256 of the bytes, in hexadecimal; null for a content that several workers read in ranges. */
  sha256: string | null;
  pieces: Piece[];
}

/** Why an item or a section could not be saved or restored, while the rest could. */
export interface ItemFailure {
  code: string;
  message: string;
  hint?: string;
}

/** An item as a backup keeps it: one line. */
export interface SavedItem extends ListedItem {
  contents: ItemContent[];
  /** When its content was read, ISO 8601 in UTC; an unchanged one keeps the time of its first backup. */
  savedAt: string;
  /** Set when it was listed and could not be saved; it then has no contents. */
  failure?: ItemFailure;
}

/** What reading an item gives. */
export interface ReadItem {
  /** In place of what the listing said, where reading tells it better. */
  revision?: string | null;
  facts?: ItemFacts;
  contents: { name: string; body: Uint8Array | AsyncIterable<Uint8Array> }[];
}

/** A page of a listing. */
export interface ItemPage {
  items: ListedItem[];
  /** Where the next page begins; null when this was the last. Survives JSON and another worker. */
  next: string | null;
}

/** What a backup says of the source as a whole. */
export interface ItemSourceFacts {
  /** Ref of the project, null outside Supabase. */
  projectRef: string | null;
  /** Of the source, such as settings of buckets or a drift between rows and objects; may be empty. */
  facts: ItemFacts;
  /** Parts that could not be read at all, each with its reason: they make the backup partial. */
  missing: { what: string; failure: ItemFailure }[];
  /** Parts that were left out on purpose or for want of a token, in words. */
  skipped: { what: string; reason: string }[];
}

/** An item of a {@linkcode RangedListing}. */
export interface RangedItem extends ListedItem {
  /** Stands for all that the source says of the item, for digests; not kept. */
  mark?: string;
}

/**
 * A listing that may begin at any key. Of runs of keys whose digest is that of the backup before, items
 * are neither compared nor written again; where the source makes digests itself, they are not even listed.
 */
export interface RangedListing {
  /** The first items of a run of keys, a bounded number. @returns `end`: there are no more of them */
  list(range: KeyRange, signal: AbortSignal): Promise<{ items: RangedItem[]; end: boolean }>;
  /** One digest for neighbouring items: it differs when one of them differs, is missing or is new. */
  digestOf(items: readonly RangedItem[]): string;
  /** The same of the items that are there now, of runs that follow each other. */
  digests?(runs: readonly KeyRange[], signal: AbortSignal): Promise<string[]>;
}

/** Something that a backup of items is made from. */
export interface ItemSource {
  readonly type: ItemType;
  /** Asked once, before the first page. @throws what makes the whole backup fail */
  describe(signal: AbortSignal): Promise<ItemSourceFacts>;
  /** Items in a fixed order, a bounded number at a time. @param after `next` of the page before */
  page(after: string | null, signal: AbortSignal): Promise<ItemPage>;
  /** Used in place of pages where there is one. @returns null when this source has none after all */
  ranged?(signal: AbortSignal): Promise<RangedListing | null>;
  /**
   * Reads one item. Its contents are consumed one after the other and may be of any size.
   *
   * @returns null when it is gone meanwhile, which is recorded as such
   * @throws `BackupError`: told of this item alone, unless its code stands for the source as a whole
   */
  read(item: ListedItem, signal: AbortSignal): Promise<ReadItem | null>;
  /**
   * Bytes [from, to) of an item with one content named `object`, for items too large for one worker.
   * Sources without it give every item whole.
   *
   * @returns null when it is gone; `revision` tells whether all ranges are of the same version
   */
  readRange?(
    item: ListedItem,
    range: { from: number; to: number; signal: AbortSignal },
  ): Promise<{ revision: string | null; body: AsyncIterable<Uint8Array> } | null>;
}

/** What is to be done with one item at a restore. */
export interface ItemStep {
  key: string;
  /** `by-hand`: nothing that software may do, the person must supply it. */
  action: "create" | "replace" | "keep" | "by-hand";
  /** For people: `deploy function hello (version 3)`. */
  title: string;
  /** What changes, in the words of the type: fields with both values, a list of settings. */
  difference?: Json;
  /** What could go wrong or cannot be undone. */
  hazards?: string[];
}

/** What became of a step. */
export interface ItemResult {
  key: string;
  /** `paused`: not done yet, and to be gone on with from `resume`, maybe by another worker. */
  outcome: "done" | "kept" | "by-hand" | "failed" | "paused";
  /** Where to go on; survives JSON. */
  resume?: Json;
  failure?: ItemFailure;
  /** What was found afterwards, as far as it was checked. */
  checked?: string;
}

/** Reads a content back from the repository, checked. */
export type OpenContent = (
  content: ItemContent,
  range?: { from: number },
) => AsyncIterable<Uint8Array>;

/** What a target does a step with. */
export interface ItemWork {
  item: SavedItem;
  open: OpenContent;
  /** What an earlier call returned as `resume`; null at the beginning. It may have gone further since. */
  resume: Json;
  /** After so many bytes of content a call returns `paused`, so that no worker runs out of its time. */
  maxBytes: number;
  signal: AbortSignal;
}

/** Something that items are restored into. Both methods may be called again after a worker died. */
export interface ItemTarget {
  /** Looks at the target and says what would be done; changes nothing. Steps come in order of need. */
  plan(items: readonly SavedItem[], signal: AbortSignal): Promise<ItemStep[]>;
  /** Does one step and checks it from outside. @throws `BackupError`: told of this item alone */
  apply(step: ItemStep, work: ItemWork): Promise<ItemResult>;
}

/**
 * Order of keys: what stands before the first `/`, then the rest, both by their UTF-8 bytes, as
 * `ORDER BY bucket_id COLLATE "C", name COLLATE "C"` and as buckets list their objects.
 */
export function compareKeys(a: string, b: string): number {
  const [first, second] = [a.indexOf("/"), b.indexOf("/")];
  if (first < 0 && second < 0) return compareBytes(a, b);
  const [headOfA, headOfB] = [
    first < 0 ? a : a.slice(0, first),
    second < 0 ? b : b.slice(0, second),
  ];
  return compareBytes(headOfA, headOfB) || compareBytes(a, b);
}

/** Code points sort as UTF-8 bytes do; UTF-16 units do not, above U+D800. */
function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [left, right] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (left === right) continue;
    const [leftIsHalf, rightIsHalf] = [isSurrogate(left), isSurrogate(right)];
    if (leftIsHalf !== rightIsHalf) return leftIsHalf ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}
