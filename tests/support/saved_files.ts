/**
 * A backup of items in memory, without a repository.
 *
 * @module
 */
import {
  compareKeys,
  type ItemSource,
  type ListedItem,
  type OpenContent,
  type SavedItem,
} from "../../supabase/functions/backup/core/items.ts";
import { concat } from "../../supabase/functions/backup/core/bytes.ts";
import { toBackupError } from "../../supabase/functions/backup/core/errors.ts";

/** What was saved, and how to read its contents back. */
export interface SavedFiles {
  items: SavedItem[];
  open: OpenContent;
}

/** Never aborted. */
export const SIGNAL = new AbortController().signal;

/** All pages of a source. @throws when they are out of order */
export async function listAll(source: ItemSource): Promise<ListedItem[]> {
  const items: ListedItem[] = [];
  let after: string | null = null;
  do {
    const page = await source.page(after, SIGNAL);
    items.push(...page.items);
    after = page.next;
  } while (after !== null);
  for (const [at, { key }] of items.entries()) {
    if (at > 0 && compareKeys(items[at - 1]!.key, key) >= 0) {
      throw new Error(`out of order: ${key}`);
    }
  }
  return items;
}

/** Reads everything; what cannot be read is told of the item. */
export async function saveFiles(source: ItemSource): Promise<SavedFiles> {
  const bytes = new Map<string, Uint8Array>();
  const items: SavedItem[] = [];
  for (const item of await listAll(source)) {
    const savedAt = new Date(0).toISOString();
    try {
      const read = await source.read(item, SIGNAL);
      if (read === null) continue;
      const contents = [];
      for (const { name, body } of read.contents) {
        const content = await bytesOf(body);
        const chunk = `${item.key}#${name}`;
        bytes.set(chunk, content);
        const pieces = [{ chunk, offset: 0, length: content.length }];
        contents.push({ name, bytes: content.length, sha256: null, pieces });
      }
      const { revision = item.revision, facts = item.facts } = read;
      items.push({ ...item, revision, facts, contents, savedAt });
    } catch (error) {
      const { code, message, hint } = toBackupError(error);
      const failure = { code, message, ...(hint === undefined ? {} : { hint }) };
      items.push({ ...item, contents: [], savedAt, failure });
    }
  }
  return {
    items,
    async *open({ pieces }, { from } = { from: 0 }) {
      const content = bytes.get(pieces[0]!.chunk)!;
      for (let at = from; at < content.length; at += 1 << 20) {
        yield content.subarray(at, Math.min(at + (1 << 20), content.length));
      }
    },
  };
}

/** A body in memory. */
export async function bytesOf(body: Uint8Array | AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return body instanceof Uint8Array ? body : concat(await Array.fromAsync(body));
}
