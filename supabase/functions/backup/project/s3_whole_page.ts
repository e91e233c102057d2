/**
 * What a page of a listing must be, for the files that it does not name to count as deleted.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { compareKeys, type ListedItem } from "../core/items.ts";
import type { S3Page } from "../storage/s3_listing.ts";

/**
 * Refuses a page that another one could not follow.
 *
 * @throws `files_refused` for servers whose order is not that of bytes; and for an empty page with more behind
 * it: the objects there could neither be asked for nor count as deleted
 */
export function requireWholePage(
  items: readonly ListedItem[],
  { truncated }: Pick<S3Page, "truncated">,
): void {
  const at = items.findIndex(({ key }, at) => at > 0 && compareKeys(items[at - 1]!.key, key) >= 0);
  if (at >= 0) {
    throw new BackupError(
      "files_refused",
      `Cannot list the objects: the server has ${items[at]!.key} behind ${items[at - 1]!.key}`,
      { hint: "Directory buckets and some servers have no order of names. Use another bucket." },
    );
  }
  if (items.length > 0 || !truncated) return;
  throw new BackupError(
    "files_refused",
    "Cannot list the objects: the server says that there are more, and names none",
    { hint: "Some servers do so while they put their index in order. Try again later." },
  );
}
