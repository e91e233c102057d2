/**
 * A restore over a database that holds something, asked for long ago and not begun, does not begin now: its worker
 * was lost, or the database was put back to the moment when it ran, and people have helped themselves since.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { momentOfJobId } from "../../core/ids.ts";

/** From the request on; each worker goes on within minutes where there is a clock. */
const LATEST_MS = 24 * 3_600_000;

/** @throws `interrupted` when the restore was asked for more than a day ago, as its id tells */
export function refuseLateRestore(jobId: string, now: Date): void {
  const askedAt = momentOfJobId(jobId)?.getTime() ?? 0;
  // Ids made without a moment have that of zero.
  if (askedAt === 0 || now.getTime() - askedAt <= LATEST_MS) return;
  throw new BackupError(
    "interrupted",
    `Cannot go on with ${jobId}: it was asked for more than a day ago, and has not begun since`,
    {
      hint:
        "Nothing was changed. Look at the database, and start the restore again if it is needed.",
    },
  );
}
