/**
 * A restore as a job in parts. Into an empty database every unit is a part, and whoever is free does the
 * next; over a live database, and beside it, all of it is one transaction and therefore one part. The first
 * part makes the plan, and gives each later one what that one needs of it.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import { toJson } from "../../core/json.ts";
import type { SourceFacts } from "../../core/model.ts";
import type { DonePart, JobEnd, Json, Lease, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import type { CatalogSlice } from "../../dump/mod.ts";
import { ROOM_ATTEMPTS } from "../../jobs/classify_failure.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import {
  analyzeRelations,
  borrowRoles,
  cancelHanded,
  type ComparedSlice,
  type Comparison,
  keepInForce,
  type KeptPlan,
  type LeftOut,
  readUnit,
  removeMarks,
  removeTraces,
  type RestoreLimits,
  restoreMismatch,
  returnRoles,
  runUnit,
  together,
  type UnitReport,
  withoutStatistics,
} from "../../restore/mod.ts";
import { refuseWithoutRoom, triedInVain } from "../jobs/refuse_without_room.ts";
import { wasTooLarge } from "../jobs/was_too_large.ts";
import { heldLines, type OpenedLines, openLines } from "./backup_lines.ts";
import { compareAll, compareSome, cutComparison, joinComparisons } from "./compare_in_parts.ts";
import {
  ANALYZE,
  type AnalyzePayload,
  BORROW,
  COMPARE,
  FINISH,
  type FinishPayload,
  FIRST_OF_RESTORE,
  FIRST_RUNG,
  PLAN,
  READ,
  READ_TARGET,
  type UnitPayload,
  UNITS,
  WHOLE,
} from "./parts_of_restore.ts";
import { hasAllRows } from "./has_all_rows.ts";
import { planInParts } from "./plan_in_parts.ts";
import { NO_ROWS, readFirst, readSome } from "./read_in_parts.ts";
import { readRows } from "./read_rows.ts";
import { readTargetInPart } from "./read_target_in_part.ts";
import {
  restoreDatabase,
  type RestoreDatabaseOptions,
  type RestoreReport,
} from "./restore_database.ts";
import { RestoreSessions } from "./restore_sessions.ts";

/** From this attempt on a lock that is not granted is the failure of the object that needs it. */
const LAST_PATIENT_ATTEMPT = 4;

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
  /** Chunks of the backup that one part reads, where limits end workers. @default some that fit */
  chunksAPart?: number;
  /** Between two looks at work that the server does for somebody else. @default 1000 */
  pollMs?: number;
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
  #plan: Promise<KeptPlan | null> | null = null;
  #lines: Promise<OpenedLines> | null = null;
  /** What units of steps that are over reported, by the steps' name and where it goes on the step that asks. */
  readonly #before = new Map<string, Promise<UnitReport[]>>();

  constructor(options: RestoreInPartsOptions) {
    this.#options = options;
    this.#sessions = new RestoreSessions(options);
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    switch (lease.name) {
      case PLAN:
        return await this.#makePlan(lease, context);
      case READ:
        return await readSome(lease, this.#options, context);
      case READ_TARGET:
        return await readTargetInPart(
          lease,
          { ...this.#options, sessions: this.#sessions },
          context,
        );
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
    const plan = await this.#findPlan(context);
    // A round that has planned nothing has left nothing; marks may be those of the next one already.
    if (how === "begins-again" && plan === null) return;
    const { jobId } = this.#options;
    const session = await this.#sessions.open();
    try {
      await cancelHanded(session, jobId);
      // First, so that nobody who is late borrows roles again.
      await removeMarks(session, { jobId, keepsTrace: true });
      if (plan !== null) await returnRoles(session, plan.borrowRoles, plan.role.name);
    } finally {
      await session.close();
    }
  }

  async leave(): Promise<void> {
    await this.#sessions.close();
  }

  /** Where limits end workers, so does the time to read very many objects, and memory is one of them. */
  async #makePlan(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const options = this.#options;
    const { relationsAPart = null, chunksAPart } = options;
    const planning = (lease.payload ?? null) as { backupId: string } | null;
    if (planning === null && relationsAPart !== null) {
      const cutTarget = (source: SourceFacts) => this.#cutTarget(source, relationsAPart);
      const outcome = await readFirst({ ...options, chunksAPart, cutTarget });
      if (outcome !== null) return outcome;
    }
    const backupId = planning?.backupId ?? options.backupId;
    const parts = planning === null ? null : context;
    const input = { ...options, backupId, parts, sessions: this.#sessions };
    const { outcome: planned, plan, backup } = await planInParts(lease, input);
    const outcome = { ...planned, ...NO_ROWS };
    if (plan === null) return outcome;
    this.#plan = Promise.resolve(plan);
    if (relationsAPart === null) this.#lines = Promise.resolve(heldLines(backup));
    return outcome;
  }

  async #cutTarget(source: SourceFacts, relationsAPart: number): Promise<CatalogSlice[]> {
    const session = await this.#sessions.open();
    try {
      return await cutComparison(session, { lines: { source } }, relationsAPart);
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
    const plan = await this.#planOf(context);
    const refused = await this.#sessions.lend(
      { target: plan, signal: context.signal },
      async (session) => {
        await session.execute("BEGIN");
        await keepInForce(session, { jobId: this.#options.jobId, plan: plan.token });
        const refused = await borrowRoles(session, plan.borrowRoles, plan.role.name);
        await session.execute("COMMIT");
        return refused;
      },
    );
    return { result: toJson(refused) };
  }

  async #unit(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const options = this.#options;
    const plan = await this.#planOf(context);
    const payload = lease.payload as unknown as UnitPayload;
    const { step, unit, kept, pieces } = payload;
    // Tries are counted from the new part on: they are bounded for a piece, however many pieces there are.
    const goOnWith = (pieces: number): PartOutcome => {
      const next = { ...payload, pieces } satisfies UnitPayload;
      return { result: null, split: [{ ...newPartOf(lease), payload: next as unknown as Json }] };
    };
    if (pieces === undefined && !kept.isLong && wasTooLarge(lease)) return goOnWith(0);
    const { commandLine = "deno task restore" } = options;
    const earlier = await this.#reportsBefore(lease.step, context);
    const report = await runUnit({
      plan,
      step: plan.steps[step]!,
      unit: await readUnit(kept, await this.#openedLines(plan)),
      jobId: options.jobId,
      name: `${step}/${unit}`,
      before: together(earlier),
      withSession: (work) => this.#sessions.lend({ target: plan, signal: context.signal }, work),
      openSession: () => this.#sessions.openPrepared(plan),
      readPieces: readRows({ ...options, signal: context.signal }),
      onBytes: (bytesDone) => context.onProgress({ bytesDone }),
      leave: context.signal,
      sleep: (ms, signal) => options.clock.sleep(ms, signal),
      pollMs: options.pollMs,
      isPatient: lease.attempt < LAST_PATIENT_ATTEMPT,
      piecesBefore: pieces ?? null,
      beforePiece: ({ identity }) =>
        refuseWithoutRoom(lease, {
          doing: `go on with ${lease.name.replaceAll("-", " ")} at ${identity}`,
          hint: wayOutOf(commandLine),
          details: { identity },
        }),
    });
    // Whoever takes the part next finds the server at work, or marks.
    if (report === "running") return { result: null, split: [newPartOf(lease)] };
    if ("pieces" in report) return goOnWith(report.pieces);
    return { result: toJson(report), bytes: report.bytes };
  }

  /** The target's definitions against those of the backup; rows were compared by their own units. */
  async #compare(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { backupId, relationsAPart = null } = this.#options;
    refuseWithoutRoom(lease, {
      doing: `compare the restore of ${backupId} with the backup`,
      hint: "Everything was restored and its rows were compared. What differs in definitions is " +
        "listed on any computer by: deno task restore --mode over --dry-run.",
    });
    const plan = await this.#planOf(context);
    const { slice } = (lease.payload ?? {}) as { slice?: CatalogSlice };
    const lines = await this.#openedLines(plan);
    const reports = await this.#reportsBefore(lease.step, context);
    const input = { plan, lines, reports };
    return await this.#sessions.lend({ target: plan, signal: context.signal }, async (session) => {
      if (slice !== undefined) return { result: toJson(await compareSome(session, input, slice)) };
      const slices = await cutComparison(session, input, relationsAPart);
      if (slices.length === 0) return { result: toJson(await compareAll(session, input)) };
      const split = slices.map((each) => ({
        ...newPartOf(lease),
        payload: { slice: each } as unknown as Json,
      }));
      return { result: null, split };
    });
  }

  /** Statistics for the planner, of some of the tables; of fewer at a time where workers had no room for them. */
  async #analyze(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { relations } = lease.payload as unknown as AnalyzePayload;
    if (wasTooLarge(lease) && relations.length > 1) {
      const middle = Math.ceil(relations.length / 2);
      const halves = [relations.slice(0, middle), relations.slice(middle)];
      const split = halves.map((each) => ({
        ...newPartOf(lease),
        payload: { relations: each } satisfies AnalyzePayload as unknown as Json,
      }));
      return { result: null, split };
    }
    if (lease.attempt > ROOM_ATTEMPTS && lease.previous === "interrupted") {
      const names = relations.map(({ sqlName }) => sqlName).join(", ");
      return { result: toJson([withoutStatistics(`of ${names}: ${triedInVain(lease)}`)]) };
    }
    const leftOut = await this.#sessions.lend(
      { target: await this.#planOf(context), signal: context.signal },
      (session) => analyzeRelations(session, relations),
    );
    // What a worker leaves undone because it has to end is not left out: another one does it.
    context.signal.throwIfAborted();
    return { result: toJson(leftOut) };
  }

  async #finish(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const plan = await this.#planOf(context);
    const { report } = lease.payload as unknown as FinishPayload;
    const reports = await this.#reportsBefore(lease.step, context);
    const all = together(reports);
    const compared: (Comparison | ComparedSlice)[] = [];
    for await (const { result } of context.results(COMPARE)) {
      if (result !== null) compared.push(result as unknown as Comparison);
    }
    const lines = await this.#openedLines(plan);
    const comparison = await joinComparisons({ plan, lines, reports }, compared);
    comparison.differences.push(...all.differences);
    for (const name of [BORROW, ANALYZE]) {
      for await (const { result } of context.results(name)) {
        if (result !== null) all.leftOut.push(...result as unknown as LeftOut[]);
      }
    }
    await this.#sessions.lend({ target: plan, signal: context.signal }, async (session) => {
      const { jobId, request } = this.#options;
      await removeMarks(session, { jobId, keepsTrace: !hasAllRows(all) });
      const isComplete = all.failed.length + comparison.differences.length === 0;
      if (isComplete) await removeTraces(session, request);
      all.leftOut.push(...await returnRoles(session, plan.borrowRoles, plan.role.name));
    });
    if (all.failed.length > 0 || comparison.differences.length > 0) {
      const stays = plan.mode !== "empty";
      throw restoreMismatch(plan, { comparison, failures: all, leftOut: all.leftOut, stays });
    }
    const leftOut = [...report.leftOut, ...all.leftOut];
    return finished({ ...report, leftOut, comparison, rowsLoaded: all.rows });
  }

  async #planOf(context: Pick<PartContext, "results">): Promise<KeptPlan> {
    const plan = await this.#findPlan(context);
    if (plan === null) throw new Error("a part of a restore came before its plan");
    return plan;
  }

  /** As the first part made it: the target itself has changed since. */
  async #findPlan(context: Pick<PartContext, "results">): Promise<KeptPlan | null> {
    if (this.#plan !== null) return await this.#plan;
    const parts = await Array.fromAsync(context.results(PLAN));
    const plan = parts.map(({ result }) => result as unknown as KeptPlan | null)
      .find((result) => result !== null);
    if (plan === undefined) return null;
    return await (this.#plan = Promise.resolve(plan));
  }

  /** Of the backup that was planned, whichever is the latest now. */
  async #openedLines({ backupId }: KeptPlan): Promise<OpenedLines> {
    this.#lines ??= openLines(this.#options.repository, backupId);
    // What could not be read now may be read for the next part.
    this.#lines.catch(() => this.#lines = null);
    return await this.#lines;
  }

  /** What all units of earlier steps reported. */
  async #reportsBefore(step: number, context: PartContext): Promise<UnitReport[]> {
    const { steps: names } = await this.#planOf(context);
    // A unit's part stands one rung above its place among the steps, or two.
    const begun = new Set(names.filter((name) => names.indexOf(name) + FIRST_RUNG < step));
    const found = await Promise.all([...begun].map((name) => {
      const isOver = names.lastIndexOf(name) + FIRST_RUNG + 1 < step;
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
}

async function reportsOf(parts: AsyncIterable<DonePart>, step: number): Promise<UnitReport[]> {
  const found: UnitReport[] = [];
  for await (const { step: own, result } of parts) {
    if (own < step && result !== null) found.push(result as unknown as UnitReport);
  }
  return found;
}

/** What was restored stands in the target, which is not empty any more. */
function wayOutOf(commandLine: string): string {
  return "What was restored stays. Restore over it on any computer, which replaces what differs: " +
    commandLine.replace(" --mode empty", "");
}

function newPartOf({ step, name, payload, bytes }: Lease): NewPart {
  return { step, name, payload, bytes };
}

function finished(report: RestoreReport): PartOutcome {
  return { result: null, finish: { result: { ...report }, backupId: report.backupId } };
}
