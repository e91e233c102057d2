/**
 * An object in the target beside the one in the backup.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { SavedItem } from "../core/items.ts";
import type { Json } from "../core/part.ts";
import { metadataOf, OBJECT_CONTENT, textFact } from "./object_facts.ts";
import { md5Of, type ObjectInfo } from "./object_types.ts";
import { STEP_BYTES } from "./resumable_upload.ts";

/** What a server stores where nothing was said. */
const NO_CACHE = "no-cache";

/** Whether the target holds the backup's bytes, as far as its checksum tells. */
export function isSame(
  info: ObjectInfo | null,
  item: SavedItem,
  md5: string | null,
): info is ObjectInfo {
  if (info === null || info.size !== bytesOf(item)) return false;
  const found = md5Of(info.eTag);
  return found === null || md5 === null || found === md5;
}

/** Whether the target certainly holds the backup's bytes: checksums were there to compare. */
export function isProven(
  info: ObjectInfo | null,
  item: SavedItem,
  md5: string | null,
): info is ObjectInfo {
  return isSame(info, item, md5) && md5 !== null && md5Of(info.eTag) === md5;
}

/** @throws `files_damaged` when the target does not hold the backup's bytes */
export function requireSame(
  info: ObjectInfo | null,
  { item, md5 }: { item: SavedItem; md5: string | null },
): asserts info is ObjectInfo {
  if (isSame(info, item, md5)) return;
  const { size, eTag }: Partial<ObjectInfo> = info ?? {};
  throw new BackupError(
    "files_damaged",
    info === null
      ? `Cannot restore ${item.key}: it was stored and is not there`
      : `Cannot restore ${item.key}: ${size} bytes are there with the checksum ${eTag}, ` +
        `not the ${bytesOf(item)} bytes of the backup`,
    { hint: "Somebody may have replaced it meanwhile. Restore it again." },
  );
}

/** What of an object in the target is not as in the backup, each with both values. */
export function differenceOf(now: ObjectInfo, item: SavedItem): { [name: string]: Json } {
  const then = metadataOf(item.facts);
  const pairs: [string, Json, Json][] = [
    ["bytes", now.size, bytesOf(item)],
    ["eTag", now.eTag, textFact(item.facts, "eTag")],
    ["mimetype", now.mimetype, then.mimetype],
    ["cacheControl", now.cacheControl ?? NO_CACHE, then.cacheControl ?? NO_CACHE],
    ["userMetadata", now.userMetadata, then.userMetadata],
  ];
  return Object.fromEntries(
    pairs.filter(([, a, b]) => !sameJson(a, b))
      .map(([name, a, b]) => [name, { now: a, backup: b }]),
  );
}

/** What was compared after a restore, and what did not come back as it was. */
export function checkedWords(
  info: ObjectInfo,
  { facts }: SavedItem,
  { ownersAndTimes }: { ownersAndTimes: boolean },
): string {
  const then = metadataOf(facts);
  const cacheControl = then.cacheControl ?? NO_CACHE;
  const lost = [
    info.mimetype === then.mimetype || then.mimetype === null
      ? null
      : `media type is ${info.mimetype}`,
    info.cacheControl === cacheControl
      ? null
      : `cache control is ${info.cacheControl}, not ${cacheControl}`,
    sameJson(info.userMetadata, then.userMetadata) ? null : "the application's metadata differs",
    then.robots === null || (info.size ?? 0) <= STEP_BYTES
      ? null
      : "the rule for robots is lost, which an upload in steps cannot carry",
    ownersAndTimes || textFact(facts, "owner") === null
      ? null
      : "it belongs to nobody, which only the database can change",
  ].filter((each) => each !== null);
  const compared = md5Of(info.eTag) === null ? "length" : "length and MD5";
  return [`${compared} match`, ...lost].join("; ");
}

/** Length of the saved object. */
function bytesOf(item: SavedItem): number {
  return item.contents.find(({ name }) => name === OBJECT_CONTENT)?.bytes ?? 0;
}

/** The database gives the fields of an object in an order of its own. */
function sameJson(a: Json, b: Json): boolean {
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return a === b;
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return Array.isArray(a) === Array.isArray(b) && keys.length === others.length &&
    keys.every((key) =>
      Object.hasOwn(b, key) &&
      sameJson((a as Record<string, Json>)[key]!, (b as Record<string, Json>)[key]!)
    );
}
