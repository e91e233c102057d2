/**
 * Starts the verification that is due: all bytes of the newest backup of each type that were never read
 * back; where they all were, of the backup that was longest not.
 *
 * @module
 */
import { typeOfJobId } from "../../core/ids.ts";
import type { Job } from "../../core/job.ts";
import type { Caller, Deps } from "../deps.ts";
import { startVerification } from "./start_verify.ts";

/** Null when there is no backup yet. @throws as `startVerification` */
export async function startDueVerification(deps: Deps, caller: Caller): Promise<Job | null> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const ids = await repository.backupIds();
  const { location } = repository;
  const dates = await deps.state.verifications.lastDates(ids, { location, complete: true });
  const backups = chooseBackups(ids, dates);
  return backups.length === 0
    ? null
    : await startVerification(deps, caller, { backups, level: "full" });
}

/**
 * Which backups to verify now.
 *
 * @param ids newest first
 * @param dates when each was last read back, ISO 8601; those that never were are absent
 */
export function chooseBackups(
  ids: readonly string[],
  dates: ReadonlyMap<string, string>,
): string[] {
  const usual = ids.filter((id) => !id.startsWith("safety_"));
  const newest = new Map(usual.toReversed().map((id) => [typeOfJobId(id), id]));
  const unread = [...newest.values()].filter((id) => !dates.has(id));
  if (unread.length > 0) return unread.toSorted();
  const [oldest] = ids.toSorted((a, b) => {
    const [one, other] = [dates.get(a) ?? "", dates.get(b) ?? ""];
    return one < other ? -1 : one > other ? 1 : a < b ? -1 : 1;
  });
  return oldest === undefined ? [] : [oldest];
}
