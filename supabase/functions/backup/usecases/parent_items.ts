/**
 * The items of the backup before, looked up by runs of keys.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { compareKeys, type ItemType, type SavedItem } from "../core/items.ts";
import { isDamage, type ItemPageRef, type Repository } from "../repository/mod.ts";

/** A run of keys: behind `from`, up to and with `upTo`; null for no bound. Survives JSON. */
export interface KeyRange {
  from: string | null;
  upTo: string | null;
}

/** Pages kept in memory: parts of neighbouring keys read the same ones. */
const KEPT_PAGES = 2;

/** Reads the parent's items; keeps the last pages, so neighbouring runs read little twice. */
export class ParentItems {
  readonly #repository: Repository;
  readonly #parent: { backupId: string; type: ItemType } | null;
  #pages: Promise<ItemPageRef[]> | undefined;
  readonly #read = new Map<string, Promise<SavedItem[]>>();

  /** @param parent null when there is no backup before */
  constructor(repository: Repository, parent: { backupId: string; type: ItemType } | null) {
    this.#repository = repository;
    this.#parent = parent;
  }

  /** Items of a run, by key, as far as they can be read. @throws `storage_*` */
  async within(range: KeyRange, signal: AbortSignal): Promise<Map<string, SavedItem>> {
    const found = new Map<string, SavedItem>();
    for (const page of await this.#list()) {
      signal.throwIfAborted();
      if (range.from !== null && compareKeys(page.last, range.from) <= 0) continue;
      if (range.upTo !== null && compareKeys(page.first, range.upTo) > 0) break;
      for (const item of await this.#items(page)) {
        if (isWithin(item.key, range)) found.set(item.key, item);
      }
    }
    return found;
  }

  #list(): Promise<ItemPageRef[]> {
    this.#pages ??= this.#open();
    this.#pages.catch(() => this.#pages = undefined);
    return this.#pages;
  }

  async #open(): Promise<ItemPageRef[]> {
    if (this.#parent === null) return [];
    const { backupId, type } = this.#parent;
    return (await this.#repository.readBackup(backupId, { type })).manifest.pages;
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

function isWithin(key: string, { from, upTo }: KeyRange): boolean {
  return (from === null || compareKeys(key, from) > 0) &&
    (upTo === null || compareKeys(key, upTo) <= 0);
}
