/**
 * The items of the backup before, page by page.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { compareKeys, type ItemType, type KeyRange, type SavedItem } from "../../core/items.ts";
import { isDamage, type ItemPageRef, type Repository } from "../../repository/mod.ts";

/** A page of the parent, with its keys: behind the page before it, up to its last item. */
export interface ParentPage {
  /** Within the manifest. */
  index: number;
  range: { from: string | null; upTo: string };
  page: ItemPageRef;
}

/** Pages kept in memory: parts of neighbouring keys read the same ones. */
const KEPT_PAGES = 2;

/** Reads the parent's items; keeps the last pages, so neighbouring runs read little twice. */
export class ParentItems {
  readonly #repository: Repository;
  readonly #parent: { backupId: string; type: ItemType } | null;
  #pages: Promise<ParentPage[]> | undefined;
  readonly #read = new Map<string, Promise<SavedItem[]>>();

  /** @param parent null when there is no backup before */
  constructor(repository: Repository, parent: { backupId: string; type: ItemType } | null) {
    this.#repository = repository;
    this.#parent = parent;
  }

  /** All pages, in order of key. @throws `storage_*` */
  pages(): Promise<ParentPage[]> {
    this.#pages ??= this.#open();
    this.#pages.catch(() => this.#pages = undefined);
    return this.#pages;
  }

  /** Items of a run of keys, in order, as far as they can be read. @throws `storage_*` */
  async *within(range: KeyRange, signal: AbortSignal): AsyncIterable<SavedItem> {
    for (const { page } of overlapping(await this.pages(), range)) {
      signal.throwIfAborted();
      for (const item of await this.#items(page)) if (isWithin(item.key, range)) yield item;
    }
  }

  async #open(): Promise<ParentPage[]> {
    if (this.#parent === null) return [];
    const { backupId, type } = this.#parent;
    const { manifest } = await this.#repository.readBackup(backupId, { type });
    return manifest.pages.map((page, index) => ({
      ...{ index, page },
      range: { from: manifest.pages[index - 1]?.last ?? null, upTo: page.last },
    }));
  }

  /** Not for one caller's signal: neighbours wait for the same page. */
  #items(page: ItemPageRef): Promise<SavedItem[]> {
    const known = this.#read.get(page.first);
    if (known !== undefined) return known;
    const items = this.#readPage(page);
    this.#read.set(page.first, items);
    items.catch(() => this.#read.delete(page.first));
    for (const oldest of this.#read.keys()) {
      if (this.#read.size <= KEPT_PAGES) break;
      this.#read.delete(oldest);
    }
    return items;
  }

  /** Comparing only saves work: what is damaged there is read again from the source, and so mended. */
  async #readPage({ items }: ItemPageRef): Promise<SavedItem[]> {
    try {
      return await Array.fromAsync(this.#repository.readLines<SavedItem>(items));
    } catch (error) {
      if (error instanceof BackupError && isDamage(error.code)) return [];
      throw error;
    }
  }
}

/** Pages that may hold keys of a run. */
export function overlapping(pages: readonly ParentPage[], { from, upTo }: KeyRange): ParentPage[] {
  const begin = from === null ? 0 : firstAt(pages, (page) => compareKeys(page.last, from) > 0);
  const end = upTo === null
    ? pages.length
    : firstAt(pages, (page) => compareKeys(page.first, upTo) > 0);
  return pages.slice(begin, end);
}

/** The first page of which this is true, as it is of all behind it. */
function firstAt(pages: readonly ParentPage[], is: (page: ItemPageRef) => boolean): number {
  let [low, high] = [0, pages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (is(pages[middle]!.page)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function isWithin(key: string, { from, upTo }: KeyRange): boolean {
  return (from === null || compareKeys(key, from) > 0) &&
    (upTo === null || compareKeys(key, upTo) <= 0);
}
