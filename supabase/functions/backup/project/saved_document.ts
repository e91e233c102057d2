/**
 * Reads what a backup keeps of a configuration's item.
 *
 * @module
 */
import { concat } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { OpenContent, SavedItem } from "../core/items.ts";
import { decodeDocument } from "./config_document.ts";
import { SECTION_CONTENT } from "./config_source.ts";

/** The document of an item. @throws `object_missing` when the item has none, and as reading it does */
export async function readDocument<T extends { format: number }>(
  open: OpenContent,
  item: SavedItem,
): Promise<T> {
  return decodeDocument<T>(await readContent(open, { item, name: SECTION_CONTENT }), item.key);
}

/** A content of an item as a whole. @throws `object_missing` when the item has none of that name */
export async function readContent(
  open: OpenContent,
  { item, name }: { item: SavedItem; name: string },
): Promise<Uint8Array> {
  const content = item.contents.find((one) => one.name === name);
  if (content === undefined) {
    throw new BackupError("object_missing", `Cannot read ${item.key} of the backup: no ${name}`);
  }
  return concat(await Array.fromAsync(open(content)));
}
