/**
 * Buckets and objects of Supabase Storage, as its API tells of them.
 *
 * @module
 */
import type { Json } from "../core/part.ts";

/** Settings of a bucket that its API can write. */
export interface BucketSettings {
  public: boolean;
  /** Bytes; null for the project's own limit. */
  fileSizeLimit: number | null;
  /** Such as `image/*`; null for all. */
  allowedMimeTypes: string[] | null;
}

/** A bucket. */
export interface Bucket extends BucketSettings {
  id: string;
  name: string;
  /** `STANDARD` for one of objects. */
  type: string;
  owner: string | null;
  createdAt: string | null;
  updatedAt: string | null;
}

/** Where an object is. */
export interface ObjectAddress {
  bucket: string;
  name: string;
}

/** What is stored beside an object's bytes, and can be given at upload. */
export interface ObjectMetadata {
  mimetype: string | null;
  cacheControl: string | null;
  /** What the application attached. */
  userMetadata: Json;
  robots: string | null;
}

/** An object as `info` or a listing tells of it. */
export interface ObjectInfo extends ObjectMetadata {
  name: string;
  /** New with each upload; null when the server does not tell. */
  version: string | null;
  size: number | null;
  /** Of the store, without quotes. */
  eTag: string | null;
  createdAt: string | null;
  updatedAt: string | null;
}

/** An ETag without quotes; null for none. */
export function bareETag(text: unknown): string | null {
  if (typeof text !== "string") return null;
  const bare = text.replace(/^W\//, "").replaceAll('"', "");
  return bare === "" ? null : bare;
}

/** The MD5 that an ETag is, in hexadecimal; null for those of uploads in parts, which are none. */
export function md5Of(eTag: string | null): string | null {
  return eTag !== null && /^[0-9a-f]{32}$/i.test(eTag) ? eTag.toLowerCase() : null;
}
