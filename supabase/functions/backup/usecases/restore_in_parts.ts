/**
 * A restore as a job in parts. Into an empty database every unit is a part, and whoever is free does the
 * next; over a live database, and beside it, all of it is one transaction and therefore one part.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import type { JobDefinition, PartContext } from "../jobs/job_definition.ts";
import type { Json, Lease, NewPart, PartOutcome } from "../jobs/part.ts";
import { pinSettings } from "../postgres/pinned_settings.ts";
import type { Session } from "../postgres/session.ts";
import {
  type BackupFacts,
  borrowRoles,
  cancelHanded,
  compareResult,
  type Comparison,
  cutRestore,
  EntryIndex,
  type LeftOut,
  planRestore,
  prepareMarks,
  refuseUnfit,
  removeMarks,
  restoreMismatch,
  type RestorePlan,
  type RestoreStep,
  returnRoles,
  runUnit,
  type TargetFacts,
  type UnitReport,
} from "../restore/mod.ts";
import {
  analyze,
  reportOf,
  restoreDatabase,
  type RestoreDatabaseOptions,
  type RestoreReport,
} from "./restore_database.ts";
import { prepareSession, readBackupFacts, readLive, readTarget } from "./restore_facts.ts";

/** The parts that a restore begins with. */
export const FIRST_OF_RESTORE: readonly NewPart[] = [
  { step: 0, name: "plan", payload: null, bytes: 0 },
];

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
    once: ["whole"],
    run: (lease, context) => restore.run(lease, context),
    end: (how) => restore.end(how),
  };
}

class RestoreInParts {
  readonly #options: RestoreInPartsOptions;
  #planned: Promise<Planned> | null = null;
  /** What units of earlier steps reported, by the step that asks: no unit of those can still change. */
  readonly #before = new Map<number, Promise<UnitReport[]>>();

  constructor(options: RestoreInPartsOptions) {
    this.#options = options;
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    switch (lease.name) {
      case "plan":
        return await this.#plan();
      case "whole":
        return await this.#whole(context);
      case "borrow-roles":
        return await this.#borrow(context);
      case "compare":
        return await this.#compare(lease, context);
      case "finish":
        return await this.#finish(lease, context);
      default:
        return await this.#unit(lease, context);
    }
  }

  /** What the server still works on for this job is of no use any more. */
  async end(how: string): Promise<void> {
    if (how === "completed") return;
    const session = await this.#open();
    try {
      await cancelHanded(session, this.#options.jobId);
      const planned = await this.#planned;
      if (planned?.plan.mode !== "empty") return;
      await returnRoles(session, planned.plan.borrowRoles, planned.target.role.name);
    } finally {
      await session.close();
    }
  }

  /** Reads both sides; what the target is now decides all that follows. */
  async #plan(): Promise<PartOutcome> {
    const options = this.#options;
    const backup = await readBackupFacts(options.repository, options.backupId);
    const session = await this.#open();
    try {
      const target = await readTarget(session, backup);
      const planned = this.#make(backup, target);
      const { plan } = planned;
      if (options.request.dryRun === true) {
        return finished(reportOf(plan, { dryRun: true }));
      }
      refuseUnfit(plan);
      if (plan.mode !== "empty") {
        this.#refuseTooLong(plan);
        const bytes = bytesOf(plan);
        return { result: null, add: [{ step: 1, name: "whole", payload: null, bytes }] };
      }
      await prepareMarks(session);
      this.#planned = Promise.resolve(planned);
      return { result: toJson(target), add: partsOf(planned.steps) };
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
    const session = await this.#open();
    try {
      return { result: toJson(await borrowRoles(session, plan.borrowRoles, target.role.name)) };
    } finally {
      await session.close();
    }
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
      openSession: () => this.#open(planned.target),
      readPieces: (pieces) => options.repository.readPieces(pieces, { signal: context.signal }),
      onBytes: (bytesDone) => context.onProgress({ bytesDone }),
      leave: context.signal,
      sleep: (ms, signal) => options.clock.sleep(ms, signal),
    });
    // The server goes on alone: whoever takes the part next finds it at work, or its mark.
    if (report === "running") return { result: null, split: [newPartOf(lease)] };
    return { result: toJson(report), bytes: report.bytes };
  }

  /** The target's definitions against those of the backup; rows were compared by their own units. */
  async #compare(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { backup, plan, target } = await this.#facts(context);
    const { failed, skipped, leftOut } = together(await this.#reportsBefore(lease.step, context));
    const session = await this.#open(target);
    try {
      const known = failed.map(({ identity, message }) => ({ identity, reason: message }));
      const comparison = compareResult(plan, await readLive(session, backup), {
        leftOut: [...leftOut, ...known, ...skipped],
        otherGrantors: !target.role.superuser,
      });
      return { result: toJson(comparison) };
    } finally {
      await session.close();
    }
  }

  async #finish(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { plan, target } = await this.#facts(context);
    const all = together(await this.#reportsBefore(lease.step, context));
    const [compared] = await Array.fromAsync(context.results("compare"));
    const comparison = compared!.result as unknown as Comparison;
    comparison.differences.push(...all.differences);
    for await (const { result } of context.results("borrow-roles")) {
      all.leftOut.push(...result as unknown as LeftOut[]);
    }
    const session = await this.#open(target);
    try {
      all.leftOut.push(...await analyze([session], plan));
      all.leftOut.push(...await returnRoles(session, plan.borrowRoles, target.role.name));
      await removeMarks(session, this.#options.jobId);
    } finally {
      await session.close();
    }
    if (all.failed.length > 0 || comparison.differences.length > 0) {
      throw restoreMismatch(plan, { comparison, failures: all, leftOut: all.leftOut });
    }
    const applied = { leftOut: all.leftOut, comparison, rowsLoaded: all.rows, seconds: {} };
    return finished(reportOf(plan, { applied }));
  }

  /** Made again from what the first part saw: the target itself has changed since. */
  #facts(context: PartContext): Promise<Planned> {
    this.#planned ??= (async () => {
      const [part] = await Array.fromAsync(context.results("plan"));
      const { repository, backupId } = this.#options;
      return this.#make(
        await readBackupFacts(repository, backupId),
        part!.result as unknown as TargetFacts,
      );
    })();
    return this.#planned;
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
    return { backup, target, plan, steps: cutRestore(plan, index.entries), index };
  }

  #reportsBefore(step: number, context: PartContext): Promise<UnitReport[]> {
    let reports = this.#before.get(step);
    if (reports === undefined) {
      reports = (async () => {
        const found: UnitReport[] = [];
        for await (const done of context.results("unit")) {
          if (done.step < step && done.result !== null) {
            found.push(done.result as unknown as UnitReport);
          }
        }
        return found;
      })();
      this.#before.set(step, reports);
    }
    return reports;
  }

  async #open(target?: TargetFacts): Promise<Session> {
    const session = await this.#options.connect();
    await pinSettings(session);
    if (target !== undefined) await prepareSession(session, target, this.#options.request);
    return session;
  }

  #refuseTooLong(plan: RestorePlan): void {
    const { maxWholeBytes, commandLine } = this.#options;
    const bytes = bytesOf(plan);
    if (maxWholeBytes === undefined || bytes <= maxWholeBytes) return;
    const mb = Math.ceil(bytes / 1e6);
    throw new BackupError(
      "over_budget",
      `Cannot restore ${plan.backupId} here: ${mb} MB must be one transaction, which takes longer ` +
        "than a hosted function lives",
      {
        hint: `Nothing was changed. Run it on any computer: ${commandLine ?? "deno task restore"}`,
        details: { bytes, maxWholeBytes },
      },
    );
  }
}

/** Steps as parts; memberships are borrowed when the roles are there and before anything is given away. */
function partsOf(steps: readonly RestoreStep[]): NewPart[] {
  const rungs: Omit<NewPart, "step">[][] = steps.map(({ units }, step) =>
    units.map(({ bytes }, unit) => ({ name: "unit", payload: { step, unit }, bytes }))
  );
  const roles = steps.filter(({ name }) => name === "roles").length;
  rungs.splice(roles, 0, [{ name: "borrow-roles", payload: null, bytes: 0 }]);
  rungs.push([{ name: "compare", payload: null, bytes: 0 }]);
  rungs.push([{ name: "finish", payload: null, bytes: 0 }]);
  return rungs.flatMap((parts, index) => parts.map((part) => ({ step: index + 1, ...part })));
}

/** What all units together have come to. */
function together(reports: readonly UnitReport[]): UnitReport {
  return {
    failed: distinct(reports.flatMap((report) => report.failed)),
    skipped: distinct(reports.flatMap((report) => report.skipped)),
    unmade: reports.flatMap((report) => report.unmade),
    leftOut: reports.flatMap((report) => report.leftOut),
    differences: reports.flatMap((report) => report.differences),
    rows: reports.reduce((sum, report) => sum + report.rows, 0),
    bytes: reports.reduce((sum, report) => sum + report.bytes, 0),
  };
}

function distinct<T extends { identity: string }>(list: readonly T[]): T[] {
  return [...new Map(list.map((each) => [each.identity, each])).values()];
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

function toJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value));
}
