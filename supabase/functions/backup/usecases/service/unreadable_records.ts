/**
 * Records in storage that cannot be read. The tables remember them, so that they are not in the way of those
 * that can, and people are told of them.
 *
 * @module
 */
import type { Repository } from "../../repository/mod.ts";
import type { Deps } from "../deps.ts";

/** A backup's or a recovery point's record that cannot be read. */
export interface UnreadableRecord {
  id: string;
  code: string;
}

/** Ids that a message names. */
const MOST_NAMED = 10;

/** The incident; a complete verification without a problem ends it too. */
const KEY = "damage:records";

/**
 * Which records to read now of those that the tables do not know: first those that nobody has tried, then
 * some that could not be read before, by chance, so that each has its turn.
 *
 * @param unknown ids, newest first
 * @returns `left`: how many nobody has tried are not among them
 */
export async function recordsToRead(
  deps: Deps,
  unknown: readonly string[],
  most: number,
): Promise<{ ids: string[]; left: number }> {
  if (unknown.length <= most) return { ids: [...unknown], left: 0 };
  const tried = await deps.state.verifications.unreadable(unknown);
  const fresh = unknown.filter((id) => !tried.has(id));
  const again = unknown.filter((id) => tried.has(id))
    .map((id) => ({ id, turn: Math.random() })).sort((a, b) => a.turn - b.turn)
    .map(({ id }) => id);
  return { ids: [...fresh, ...again].slice(0, most), left: Math.max(0, fresh.length - most) };
}

/** Remembers what could not be read. */
export async function noteUnreadable(
  deps: Deps,
  records: readonly UnreadableRecord[],
  { location }: Pick<Repository, "location">,
): Promise<void> {
  await deps.state.verifications.noteUnreadable(records, { location });
}

/** Tells people of records that were just found unreadable; and that all are whole again, where all were read. */
export async function tellOfUnreadable(
  deps: Deps,
  { unreadable, left }: { unreadable: readonly UnreadableRecord[]; left: number },
): Promise<void> {
  const about = { type: "records", jobId: null, key: KEY };
  if (unreadable.length > 0) {
    await deps.notify({
      ...{ ...about, kind: "damage", message: inWords(unreadable) },
      todo: "See what is wrong with action=verify; restore them from another copy of the storage.",
      details: {
        records: unreadable.slice(0, MOST_NAMED).map(({ id }) => id).join(", "),
        recordsInAll: unreadable.length,
      },
    });
  } else if (left === 0) {
    const message = "All records in the storage can be read.";
    await deps.notify({ ...about, kind: "job-recovered", message });
  }
}

/** What cannot be read, as a sentence. */
export function inWords(unreadable: readonly UnreadableRecord[]): string {
  const named = unreadable.slice(0, MOST_NAMED).map(({ id, code }) => `${id} (${code})`).join(", ");
  const more = unreadable.length > MOST_NAMED ? ", …" : "";
  return `${unreadable.length} records in the storage cannot be read: ${named}${more}`;
}
