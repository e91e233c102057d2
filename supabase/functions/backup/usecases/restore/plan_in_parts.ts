/**
 * The part of a restore that plans it, once: it reads both sides, decides how the target is restored, and
 * gives every later part what that one needs to know.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Json, Lease, PartOutcome } from "../../core/part.ts";
import type { Session } from "../../postgres/session.ts";
import {
  analyzedRelations,
  type BackupFacts,
  isSlimEnough,
  keepPlan,
  type KeptPlan,
  openMarks,
  planRestore,
  refuseUnfit,
  removeMarks,
  type RestoreLimits,
  type RestorePlan,
  type TargetFacts,
} from "../../restore/mod.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import { FIRST_RUNG, partsOf, WHOLE } from "./parts_of_restore.ts";
import { reportOf, type RestoreDatabaseOptions } from "./restore_database.ts";
import { bytesOf, planToFill } from "./plan_to_fill.ts";
import { readBackupFacts, readTarget } from "./restore_facts.ts";
import type { RestoreSessions } from "./restore_sessions.ts";

/** What planning works with; see `RestoreInPartsOptions`. */
export interface PlanInPartsOptions
  extends Pick<RestoreDatabaseOptions, "repository" | "backupId" | "request"> {
  jobId: string;
  maxWholeBytes?: number;
  commandLine?: string;
  limits?: RestoreLimits;
  /** Gives what earlier parts have read of the backup; null where this part reads all of it. */
  read: (() => Promise<BackupFacts>) | null;
  sessions: RestoreSessions;
}

/** What planning came to. */
export interface PlannedParts {
  outcome: PartOutcome;
  /** Null when one part restores everything, or none. */
  plan: KeptPlan | null;
  /** All that was read of the backup. */
  backup: BackupFacts;
}

/**
 * Plans.
 *
 * @throws {BackupError} as `planRestore` and `refuseUnfit`; `over_budget` when it cannot be done here
 */
export async function planInParts(
  lease: Lease,
  options: PlanInPartsOptions,
): Promise<PlannedParts> {
  const { sessions, repository, backupId, request, jobId, limits } = options;
  refuseWithoutRoom(lease, {
    doing: `plan the restore of ${backupId}`,
    hint: `Nothing was changed. Run it on any computer: ${commandLineOf(options)}`,
  });
  const read = await (options.read?.() ?? readBackupFacts(repository, backupId));
  const session = await sessions.open();
  const marks = { jobId, plan: lease.token };
  try {
    // Of a worker that had planned and could not tell: with them the target would not be empty.
    if (request.dryRun !== true) await removeMarks(session, marks);
    const { backup, target } = await readBoth(session, { ...options, backup: read });
    const safetyBackup = request.skipSafetyBackup !== true;
    const input = { backup, target, request, safetyBackup };
    const filling = await planToFill(session, input, {
      isTooLong: (each) => isTooLong(each, options),
    });
    const plan = filling.plan ?? planRestore(input);
    if (request.dryRun === true) {
      const report = reportOf(plan, { dryRun: true });
      const finish = { result: { ...report }, backupId: report.backupId };
      return { outcome: { result: null, finish }, plan: null, backup };
    }
    refuseUnfit(plan);
    const bytes = bytesOf(plan.load.flatMap((load) => load.parts));
    if (plan.mode !== "empty" && plan.filling === null) {
      refuseTooLong(plan, { ...options, bytes, inTheWay: filling.inTheWay });
      const whole = { step: FIRST_RUNG, name: WHOLE, payload: null, bytes };
      return { outcome: { result: null, add: [whole] }, plan: null, backup };
    }
    await openMarks(session, marks);
    const cut = keepPlan(plan, { backup, target, ...(limits === undefined ? {} : { limits }) });
    const add = partsOf(cut, { analyzed: analyzedRelations(plan), report: reportOf(plan, {}) });
    const head: KeptPlan = { ...cut.head, token: lease.token };
    return { outcome: { result: head as unknown as Json, add }, plan: head, backup };
  } finally {
    await session.close();
  }
}

/** Both sides; the whole backup where it matters for this target what its objects are in full. */
async function readBoth(
  session: Session,
  { repository, backupId, read, backup }: PlanInPartsOptions & { backup: BackupFacts },
): Promise<{ backup: BackupFacts; target: TargetFacts }> {
  const target = await readTarget(session, backup);
  if (read === null || isSlimEnough(backup, target)) return { backup, target };
  const whole = await readBackupFacts(repository, backupId);
  return { backup: whole, target: await readTarget(session, whole) };
}

function commandLineOf({ commandLine }: PlanInPartsOptions): string {
  return commandLine ?? "deno task restore";
}

function isTooLong(bytes: number, { maxWholeBytes }: PlanInPartsOptions): boolean {
  return bytes > (maxWholeBytes ?? Infinity);
}

/** Names of what is in the way that an error's hint holds; its details hold more. */
const MOST_IN_THE_WAY = 3;
const MOST_IN_DETAILS = 50;

function refuseTooLong(
  { backupId }: RestorePlan,
  options: PlanInPartsOptions & { bytes: number; inTheWay: readonly string[] },
): void {
  const { bytes, inTheWay, maxWholeBytes } = options;
  if (!isTooLong(bytes, options)) return;
  const mb = Math.ceil(bytes / 1e6);
  const more = inTheWay.length > MOST_IN_THE_WAY ? " and more" : "";
  const why = inTheWay.length === 0
    ? ""
    : ". In parts, as what is missing or empty is restored, it " +
      `cannot be done because this is there: ${
        inTheWay.slice(0, MOST_IN_THE_WAY).join("; ")
      }${more}`;
  throw new BackupError(
    "over_budget",
    `Cannot restore ${backupId} here: ${mb} MB must be one transaction, which takes longer ` +
      "than a hosted function lives",
    {
      hint: `Nothing was changed. Run it on any computer: ${commandLineOf(options)}${why}`,
      details: { bytes, maxWholeBytes, inTheWay: inTheWay.slice(0, MOST_IN_DETAILS) },
    },
  );
}
