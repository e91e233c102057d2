/**
 * What holders are called, so that workers, a clean-up and a person reading `pg_stat_activity` know
 * whose they are.
 *
 * @module
 */
/** `backup/`, eight digits of the job, four of this holder. */
const NAME = /^backup\/([0-9a-f]{8})[0-9a-f]{4}$/;

/** A name for a holder of this job; no two are alike. */
export function newHolderName(jobId: string): string {
  const [random = 0] = crypto.getRandomValues(new Uint16Array(1));
  return `backup/${jobMark(jobId)}${random.toString(16).padStart(4, "0")}`;
}

/** What the names of all holders of a job begin with, behind `backup/`. */
export function jobMark(jobId: string): string {
  return hash32(jobId).toString(16).padStart(8, "0");
}

/** The mark of the job that a holder's name tells, or null when it is no such name. */
export function jobMarkOf(name: string): string | null {
  return NAME.exec(name)?.[1] ?? null;
}

/** FNV-1a, 32 bits: the same everywhere, for marks that need not resist anybody. */
function hash32(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash >>> 0;
}
