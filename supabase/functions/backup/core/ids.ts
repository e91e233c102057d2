/**
 * Identifiers: of jobs and backups (the same thing, seen before and after), of requests.
 *
 * @module
 */

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** `length` random characters of Crockford's base 32. */
export function randomId(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  let text = "";
  for (const byte of bytes) text += ALPHABET[byte % 32];
  return text;
}

/** What a job id says about itself. */
export type JobPrefix = "backup" | "restore" | "verify" | "safety";

/**
 * A job's id: kind, moment in UTC to the millisecond, ten random characters. Ids sort by time.
 *
 * @example
 * ```ts
 * newJobId("backup", new Date(0)); // "backup_19700101T000000000Z_…"
 * ```
 */
export function newJobId(prefix: JobPrefix, at: Date): string {
  return `${prefix}_${at.toISOString().replace(/[-:.]/g, "")}_${randomId(10)}`;
}

/** The moment that a job id tells; null when it is not of {@linkcode newJobId}'s making. */
export function momentOfJobId(id: string): Date | null {
  const parts = /^[a-z]+_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z_/.exec(id);
  if (parts === null) return null;
  const [, year, month, day, hours, minutes, seconds, ms] = parts;
  const at = new Date(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}.${ms}Z`);
  return Number.isNaN(at.getTime()) ? null : at;
}

/** Whether the text has the form of a job id; nothing else may reach a path or a query. */
export function isJobId(text: string): boolean {
  return /^(backup|restore|verify|safety)_[0-9A-Za-z_]{1,60}$/.test(text);
}
