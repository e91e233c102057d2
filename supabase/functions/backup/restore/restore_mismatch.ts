/**
 * The error at the end of a restore whose result is not what the backup holds.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Comparison } from "./compare_models.ts";
import type { Failures } from "./failures.ts";
import type { LeftOut, RestorePlan } from "./plan_types.ts";

/** Longest list that an error carries; its message says how many there are. */
export const MOST_LISTED = 200;

/** What the restore found out about itself. */
export interface RestoreOutcome {
  comparison: Comparison;
  failures: Pick<Failures, "failed" | "skipped">;
  leftOut: readonly LeftOut[];
  /** Beside what stood there, new objects were made one after the other, and stay. */
  stays?: boolean;
}

/** Names what failed, what had to be left out for it, and what differs. */
export function restoreMismatch(
  plan: Pick<RestorePlan, "backupId" | "mode">,
  { comparison, failures, leftOut, stays = false }: RestoreOutcome,
): BackupError {
  const { failed, skipped } = failures;
  const { differences } = comparison;
  const sentences = [
    ...sentence(
      `${failed.length} failed`,
      failed.map(({ identity, sqlState, message }) =>
        `${identity}: ${message}${sqlState === null ? "" : ` (SQLSTATE ${sqlState})`}`
      ),
    ),
    ...sentence(
      `${skipped.length} not tried`,
      skipped.map(({ identity, reason }) => `${identity}: ${reason}`),
    ),
    ...sentence(
      `${differences.length} different`,
      differences.map(({ identity, what }) => `${identity}: ${what}`),
    ),
  ];
  // Damage to the backup keeps its own code: it is not the target that is to blame.
  const damage = failed.find(({ code }) => code.startsWith("object_"));
  return new BackupError(
    damage?.code ?? "restore_mismatch",
    `Cannot vouch for the restore of ${plan.backupId}: ${sentences.join(". ")}`,
    {
      hint: plan.mode === "empty"
        ? "The target holds everything else. Remove the causes and restore into another empty " +
          "database, or make what is missing by hand."
        : stays
        ? "What was there before is as it was; what the restore has made and filled stays. Remove the causes " +
          "and restore the same backup again, which goes on with it; or make what is missing by hand."
        : "The target was left as it was.",
      details: {
        failed: failed.slice(0, MOST_LISTED),
        skipped: skipped.slice(0, MOST_LISTED),
        differences: differences.slice(0, MOST_LISTED),
        leftOut: leftOut.slice(0, MOST_LISTED),
      },
    },
  );
}

function sentence(count: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const more = lines.length > 5 ? "; and more" : "";
  return [`${count}: ${lines.slice(0, 5).join("; ")}${more}`];
}
