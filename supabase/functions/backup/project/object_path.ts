/**
 * Names of objects in addresses.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";

/**
 * The path of an object below a route. A URL cannot hold a segment `.` or `..`: whoever reads it drops
 * it, however it is encoded, and another object would be meant. So a name with one goes as a single
 * segment with its slashes encoded.
 *
 * @throws `files_refused` for names that no address can hold
 */
export function objectPath(bucket: string, name: string): string {
  const segments = name.split("/");
  const climbs = [bucket, ...segments].some(isDots);
  if (climbs && (segments.length === 1 || isDots(bucket))) {
    throw new BackupError(
      "files_refused",
      `Cannot ask for ${bucket}/${name}: no web address can hold a name of dots alone`,
      { hint: "Give the object another name, by the S3 protocol or in the database." },
    );
  }
  return climbs
    ? `${encode(bucket)}/${encode(name)}`
    : `${encode(bucket)}/${segments.map(encode).join("/")}`;
}

function isDots(segment: string): boolean {
  return segment === "." || segment === "..";
}

/** Unpaired halves of UTF-16 pairs have no encoding. PostgreSQL and S3 hold none either. */
function encode(text: string): string {
  return encodeURIComponent(text.isWellFormed() ? text : text.toWellFormed());
}
