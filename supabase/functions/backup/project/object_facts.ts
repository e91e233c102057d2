/**
 * Buckets and objects as items of a backup: what their facts are called, and back again.
 *
 * @module
 */
import type { ItemFacts, ListedItem } from "../core/items.ts";
import type { Json } from "../core/part.ts";
import type { BucketSettings, ObjectAddress, ObjectInfo, ObjectMetadata } from "./object_types.ts";

/** The content of an object's item. */
export const OBJECT_CONTENT = "object";

/** Where the item's key points: `name` is null for a bucket itself. */
export function addressOf(key: string): { bucket: string; name: string | null } {
  const slash = key.indexOf("/");
  return slash < 0
    ? { bucket: key, name: null }
    : { bucket: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The item's key. A bucket's name holds no slash. */
export function keyOf({ bucket, name }: ObjectAddress): string {
  return `${bucket}/${name}`;
}

/** An object as an item. */
export function objectItem(
  bucket: string,
  info: ObjectInfo & { owner?: string | null },
): ListedItem {
  return {
    key: keyOf({ bucket, name: info.name }),
    revision: revisionOf(info),
    facts: objectFacts(info),
    sizeBytes: info.size ?? 0,
  };
}

/** Facts of an object; what is not known is left out. */
export function objectFacts(info: ObjectInfo & { owner?: string | null }): ItemFacts {
  const { eTag, mimetype, cacheControl, userMetadata, robots, owner, createdAt, updatedAt } = info;
  const facts: Record<string, Json | undefined> = {
    ...{ eTag, mimetype, cacheControl, userMetadata, robots, owner, createdAt, updatedAt },
  };
  const known: ItemFacts = {};
  for (const name in facts) {
    const value = facts[name];
    if (value !== null && value !== undefined) known[name] = value;
  }
  return known;
}

/** What was stored beside the bytes of a saved object. */
export function metadataOf(facts: ItemFacts): ObjectMetadata {
  return {
    mimetype: textFact(facts, "mimetype"),
    cacheControl: textFact(facts, "cacheControl"),
    userMetadata: facts.userMetadata ?? null,
    robots: textFact(facts, "robots"),
  };
}

/** A fact that is text, null when it is not known. */
export function textFact(facts: ItemFacts, name: string): string | null {
  const value = facts[name];
  return typeof value === "string" ? value : null;
}

/** A bucket as an item: without content, all of it is facts. */
export function bucketItem(
  id: string,
  settings: BucketSettings,
  more: ItemFacts,
): ListedItem {
  const { public: isPublic, fileSizeLimit, allowedMimeTypes } = settings;
  const facts = { ...more, public: isPublic, fileSizeLimit, allowedMimeTypes };
  return { key: id, revision: JSON.stringify(facts), facts, sizeBytes: 0 };
}

/** Settings of a saved bucket. */
export function settingsOf(facts: ItemFacts): BucketSettings {
  const { public: isPublic, fileSizeLimit, allowedMimeTypes } = facts;
  return {
    public: isPublic === true,
    fileSizeLimit: typeof fileSizeLimit === "number" ? fileSizeLimit : null,
    allowedMimeTypes: Array.isArray(allowedMimeTypes) ? allowedMimeTypes.map(String) : null,
  };
}

/**
 * Bytes of a version never change, each upload has a new one. Where the server does not tell it, ETag,
 * length and time stand for it.
 */
function revisionOf({ version, eTag, size, updatedAt }: ObjectInfo): string | null {
  if (version !== null) return `${version}:${eTag ?? ""}`;
  return eTag === null ? null : `${eTag}:${size ?? ""}:${updatedAt ?? ""}`;
}
