/**
 * A page of a bucket's objects, as S3 tells it.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { compareKeys, type ListedItem } from "../core/items.ts";
import type { S3Head } from "./s3_head.ts";

/** A page. */
export interface S3Page {
  objects: { name: string; head: S3Head }[];
  /** Whether more follow. */
  truncated: boolean;
}

/** Reads the answer; null for one that is no listing, or not all of one: what it lacks would look deleted. */
export function readS3Page(xml: string): S3Page | null {
  if (!/<ListBucketResult[\s>].*<\/ListBucketResult>\s*$/s.test(xml)) return null;
  const truncated = textOf(xml, "IsTruncated");
  if (truncated !== "true" && truncated !== "false") return null;
  const objects: S3Page["objects"] = [];
  for (const [, content = ""] of xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
    const name = textOf(content, "Key");
    const size = Number(textOf(content, "Size") ?? NaN);
    if (name === null || !Number.isSafeInteger(size)) return null;
    const modified = textOf(content, "LastModified");
    objects.push({
      name,
      head: {
        ETag: textOf(content, "ETag") ?? undefined,
        ContentLength: size,
        LastModified: modified === null ? undefined : new Date(modified),
      },
    });
  }
  return { objects, truncated: truncated === "true" };
}

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

/** The text of the first element of this name; null without one. */
export function textOf(xml: string, element: string): string | null {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1];
  return text === undefined ? null : unescapeXml(text);
}

const NAMED: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{2,4}));/g,
    (all, decimal, hexadecimal, name) => {
      if (name !== undefined) return NAMED[name] ?? all;
      return String.fromCodePoint(
        decimal === undefined ? parseInt(hexadecimal, 16) : Number(decimal),
      );
    },
  );
}
