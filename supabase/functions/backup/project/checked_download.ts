/**
 * Bytes of an object, gone on with where a connection broke, and compared with the store's checksum.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { BackupError } from "../core/errors.ts";
import type { Hashing } from "../core/hashing.ts";
import { md5Of } from "./object_types.ts";
import type { Download } from "./storage_api.ts";

/** How to get at an object's bytes. */
export interface DownloadSource {
  /** For messages: `avatars/me.png`. */
  title: string;
  /** Bytes from an offset on; null when the object is gone. */
  open(range: { from: number; to?: number }, signal: AbortSignal): Promise<Download | null>;
  /** How often a connection may break without any progress. */
  tries: number;
  hashing: Hashing;
  signal: AbortSignal;
}

/** A part of an object that was begun. */
export interface BegunRange {
  first: Download;
  from: number;
  /** Null for the end. */
  to: number | null;
  /** The MD5 of exactly these bytes, in hexadecimal; null when there is none to compare with. */
  md5: string | null;
}

/** Bytes that must come between two breaks for the second to count as a first one. */
const PROGRESS_BYTES = 1 << 20;

/**
 * The bytes, in order, however often the connection breaks.
 * @throws `files_changed`, `files_damaged`, `files_unreachable`
 */
export async function* checkedBytes(
  source: DownloadSource,
  { first, from, to, md5 }: BegunRange,
): AsyncGenerator<Uint8Array> {
  const { title, signal, tries } = source;
  const hash = md5 === null ? null : createHash("md5");
  let download = first;
  let at = from;
  let safe = from;
  for (let attempt = 1;;) {
    try {
      for await (const chunk of download.body) {
        hash?.update(chunk);
        at += chunk.length;
        yield chunk;
      }
      break;
    } catch (error) {
      await download.cancel();
      if (at - safe >= PROGRESS_BYTES) attempt = 1;
      if (!isBroken(error) || attempt++ >= tries) throw error;
      safe = at;
      if (first.bytes !== null && at === from + first.bytes) break;
      const next = await source.open({ from: at, ...(to === null ? {} : { to }) }, signal);
      if (next === null || next.eTag !== first.eTag) {
        await next?.cancel();
        throw changed(title);
      }
      download = next;
    }
  }
  if (first.bytes !== null && at !== from + first.bytes) throw changed(title);
  if (hash !== null) requireMd5(title, md5, () => hash.digest("hex"));
}

/** A small object's bytes in memory. @throws as {@linkcode checkedBytes} */
export async function wholeBytes(source: DownloadSource, first: Download): Promise<Uint8Array> {
  const { title, signal, tries, hashing } = source;
  let download = first;
  for (let attempt = 1;; attempt++) {
    try {
      const bytes = await download.whole();
      requireMd5(title, md5Of(first.eTag), () => hashing.md5(bytes));
      return bytes;
    } catch (error) {
      if (!isBroken(error) || attempt >= tries) throw error;
    }
    const next = await source.open({ from: 0 }, signal);
    if (next === null || next.eTag !== first.eTag) {
      await next?.cancel();
      throw changed(title);
    }
    download = next;
  }
}

/** Whether another read may give other bytes. */
export function isWorthAnotherRead(error: unknown): boolean {
  return error instanceof BackupError &&
    (error.code === "files_damaged" || error.code === "files_changed");
}

/** The error of an object that is not what it was when it was begun. */
export function changed(title: string): BackupError {
  return new BackupError("files_changed", `Cannot read ${title}: it changed while it was read`, {
    hint: "It is saved with the next backup, unless it changes again.",
  });
}

function requireMd5(title: string, expected: string | null, digest: () => string): void {
  if (expected === null) return;
  const found = digest();
  if (found === expected) return;
  const why = `its bytes have the MD5 ${found}, and the store says ${expected}`;
  throw new BackupError("files_damaged", `Cannot read ${title}: ${why}`, {
    hint:
      "The store's copy is damaged, or something on the way alters it. Upload the object again.",
  });
}

function isBroken(error: unknown): boolean {
  return error instanceof BackupError && error.code === "files_unreachable";
}
