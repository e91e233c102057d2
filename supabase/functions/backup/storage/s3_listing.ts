/**
 * A page of a bucket's objects, as S3 tells it.
 *
 * @module
 */
import { textOf } from "./s3_xml.ts";

/** An object of a page. */
export interface S3Listed {
  name: string;
  sizeBytes: number;
  etag: string | null;
  modifiedAt: Date | null;
}

/** A page. */
export interface S3Page {
  objects: S3Listed[];
  /** Whether more follow. */
  truncated: boolean;
  /** What is asked for to read on; null where the server says nothing of it. */
  token: string | null;
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
      ...{ name, sizeBytes: size, etag: textOf(content, "ETag") },
      modifiedAt: modified === null ? null : new Date(modified),
    });
  }
  const token = textOf(xml, "NextContinuationToken");
  return { objects, truncated: truncated === "true", token };
}
