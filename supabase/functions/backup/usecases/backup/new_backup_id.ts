/**
 * Names a backup so that it is the newest one.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import { newJobId } from "../../core/ids.ts";
import type { JobType } from "../../core/job.ts";
import type { Repository } from "../../repository/mod.ts";

/** No year beyond it has four digits, and ids would not sort any more. */
const LAST_YEAR = 9999;

/**
 * A new id that sorts after all of the repository's. Ids tell a moment by the clock of whoever makes them;
 * where that clock is behind the newest backup, because it was set back or another machine's is ahead, the
 * moment is the next one after that backup's: `latest` is what was begun last, and never what a clock says.
 *
 * @throws `storage_*`
 */
export async function newBackupId(
  repository: Repository,
  { clock, prefix = "backup", type = "database" }: {
    clock: Clock;
    prefix?: "backup" | "safety";
    type?: JobType;
  },
): Promise<string> {
  const now = clock.now();
  const newest = await repository.newestMoment();
  if (newest === null || newest < now || newest.getUTCFullYear() >= LAST_YEAR) {
    return newJobId(prefix, now, type);
  }
  return newJobId(prefix, new Date(newest.getTime() + 1), type);
}
