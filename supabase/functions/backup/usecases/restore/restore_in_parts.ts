/**
 * A restore as a job in parts. Into an empty database every unit is a part, and whoever is free does the
 * next; over a live database, and beside it, all of it is one transaction and therefore one part. It is
 * longer than usual, because a restore is told in one place, from the plan to the report.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import { BackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import type { Entry } from "../../core/model.ts";
import type { DonePart, JobEnd, Lease, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import { type CatalogSlice, cutCatalog } from "../../dump/mod.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import type { Session } from "../../postgres/session.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import {
  analyze,
  type BackupFacts,
  borrowRoles,
  cancelHanded,
  type ComparedSlice,
  compareResult,
  compareSlice,
  type Comparison,
  cutRestore,
  EntryIndex,
  isAdditive,
  joinSlices,
  type LeftOut,
  planRestore,
  prepareMarks,
  refuseUnfit,
  removeMarks,
  type RestoreLimits,
  restoreMismatch,
  type RestorePlan,
  type RestoreStep,
  type RestoreStepName,
  returnRoles,
  runUnit,
  type TargetFacts,
  together,
  type UnitReport,
} from "../../restore/mod.ts";
import {
  reportOf,
  restoreDatabase,
  type RestoreDatabaseOptions,
  type RestoreReport,
} from "./restore_database.ts";
import {
  readBackupFacts,
  readLive,
  readLiveSlice,
  readTarget,
  wholeDatabase,
} from "./restore_facts.ts";
import { RestoreSessions } from "./restore_sessions.ts";

/** The parts that a restore begins with. */
export const FIRST_OF_RESTORE: readonly NewPart[] = [
  { step: 0, name: "planning", payload: null, bytes: 0 },
];

/** Names of the parts, which are what users see of them. */
const PLAN = FIRST_OF_RESTORE[0]!.name;
/** Restores over a target that holds something, in one transaction. */
export const WHOLE = "restoring-at-once";
const BORROW = "borrowing-roles";
const COMPARE = "comparing-definitions";
const ANALYZE = "analyzing-tables";
const FINISH = "finishing";
const UNITS: Record<RestoreStepName, string> = {
  roles: "restoring-roles",
  drop: "making-room",
  adjust: "adjusting-what-is-there",
  definitions: "restoring-definitions",
  clear: "clearing-tables",
  rows: "loading-rows",
  sequences: "setting-sequences",
  build: "building-indexes",
  rights: "granting-rights",
  refresh: "refreshing-views",
  last: "restoring-event-triggers",
  "compare-rows": "comparing-rows",
};

/** Kinds that are relations of their own. */
const RELATIONS = ["table", "view", "sequence"];

/** Tables that one part makes the planner's statistics of. */
const ANALYZED_TABLES = 200;

/** From this attempt on a lock that is not granted is the failure of the object that needs it. */
const LAST_PATIENT_ATTEMPT = 4;

/** Times that the target is read when definitions change meanwhile. */
const READ_ATTEMPTS = 3;

/** What {@linkcode restoreInParts} works with. */
export interface RestoreInPartsOptions
  extends Omit<RestoreDatabaseOptions, "signal" | "onProgress"> {
  jobId: string;
  clock: Clock;
  /**
   * Raw bytes above which a restore that must be one transaction is refused, because a worker would not
   * live to its end. @default no limit
   */
  maxWholeBytes?: number;
  /** The command line that does without limits what is refused here, for the error's hint. */
  commandLine?: string;
  /** Sizes that units are cut by; the same for all workers. @default those of a hosted worker */
  limits?: RestoreLimits;
  /** Relations of the target that one part compares; null for all at once. @default null */
  relationsAPart?: number | null;
  /** Between two looks at work that the server does for somebody else. @default 1000 */
  pollMs?: number;
}

/** What every worker needs to know; the same for all of them. */
interface Planned {
  backup: BackupFacts;
  target: TargetFacts;
  plan: RestorePlan;
  steps: RestoreStep[];
  index: EntryIndex;
}

/** The definition of one restore; an instance may do any number of its parts. */
export function restoreInParts(options: RestoreInPartsOptions): JobDefinition {
  const restore = new RestoreInParts(options);
  return {
    first: () => [...FIRST_OF_RESTORE],
    once: [WHOLE],
    run: (lease, context) => restore.run(lease, context),
    end: (how, context) => restore.end(how, context),
    leave: () => restore.leave(),
  };
}

class RestoreInParts {
  readonly #options: RestoreInPartsOptions;
  readonly #sessions: RestoreSessions;
  #planned: Promise<Planned> | null = null;
  /** What units of steps that are over reported, by the steps' name and where it goes on the step that asks. */
  readonly #before = new Map<string, Promise<UnitReport[]>>();

  constructor(options: RestoreInPartsOptions) {
    this.#options = options;
    this.#sessions = new RestoreSessions(options);
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    switch (lease.name) {
      case PLAN:
        return await this.#plan(lease);
      case WHOLE:
        return await this.#whole(context);
      case BORROW:
        return await this.#borrow(context);
      case COMPARE:
        return await this.#compare(lease, context);
      case ANALYZE:
        return await this.#analyze(lease, context);
      case FINISH:
        return await this.#finish(lease, context);
      default:
        if (!Object.values(UNITS).includes(lease.name)) throw unknownPart(lease.name);
        return await this.#unit(lease, context);
    }
  }

  /** What the server still works on for this job is of no use any more. */
  async end(how: JobEnd, context: Pick<PartContext, "results">): Promise<void> {
    await this.leave();
    if (how === "completed") return;
    const session = await this.#sessions.open();
    try {
      await cancelHanded(session, this.#options.jobId);
      const planned = await this.#findFacts(context);
      if (planned !== null) {
        await returnRoles(session, planned.plan.borrowRoles, planned.target.role.name);
      }
      await removeMarks(session, this.#options.jobId);
    } finally {
      await session.close();
    }
  }

  async leave(): Promise<void> {
    await this.#sessions.close();
  }

  /** Reads both sides; what the target is now decides all that follows. */
  async #plan(lease: Lease): Promise<PartOutcome> {
    const options = this.#options;
    refuseWithoutRoom(lease, {
      doing: `plan the restore of ${options.backupId}`,
      hint: `Nothing was changed. Run it on any computer: ${this.#commandLine}`,
    });
    const backup = await readBackupFacts(options.repository, options.backupId);
    const session = await this.#sessions.open();
    try {
      // Of a worker that had planned and could not tell: with them the target would not be empty.
      if (options.request.dryRun !== true) await removeMarks(session, options.jobId);
      const target = await readTarget(session, backup);
      const planned = this.#make(backup, target);
      const { plan } = planned;
      if (options.request.dryRun === true) {
        return finished(reportOf(plan, { dryRun: true }));
      }
      refuseUnfit(plan);
      const bytes = bytesOf(plan);
      const inParts = plan.mode === "empty" ||
        (this.#isTooLong(bytes) && isAdditive(plan, target.entries));
      if (!inParts) {
        this.#refuseTooLong(plan);
        return { result: null, add: [{ step: 1, name: WHOLE, payload: null, bytes }] };
      }
      await prepareMarks(session);
      this.#planned = Promise.resolve(planned);
      return { result: toJson(target), add: partsOf(planned) };
    } finally {
      await session.close();
    }
  }

  async #whole({ signal, onProgress }: PartContext): Promise<PartOutcome> {
    const report = await restoreDatabase({
      ...this.#options,
      signal,
      onProgress: ({ phase, bytesDone }) => onProgress({ phase, bytesDone }),
    });
    return finished(report);
  }

  async #borrow(context: PartContext): Promise<PartOutcome> {
    const { plan, target } = await this.#facts(context);
    const refused = await this.#sessions.lend(
      { target, signal: context.signal },
      (session) => borrowRoles(session, plan.borrowRoles, target.role.name),
    );
    return { result: toJson(refused) };
  }

  async #unit(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const options = this.#options;
    const planned = await this.#facts(context);
    const { step, unit } = lease.payload as { step: number; unit: number };
    const { name, units } = planned.steps[step]!;
    const earlier = await this.#reportsBefore(lease.step, context);
    const report = await runUnit({
      plan: planned.plan,
      index: planned.index,
      step: name,
      unit: units[unit]!,
      jobId: options.jobId,
      name: `${step}/${unit}`,
      role: planned.target.role,
      before: together(earlier),
      withSession: (work) => this.#sessions.lend({ ...planned, signal: context.signal }, work),
      openSession: () => this.#sessions.openPrepared(planned.target),
      readPieces: (pieces) => options.repository.readPieces(pieces, { signal: context.signal }),
      onBytes: (bytesDone) => context.onProgress({ bytesDone }),
      leave: context.signal,
      sleep: (ms, signal) => options.clock.sleep(ms, signal),
      pollMs: options.pollMs,
      isPatient: lease.attempt < LAST_PATIENT_ATTEMPT,
    });
    // The server goes on alone: whoever takes the part next finds it at work, or its mark.
    if (report === "running") return { result: null, split: [newPartOf(lease)] };
    return { result: toJson(report), bytes: report.bytes };
  }

  /** The target's definitions against those of the backup; rows were compared by their own units. */
  async #compare(lease: Lease, context: PartContext): Promise<PartOutcome> {
    refuseWithoutRoom(lease, {
      doing: `compare the restore of ${this.#options.backupId} with the backup`,
      hint: "Everything was restored and its rows were compared. What differs in definitions is " +
        "listed on any computer by: deno task restore --mode over --dry-run.",
    });
    const planned = await this.#facts(context);
    const { backup, plan, target } = planned;
    const { slice } = (lease.payload ?? {}) as { slice?: CatalogSlice };
    const lending = { target, signal: context.signal };
    if (slice === undefined) {
      const slices = await this.#sessions.lend(lending, (session) => this.#cut(session, planned));
      if (slices.length > 0) {
        const split = slices.map((each) => ({
          ...newPartOf(lease),
          payload: toJson({ slice: each }),
        }));
        return { result: null, split };
      }
    }
    const found = await this.#sessions.lend(
      lending,
      (session) =>
        this.#readStill(
          backup,
          () =>
            slice === undefined ? readLive(session, backup) : readLiveSlice(session, backup, slice),
        ),
    );
    const known = this.#knownOf(target, await this.#reportsBefore(lease.step, context));
    const comparison = slice === undefined
      ? compareResult(plan, found, known)
      : compareSlice(plan, found, { ...known, isRest: slice.isRest });
    return { result: toJson(comparison) };
  }

  /** How the target is read for the comparison; no slices when it is small enough for one worker. */
  async #cut(session: Session, { plan, backup }: Planned): Promise<CatalogSlice[]> {
    const { relationsAPart = null } = this.#options;
    const relations = plan.expect.filter(({ kind }) => RELATIONS.includes(kind)).length;
    if (relationsAPart === null || relations <= relationsAPart) return [];
    return await cutCatalog(session, wholeDatabase(backup), relationsAPart);
  }

  /** What the comparison need not find. */
  #knownOf({ role }: TargetFacts, reports: readonly UnitReport[]) {
    const { failed, skipped, leftOut } = together(reports);
    const known = failed.map(({ identity, message }) => ({ identity, reason: message }));
    return { leftOut: [...leftOut, ...known, ...skipped], otherGrantors: !role.superuser };
  }

  /** Others may work in the target already; to begin again is not possible any more. */
  async #readStill(backup: BackupFacts, read: () => Promise<Entry[]>): Promise<Entry[]> {
    for (let attempt = 1;; attempt++) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof BackupError) || error.code !== "concurrent_ddl") throw error;
        if (attempt < READ_ATTEMPTS) continue;
        throw new BackupError(
          "restore_mismatch",
          `Cannot compare the restore of ${backup.backupId} with the backup: ${error.message}`,
          {
            hint:
              "Everything was restored. Somebody changes definitions in the target: compare it " +
              "when nobody does.",
            cause: error,
          },
        );
      }
    }
  }

  /** Statistics for the planner, of some of the tables. */
  async #analyze(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { plan, target } = await this.#facts(context);
    const { from } = lease.payload as { from: number };
    const some = {
      ...plan,
      load: plan.load.slice(from, from + ANALYZED_TABLES),
      refresh: from === 0 ? plan.refresh : [],
    };
    const leftOut = await this.#sessions.lend(
      { target, signal: context.signal },
      (session) => analyze(session, some),
    );
    return { result: toJson(leftOut) };
  }

  async #finish(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { plan, target } = await this.#facts(context);
    const all = together(await this.#reportsBefore(lease.step, context));
    const compared: (Comparison | ComparedSlice)[] = [];
    for await (const { result } of context.results(COMPARE)) {
      if (result !== null) compared.push(result as unknown as Comparison);
    }
    const slices = compared.filter((one) => "seen" in one);
    const known = this.#knownOf(target, await this.#reportsBefore(lease.step, context));
    const comparison = slices.length > 0 ? joinSlices(plan, slices, known) : compared[0]!;
    comparison.differences.push(...all.differences);
    for (const name of [BORROW, ANALYZE]) {
      for await (const { result } of context.results(name)) {
        all.leftOut.push(...result as unknown as LeftOut[]);
      }
    }
    await this.#sessions.lend({ target, signal: context.signal }, async (session) => {
      all.leftOut.push(...await returnRoles(session, plan.borrowRoles, target.role.name));
      await removeMarks(session, this.#options.jobId);
    });
    if (all.failed.length > 0 || comparison.differences.length > 0) {
      const stays = plan.mode !== "empty";
      throw restoreMismatch(plan, { comparison, failures: all, leftOut: all.leftOut, stays });
    }
    const applied = { leftOut: all.leftOut, comparison, rowsLoaded: all.rows, seconds: {} };
    return finished(reportOf(plan, { applied }));
  }

  async #facts(context: Pick<PartContext, "results">): Promise<Planned> {
    const planned = await this.#findFacts(context);
    if (planned === null) throw new Error("a part of a restore came before its plan");
    return planned;
  }

  /** Made again from what the first part saw: the target itself has changed since. */
  async #findFacts(context: Pick<PartContext, "results">): Promise<Planned | null> {
    if (this.#planned !== null) return await this.#planned;
    const [part] = await Array.fromAsync(context.results(PLAN));
    if ((part?.result ?? null) === null) return null;
    const { repository, backupId } = this.#options;
    this.#planned ??= readBackupFacts(repository, backupId).then((backup) =>
      this.#make(backup, part!.result as unknown as TargetFacts)
    );
    // What could not be read now may be read for the next part.
    this.#planned.catch(() => this.#planned = null);
    return await this.#planned;
  }

  #make(backup: BackupFacts, target: TargetFacts): Planned {
    const { request } = this.#options;
    const safetyBackup = request.skipSafetyBackup !== true;
    const plan = planRestore({ backup, target, request, safetyBackup });
    const own = new Set(backup.entries.map((entry) => entry.key));
    const entries = [...backup.entries, ...plan.create.filter((entry) => !own.has(entry.key))];
    // The plan may say an entry in other words than the backup.
    const planned = new Map(
      [...plan.create, ...plan.cluster, ...plan.refresh].map((entry) => [entry.key, entry]),
    );
    const index = new EntryIndex(entries.map((entry) => planned.get(entry.key) ?? entry));
    return {
      backup,
      target,
      plan,
      steps: cutRestore(plan, index, this.#options.limits),
      index,
    };
  }

  /** What all units of earlier steps reported. */
  async #reportsBefore(step: number, context: PartContext): Promise<UnitReport[]> {
    const { steps } = await this.#facts(context);
    const names = steps.map(({ name }) => name);
    // A unit's part stands one rung above its place among the steps, or two.
    const begun = new Set(names.filter((name) => names.indexOf(name) + 1 < step));
    const found = await Promise.all([...begun].map((name) => {
      const isOver = names.lastIndexOf(name) + 2 < step;
      const key = isOver ? name : `${name} ${step}`;
      let reports = this.#before.get(key);
      if (reports === undefined) {
        reports = reportsOf(context.results(UNITS[name]), step);
        reports.catch(() => this.#before.delete(key));
        this.#before.set(key, reports);
      }
      return reports;
    }));
    return found.flat();
  }

  get #commandLine(): string {
    return this.#options.commandLine ?? "deno task restore";
  }

  #isTooLong(bytes: number): boolean {
    return bytes > (this.#options.maxWholeBytes ?? Infinity);
  }

  #refuseTooLong(plan: RestorePlan): void {
    const { maxWholeBytes } = this.#options;
    const bytes = bytesOf(plan);
    if (!this.#isTooLong(bytes)) return;
    const mb = Math.ceil(bytes / 1e6);
    throw new BackupError(
      "over_budget",
      `Cannot restore ${plan.backupId} here: ${mb} MB must be one transaction, which takes longer ` +
        "than a hosted function lives",
      {
        hint: `Nothing was changed. Run it on any computer: ${this.#commandLine}`,
        details: { bytes, maxWholeBytes },
      },
    );
  }
}

async function reportsOf(parts: AsyncIterable<DonePart>, step: number): Promise<UnitReport[]> {
  const found: UnitReport[] = [];
  for await (const { step: own, result } of parts) {
    if (own < step && result !== null) found.push(result as unknown as UnitReport);
  }
  return found;
}

/** Steps as parts; memberships are borrowed when the roles are there and before anything is given away. */
function partsOf({ steps, plan }: Planned): NewPart[] {
  const rungs: Omit<NewPart, "step">[][] = steps.map(({ name, units }, step) =>
    units.map(({ bytes }, unit) => ({ name: UNITS[name], payload: { step, unit }, bytes }))
  );
  const roles = steps.filter(({ name }) => name === "roles").length;
  rungs.splice(roles, 0, [{ name: BORROW, payload: null, bytes: 0 }]);
  const analyzed = Array.from(
    { length: Math.max(1, Math.ceil(plan.load.length / ANALYZED_TABLES)) },
    (_, at) => ({ name: ANALYZE, payload: { from: at * ANALYZED_TABLES }, bytes: 0 }),
  );
  rungs.push([{ name: COMPARE, payload: null, bytes: 0 }, ...analyzed]);
  rungs.push([{ name: FINISH, payload: null, bytes: 0 }]);
  return rungs.flatMap((parts, index) => parts.map((part) => ({ step: index + 1, ...part })));
}

function bytesOf(plan: RestorePlan): number {
  return plan.load.flatMap((load) => load.parts).reduce((sum, part) => sum + part.rawBytes, 0);
}

function newPartOf({ step, name, payload, bytes }: Lease): NewPart {
  return { step, name, payload, bytes };
}

function finished(report: RestoreReport): PartOutcome {
  return { result: null, finish: { result: { ...report }, backupId: report.backupId } };
}
