/**
 * Identifiers: of jobs and backups (the same thing, seen before and after), of requests.
 *
 * @module
 */

import { JOB_KINDS, JOB_TYPES, type JobKind, type JobType } from "./job.ts";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** `length` random characters of Crockford's base 32. */
export function randomId(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  let text = "";
  for (const byte of bytes) text += ALPHABET[byte % 32];
  return text;
}

/** What a job id says about itself. */
export type JobPrefix = JobKind | "safety";

/**
 * A job's id: kind, moment in UTC to the millisecond, what it is of unless that is the database, ten random
 * characters. Ids sort by time.
 *
 * @example
 * ```ts
 * newJobId("backup", new Date(0)); // "backup_19700101T000000000Z_…"
 * newJobId("backup", new Date(0), "files"); // "backup_19700101T000000000Z_files_…"
 * ```
 */
export function newJobId(prefix: JobPrefix, at: Date, type: JobType = "database"): string {
  const of = type === "database" ? "" : `${type}_`;
  return `${prefix}_${at.toISOString().replace(/[-:.]/g, "")}_${of}${randomId(10)}`;
}

/** What a job id says it is of. */
export function typeOfJobId(id: string): JobType {
  const said = /^[a-z]+_[0-9TZ]+_([a-z]+)_/.exec(id)?.[1];
  return JOB_TYPES.find((type) => type === said) ?? "database";
}

/** A recovery point's id: moment in UTC and ten random characters. Ids sort by time. */
export function newPointId(at: Date): string {
  return `point_${at.toISOString().replace(/[-:.]/g, "")}_${randomId(10)}`;
}

/** Whether the text has the form of a recovery point's id. */
export function isPointId(text: string): boolean {
  return /^point_\d{8}T\d{9}Z_[0-9a-z]{10}$/.test(text);
}

/** The moment that a job id tells; null when it is not of {@linkcode newJobId}'s making. */
export function momentOfJobId(id: string): Date | null {
  const parts = /^[a-z]+_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z_/.exec(id);
  if (parts === null) return null;
  const [, year, month, day, hours, minutes, seconds, ms] = parts;
  const at = new Date(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}.${ms}Z`);
  return Number.isNaN(at.getTime()) ? null : at;
}

const JOB_ID = new RegExp(`^(${JOB_KINDS.join("|")}|safety)_[0-9A-Za-z_]{1,60}$`);

/** Whether the text has the form of a job id; nothing else may reach a path or a query. */
export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}
