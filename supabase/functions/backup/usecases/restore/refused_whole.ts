/**
 * Says why a restore that has to replace something, and therefore is one transaction, cannot be done here,
 * and what keeps it from being done in parts.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { BackupFacts } from "../../restore/mod.ts";

/** What both refusals say. */
interface Refused {
  /** The command line that does it. */
  command: string;
  /** What stands and is not as the backup has it. */
  inTheWay: readonly string[];
}

/** Names of what is in the way that an error's hint holds; its details hold more. */
const MOST_IN_THE_WAY = 3;
const MOST_IN_DETAILS = 50;

/** The transaction would take longer than a worker lives. */
export function tooLong(
  { backupId }: Pick<BackupFacts, "backupId">,
  { bytes, maxWholeBytes, ...refused }: Refused & {
    bytes: number;
    maxWholeBytes: number | undefined;
  },
): BackupError {
  const mb = Math.ceil(bytes / 1e6);
  return new BackupError(
    "over_budget",
    `Cannot restore ${backupId} here: ${mb} MB must be one transaction, which takes longer ` +
      "than a hosted function lives",
    { hint: hintOf(refused), details: { bytes, maxWholeBytes, ...detailsOf(refused) } },
  );
}

/** The last worker was ended while it read everything, which it takes to replace something. */
export function tooMany(
  { backupId, entries }: Pick<BackupFacts, "backupId" | "entries">,
  refused: Refused,
): BackupError {
  return new BackupError(
    "over_budget",
    `Cannot plan the restore of ${backupId} here: something has to be replaced, and the last worker ` +
      `was ended while it read all of its ${entries.length} objects`,
    { hint: hintOf(refused), details: detailsOf(refused) },
  );
}

function hintOf({ command, inTheWay }: Refused): string {
  const more = inTheWay.length > MOST_IN_THE_WAY ? " and more" : "";
  const why = inTheWay.length === 0
    ? ""
    : ". In parts, as what is missing or empty is restored, it " +
      `cannot be done because this is there: ${
        inTheWay.slice(0, MOST_IN_THE_WAY).join("; ")
      }${more}`;
  return `Nothing was changed. Run it on any computer: ${command}${why}`;
}

function detailsOf({ inTheWay }: Refused): { inTheWay: string[] } {
  return { inTheWay: inTheWay.slice(0, MOST_IN_DETAILS) };
}
