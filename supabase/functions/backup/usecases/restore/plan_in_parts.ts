/**
 * The part of a restore that plans it, once: it reads both sides, decides how the target is restored, and
 * gives every later part what that one needs to know.
 *
 * @module
 */
import type { Json, Lease, PartOutcome } from "../../core/part.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import { choiceOf } from "../../postgres/restore_traces.ts";
import type { Session } from "../../postgres/session.ts";
import {
  analyzedRelations,
  type BackupFacts,
  beginTrace,
  type BrokenOff,
  fitsAsItIs,
  hasSlim,
  isPlanOfSlim,
  keepPlan,
  type KeptPlan,
  knownToBackup,
  type LineHashes,
  openMarks,
  type PlanInput,
  planRestore,
  readTargetFacts,
  refuseUnfit,
  removeMarks,
  type RestoreLimits,
  type RestorePlan,
  type TargetFacts,
  tracedPlan,
  wholeLoads,
} from "../../restore/mod.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import { openLines } from "./backup_lines.ts";
import { cannotComplete, findBrokenOff, mustGoOn } from "./find_broken_off.ts";
import { FIRST_RUNG, partsOf, WHOLE } from "./parts_of_restore.ts";
import { reportOf, type RestoreDatabaseOptions } from "./restore_database.ts";
import { bytesOf, type PlannedFilling, planToFill } from "./plan_to_fill.ts";
import { readSlim } from "./read_in_parts.ts";
import { takeTarget } from "./read_target_in_part.ts";
import { tooLong, tooMany } from "./refused_whole.ts";
import { readBackupFacts, readTarget } from "./restore_facts.ts";
import type { RestoreSessions } from "./restore_sessions.ts";

/** Workers that may be lost while they read both sides as a whole, before what is in the way is told instead. */
const WHOLE_ATTEMPTS = 2;

/** What planning works with; see `RestoreInPartsOptions`. */
export interface PlanInPartsOptions
  extends Pick<RestoreDatabaseOptions, "repository" | "backupId" | "entriesAtOnce" | "request"> {
  jobId: string;
  maxWholeBytes?: number;
  commandLine?: string;
  limits?: RestoreLimits;
  /** Has what earlier parts have read of both sides; null where this part reads all of it. */
  parts: Pick<PartContext, "results"> | null;
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
  const { sessions, backupId, request, jobId, limits } = options;
  refuseWithoutRoom(lease, {
    doing: `plan the restore of ${backupId}`,
    hint: `Nothing was changed. Run it on any computer: ${commandLineOf(options)}`,
  });
  const session = await sessions.open();
  const marks = { jobId, plan: lease.token };
  try {
    // Of a worker that had planned and could not tell: with them the target would not be empty.
    if (request.dryRun !== true) await removeMarks(session, { ...marks, keepsTrace: true });
    const brokenOff = await findBrokenOff(session, options);
    const planning = { ...options, brokenOff };
    const planned = await planSlim(session, planning, lease) ?? await planWhole(session, planning);
    const { plan, inTheWay, gone, backup, target, hashes } = planned;
    if (request.dryRun === true) {
      const report = reportOf(plan, { dryRun: true });
      const finish = { result: { ...report }, backupId: report.backupId };
      return { outcome: { result: null, finish }, plan: null, backup };
    }
    refuseUnfit(plan);
    const bytes = bytesOf(plan.load.flatMap((load) => load.parts));
    if (plan.mode !== "empty" && plan.filling === null) {
      if (isTooLong(bytes, options)) {
        const { maxWholeBytes } = options;
        throw tooLong(plan, {
          ...{ bytes, maxWholeBytes, inTheWay },
          command: commandLineOf(options),
        });
      }
      const whole = { step: FIRST_RUNG, name: WHOLE, payload: null, bytes };
      return { outcome: { result: null, add: [whole] }, plan: null, backup };
    }
    await openMarks(session, marks);
    await beginTrace(session, marks, {
      facts: {
        ...{ backupId: plan.backupId, choice: choiceOf(request) },
        parts: brokenOff?.trace.parts ??
          plan.load.reduce((sum, { parts }) => sum + parts.length, 0),
      },
      ...{ plan: tracedPlan(plan, brokenOff), before: brokenOff, gone },
    });
    const more = limits === undefined ? { hashes } : { hashes, limits };
    const cut = keepPlan(plan, { backup, target, ...more });
    const add = partsOf(cut, { analyzed: analyzedRelations(plan), report: reportOf(plan, {}) });
    const head: KeptPlan = { ...cut.head, token: lease.token };
    return { outcome: { result: head as unknown as Json, add }, plan: head, backup };
  } finally {
    await session.close();
  }
}

interface Planning extends PlanInPartsOptions {
  /** The restore that was broken off in the target. */
  brokenOff: BrokenOff | null;
}

/** A plan, and what it was made of. */
interface Planned extends PlannedFilling {
  plan: RestorePlan;
  backup: BackupFacts;
  target: TargetFacts;
  /** Of the backup's lines, where parts have made them. */
  hashes: LineHashes | null;
}

/** One worker reads both sides. */
async function planWhole(
  session: Session,
  { brokenOff, ...options }: Planning,
): Promise<Planned> {
  const backup = await readBackupFacts(options);
  const target = await readTarget(session, backup);
  const input = inputOf(options, backup, target);
  const filling = await planToFill(session, input, {
    ...{ isTooLong: (bytes) => isTooLong(bytes, options), brokenOff },
    only: mustGoOn(brokenOff, options),
  });
  if (filling.plan === null && brokenOff !== null && options.request.completes !== undefined) {
    const { inTheWay } = filling;
    throw cannotComplete(brokenOff, { inTheWay, commandLine: commandLineOf(options) });
  }
  const plan = filling.plan ?? planRestore(input);
  return { ...filling, plan, backup, target, hashes: null };
}

/**
 * From what parts have read. What those have left out matters where something that stands would be replaced;
 * so over a live database the plan is to fill it, however little that is. Null when it must be made otherwise.
 */
async function planSlim(
  session: Session,
  { brokenOff, ...options }: Planning,
  { attempt, previous }: Lease,
): Promise<Planned | null> {
  const { parts, repository, backupId, request } = options;
  if (parts === null) return null;
  const standing = await takeTarget(parts);
  const { backup, hashes } = await readSlim(repository, backupId, {
    ...parts,
    withDigests: hasSlim(standing, request),
  });
  const target = await readTargetFacts(session, standing, backup);
  if (!fitsAsItIs(backup, target)) return null;
  if (standing.isSliced) {
    const { replicaMode } = target.role;
    const known = knownToBackup(target.entries, { backup: backup.entries, replicaMode });
    if (known === null) return null;
    target.entries = known;
  }
  const lines = await openLines(repository, backupId);
  const filling = await planToFill(session, inputOf(options, backup, target), {
    ...{ isTooLong: () => true, brokenOff, only: true },
    whole: (loads) => wholeLoads(loads, { backup, lines }),
  });
  const { plan, inTheWay } = filling;
  if (inTheWay.length > 0 && attempt > WHOLE_ATTEMPTS && previous === "interrupted") {
    throw tooMany(backup, { inTheWay, command: commandLineOf(options) });
  }
  if (plan === null || !isPlanOfSlim(plan)) return null;
  return { ...filling, plan, backup, target, hashes };
}

function inputOf(
  { request }: PlanInPartsOptions,
  backup: BackupFacts,
  target: TargetFacts,
): PlanInput {
  return { backup, target, request, safetyBackup: request.skipSafetyBackup !== true };
}

function commandLineOf({ commandLine }: PlanInPartsOptions): string {
  return commandLine ?? "deno task restore";
}

function isTooLong(bytes: number, { maxWholeBytes }: PlanInPartsOptions): boolean {
  return bytes > (maxWholeBytes ?? Infinity);
}
