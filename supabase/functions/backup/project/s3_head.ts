/**
 * What S3 says of an object in front of its bytes.
 *
 * @module
 */
import type { S3Listed } from "../storage/s3_listing.ts";
import type { Answer } from "./http_answer.ts";

/** In front of the names of an application's own metadata. */
const METADATA = "x-amz-meta-";

/** What S3 says of an object when it is asked for it. */
export interface S3Head {
  ETag?: string | undefined;
  ContentLength?: number | undefined;
  LastModified?: Date | undefined;
  ContentType?: string | undefined;
  CacheControl?: string | undefined;
  ContentEncoding?: string | undefined;
  ContentDisposition?: string | undefined;
  Metadata?: Record<string, string> | undefined;
}

/** What an answer says of its object. */
export function headOf({ headers }: Pick<Answer, "headers">): S3Head {
  const text = (name: string) => headers.get(name) ?? undefined;
  const metadata = [...headers].filter(([name]) => name.startsWith(METADATA))
    .map(([name, value]) => [name.slice(METADATA.length), value]);
  const [length, modified] = [text("content-length"), text("last-modified")];
  return {
    ETag: text("etag"),
    ContentLength: length === undefined ? undefined : Number(length),
    LastModified: modified === undefined ? undefined : new Date(modified),
    ContentType: text("content-type"),
    CacheControl: text("cache-control"),
    ContentEncoding: text("content-encoding"),
    ContentDisposition: text("content-disposition"),
    Metadata: Object.fromEntries(metadata),
  };
}

/** What a listing says of an object, which is less. */
export function headOfListed({ etag, sizeBytes, modifiedAt }: S3Listed): S3Head {
  return {
    ETag: etag ?? undefined,
    ContentLength: sizeBytes,
    LastModified: modifiedAt ?? undefined,
  };
}
