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

/**
 * Reads the answer; null for one that is no listing, or not all of one: what it lacks would look deleted. The time
 * it takes grows with the length of the text, whatever is in it.
 */
export function readS3Page(xml: string): S3Page | null {
  const begin = xml.indexOf("<ListBucketResult");
  if (begin < 0 || !xml.trimEnd().endsWith("</ListBucketResult>")) return null;
  const parts = elementsOf(xml, "Contents");
  if (parts === null) return null;
  const [around, contents] = parts;
  const truncated = textOf(around, "IsTruncated")?.trim();
  if (truncated !== "true" && truncated !== "false") return null;
  const objects: S3Listed[] = [];
  for (const content of contents) {
    const object = readObject(content);
    if (object === null) return null;
    objects.push(object);
  }
  const token = textOf(around, "NextContinuationToken");
  return { objects, truncated: truncated === "true", token };
}

function readObject(content: string): S3Listed | null {
  const name = textOf(content, "Key");
  const size = Number(textOf(content, "Size") ?? NaN);
  const modified = textOf(content, "LastModified");
  const modifiedAt = modified === null ? null : timeOf(modified);
  if (name === null || !Number.isSafeInteger(size) || modifiedAt === undefined) return null;
  return { name, sizeBytes: size, etag: textOf(content, "ETag"), modifiedAt };
}

/** A moment as servers tell it, with its zone; undefined for any other text. */
export function timeOf(text: string): Date | undefined {
  const time = new Date(text);
  const isTold = /(?:Z|GMT|[+-]\d\d:?\d\d)\s*$/.test(text) && !Number.isNaN(time.getTime());
  return isTold ? time : undefined;
}

/** The contents of all elements of a name, behind the text around them; null where one has no end. */
function elementsOf(xml: string, name: string): [string, string[]] | null {
  const [opening, closing] = [`<${name}>`, `</${name}>`];
  const found: string[] = [];
  let around = "";
  let at = 0;
  for (;;) {
    const from = xml.indexOf(opening, at);
    if (from < 0) return [around + xml.slice(at), found];
    const to = xml.indexOf(closing, from);
    if (to < 0) return null;
    around += xml.slice(at, from);
    found.push(xml.slice(from + opening.length, to));
    at = to + closing.length;
  }
}
