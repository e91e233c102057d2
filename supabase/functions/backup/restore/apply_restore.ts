/**
 * Executes a restore plan: drop, make, load, build, grant, check. A little longer than usual: the order of these
 * is told in one place.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { DataPart, Entry } from "../core/model.ts";
import type { ProgressListener } from "../core/progress.ts";
import type { Session } from "../postgres/session.ts";
import { analyzedNames, analyzeNames } from "./analyze.ts";
import { buildAlone } from "./build_alone.ts";
import { buildSource } from "./build_source.ts";
import { checkForeignKeys } from "./check_foreign_keys.ts";
import {
  compareInSlices,
  type Comparison,
  type Difference,
  type LiveEntries,
} from "./compare_models.ts";
import { batchGroups, compareGroups, groupLoads } from "./compare_rows.ts";
import { EntryIndex, isTable, sqlNameOf } from "./entry_index.ts";
import { Failures } from "./failures.ts";
import { indexFirst } from "./index_first.ts";
import { inParallel, listSource } from "./in_parallel.ts";
import { LoadLane, PARTS_A_LANE } from "./load_lane.ts";
import { clearTables, type LoadItem, type ReadPieces, type RowLoader } from "./load_rows.ts";
import { bytesOf } from "./plan_loads.ts";
import type { LeftOut, RestorePlan, TableLoad } from "./plan_types.ts";
import { borrowRoles, makeOfCluster, returnRoles } from "./role_rights.ts";
import { EntryRunner, runStatements, tryStatements } from "./run_statements.ts";
import { EntryMaker } from "./make_entries.ts";
import { moveAside } from "./schema_aside.ts";
import { restoreMismatch } from "./restore_mismatch.ts";
import { compareBlocks, type RowsToCompare, splitComparisons } from "./split_comparison.ts";

/** What {@linkcode applyRestore} works with. */
export interface ApplyInput {
  plan: RestorePlan;
  /** Entries of the backup, for their dependencies. */
  entries: readonly Entry[];
  /**
   * Does everything, with pinned settings. In the modes `over` and `beside` it is inside the transaction
   * that holds the locks; the caller commits.
   */
  session: Session;
  /** Further sessions for mode `empty`, with the same settings. */
  workers: readonly Session[];
  /** The restoring role. */
  role: { name: string; superuser: boolean };
  readPieces: ReadPieces;
  /** For mode `empty`: loads rows instead of the sessions. */
  loader?: RowLoader | undefined;
  /** Reads the target again for the comparison, in as many slices as it takes. */
  readTarget: (session: Session) => AsyncIterable<LiveEntries>;
  signal?: AbortSignal | undefined;
  onProgress?: ProgressListener | undefined;
}

/** What came of it. */
export interface Applied {
  /** Left out while running, besides what the plan said. */
  leftOut: LeftOut[];
  comparison: Comparison;
  rowsLoaded: number;
  /** Seconds by phase. */
  seconds: Record<string, number>;
}

/**
 * Executes the plan. Into an empty database a statement that fails stops only what needs it: the rest
 * is made, and the failures are thrown at the end.
 *
 * @throws {BackupError} `restore_mismatch` when the result differs from the backup, `cancelled`, and what
 * the server reports
 */
export async function applyRestore(input: ApplyInput): Promise<Applied> {
  const { plan, session } = input;
  const run = new Run(input);
  await run.phase("roles", () => run.prepareRoles());
  const { beside } = plan;
  const moveBack = beside && await run.phase("aside", () => moveAside(session, beside));
  await run.phase("drop", () => run.drop());
  await run.phase("definitions", () => run.makeDefinitions());
  await run.phase("rows", () => run.loadRows());
  await run.phase("indexes and constraints", () => run.build());
  await run.phase("rights", () => run.grantRights());
  await run.phase("views and event triggers", () => run.finish());
  await run.phase("foreign keys", () => run.checkForeignKeys());
  const comparison = await run.phase("comparison and statistics", () => run.compare());
  if (moveBack !== null) await run.phase("back", moveBack);
  await run.phase("roles back", () => run.leaveRoles());
  await run.phase("last sequences", () => run.setLastSequences());
  if (run.failures.failed.length > 0 || comparison.differences.length > 0) {
    throw restoreMismatch(plan, {
      comparison,
      failures: run.failures,
      leftOut: run.runner.leftOut,
    });
  }
  return {
    leftOut: run.runner.leftOut,
    comparison,
    rowsLoaded: run.rowsLoaded,
    seconds: run.seconds,
  };
}

/** The state of one execution. */
class Run {
  readonly runner: EntryRunner;
  readonly failures: Failures;
  readonly seconds: Record<string, number> = {};
  rowsLoaded = 0;
  readonly #input: ApplyInput;
  readonly #maker: EntryMaker;
  #comparisons: RowsToCompare[] = [];
  readonly #differences: Difference[] = [];
  readonly #lastSequences: Entry[] = [];
  #phase = "";
  #partsDone = 0;
  #bytesDone = 0;

  constructor(input: ApplyInput) {
    this.#input = input;
    this.failures = new Failures({ goOn: input.plan.mode === "empty" });
    this.runner = new EntryRunner({
      lenient: !input.role.superuser || input.plan.unusableRoles.length > 0,
      unusableRoles: input.plan.unusableRoles,
    });
    const { runner, failures } = this;
    this.#maker = new EntryMaker({ runner, failures, optional: input.plan.optional });
  }

  /** Runs one phase, timed. */
  async phase<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#stopIfCancelled();
    this.#phase = name;
    this.#report();
    const started = performance.now();
    const result = await work();
    this.seconds[name] = Math.round(performance.now() - started) / 1000;
    return result;
  }

  async prepareRoles(): Promise<void> {
    const { plan, session, role } = this.#input;
    for (const entry of plan.cluster) {
      if (this.failures.blocks(entry)) continue;
      await this.failures.makes(
        entry,
        () => makeOfCluster(entry, { session, role, runner: this.runner }),
      );
    }
    this.runner.leftOut.push(...await borrowRoles(session, plan.borrowRoles, role.name));
  }

  /** Memberships that were taken for the restore only end with it. */
  async leaveRoles(): Promise<void> {
    const { plan, session, role } = this.#input;
    this.runner.leftOut.push(...await returnRoles(session, plan.borrowRoles, role.name));
  }

  async drop(): Promise<void> {
    const { plan, session } = this.#input;
    for (const entry of plan.drop) {
      this.#stopIfCancelled();
      await this.failures.attempt(
        entry.identity,
        () => runStatements(session, entry.statements.drop, entry.identity),
      );
    }
  }

  /** Everything before the rows, and what only has to be adjusted. */
  async makeDefinitions(): Promise<void> {
    const { plan, session } = this.#input;
    for (const { identity, statements } of plan.adjust) {
      await this.failures.attempt(
        identity,
        () => this.runner.attempt(session, statements, identity, "its owner, comments or rights"),
      );
    }
    const entries = plan.create.filter((entry) =>
      entry.section === "pre-data" && entry.kind !== "sequence-set" && !isLast(entry)
    );
    await this.#maker.makeAll(session, entries, () => this.#stopIfCancelled());
  }

  /** Rows, then the state of sequences. */
  async loadRows(): Promise<void> {
    const { plan, session } = this.#input;
    const loads = plan.load.filter((load) => !this.failures.blocks(load.entry));
    await clearTables(session, loads);
    for (const name of plan.clearOnly) await session.execute(`DELETE FROM ONLY ${name}`);
    const work = loads.flatMap((load) => load.parts.map((part) => ({ load, part })));
    await inParallel(this.#lanes(loads), listSource(work), async (lane, item) => {
      this.#stopIfCancelled();
      if (await this.failures.makes(item.load.entry, () => lane(item))) this.#loaded(item.part);
    });
    await this.#setSequences();
  }

  async #setSequences(): Promise<void> {
    const { plan, session } = this.#input;
    const sequences = plan.create.filter(({ kind }) => kind === "sequence-set");
    if (!session.inTransaction && !this.runner.lenient) {
      return await this.#maker.makeAll(session, sequences, () => this.#stopIfCancelled());
    }
    for (const entry of sequences) {
      if (this.failures.blocks(entry)) continue;
      await this.failures.makes(entry, () => this.#setSequence(session, entry));
    }
  }

  /**
   * setval() is not undone by a rollback, except on a sequence that got a new file in the same
   * transaction. Whoever may not alter the sequence sets it as the very last thing.
   */
  async #setSequence(session: Session, entry: Entry): Promise<void> {
    const identity = entry.identity;
    if (session.inTransaction) {
      const restart = [`ALTER SEQUENCE ${sqlNameOf(entry)} RESTART`];
      const refusal = await tryStatements(session, restart, { identity, tolerated: ["42501"] });
      if (refusal !== null) {
        this.#lastSequences.push(entry);
        return;
      }
    }
    await this.runner.attempt(session, entry.statements.create, identity, "its value");
  }

  /** What no rollback would undo. */
  async setLastSequences(): Promise<void> {
    for (const entry of this.#lastSequences) {
      await this.runner.attempt(
        this.#input.session,
        entry.statements.create,
        entry.identity,
        "its value",
      );
    }
  }

  /** The ways that rows can be loaded at once: threads for many of them, else the sessions. */
  #lanes(loads: readonly TableLoad[]): ((item: LoadItem) => Promise<void>)[] {
    const { session, loader, readPieces } = this.#input;
    const bytes = loads.reduce((sum, load) => sum + bytesOf(load), 0);
    const canThreads = loader !== undefined && !session.inTransaction;
    return canThreads && bytes >= loader.leastBytes
      ? Array.from({ length: loader.concurrency }, () => (item) => loader.load(item))
      : this.#sessions().flatMap((each) => {
        const lane = new LoadLane(each);
        return Array(PARTS_A_LANE).fill((item: LoadItem) => lane.load({ ...item, readPieces }));
      });
  }

  #loaded(part: DataPart): void {
    this.rowsLoaded += part.rows;
    this.#partsDone++;
    this.#bytesDone += part.rawBytes;
    this.#report();
  }

  /** What stands on the rows. */
  async build(): Promise<void> {
    const { plan, session } = this.#input;
    const later = plan.create.filter((entry) => entry.section === "post-data" && !isLast(entry));
    // Of the others nothing is asked, and there are very many.
    const index = new EntryIndex(
      [...this.#input.entries, ...plan.create].filter((entry) =>
        isTable(entry) || entry.section === "post-data"
      ),
    );
    const bytes = new Map(
      plan.load.flatMap((load) =>
        [...index.tablesTouched(load.entry)].map((table) => [table, bytesOf(load)])
      ),
    );
    const loaded = plan.load.filter((load) => !this.failures.names(load.entry.identity));
    const groups = groupLoads(loaded);
    const sessions = this.#sessions();
    const isAlone = sessions.length === 1;
    const entries = isAlone ? later : indexFirst(later, { bytes, index });
    this.#comparisons = isAlone ? batchGroups(groups) : await splitComparisons(session, groups);
    if (!isAlone) await buildAlone(sessions, bytes);
    const source = buildSource({ entries, bytes, index, comparisons: this.#comparisons });
    await inParallel(sessions, source, async (session, work) => {
      this.#stopIfCancelled();
      if (work.kind === "make") await this.#maker.makeOrReport(session, work.entry);
      else await this.#compareRows(session, work.rows);
    });
  }

  async grantRights(): Promise<void> {
    const { plan, session } = this.#input;
    // Default privileges last: they would have widened what is made before.
    const defaults = plan.create.filter((entry) => entry.kind === "default-acl");
    const objects = plan.create.filter((entry) => entry.kind !== "default-acl");
    await this.#maker.grantAll(session, [...objects, ...defaults]);
  }

  /** Materialized views in their order, then what would react to anything done before. */
  async finish(): Promise<void> {
    const { plan, session } = this.#input;
    for (const entry of plan.refresh) {
      if (this.failures.blocks(entry)) continue;
      const { create } = entry.statements;
      await this.failures.makes(
        entry,
        () => this.runner.attempt(session, create, entry.identity, "its rows"),
      );
    }
    for (const entry of plan.create) {
      if (isLast(entry) && entry.kind !== "default-acl") {
        await this.#maker.makeOrReport(session, entry);
      }
    }
  }

  async checkForeignKeys(): Promise<void> {
    const { plan, session } = this.#input;
    const tables = plan.load.filter((load) => load.checkForeignKeys)
      .flatMap((load) => load.entry.table?.sqlName ?? []);
    await this.failures.attempt(
      "foreign keys",
      () => checkForeignKeys(session, [...tables, ...plan.clearOnly]),
    );
  }

  /**
   * Compares the definitions, and the rows of which nobody had the time yet. Into an empty database
   * statistics are taken meanwhile; elsewhere the caller takes them when the locks are gone.
   */
  async compare(): Promise<Comparison> {
    const { plan, session } = this.#input;
    let comparison: Comparison | undefined;
    const analyzed = plan.mode === "empty" ? await analyzedNames(session, plan) : [];
    const work: ((each: Session) => Promise<void>)[] = [
      async (each) => void (comparison = await this.#compareModels(each)),
      ...this.#comparisons.map((rows) => (each: Session) => this.#compareRows(each, rows)),
      ...analyzed.map((names) => async (each: Session) =>
        void this.runner.leftOut.push(...await analyzeNames(each, names))
      ),
    ];
    await inParallel(this.#sessions(), listSource(work), (each, what) => {
      this.#stopIfCancelled();
      return what(each);
    });
    comparison!.differences.push(...this.#differences);
    // Everything is taken back at once; into an empty database there is nothing to take back.
    if (comparison!.differences.length > 0 && plan.mode !== "empty") {
      throw restoreMismatch(plan, {
        comparison: comparison!,
        failures: this.failures,
        leftOut: [],
      });
    }
    return comparison!;
  }

  async #compareModels(session: Session): Promise<Comparison> {
    const { plan, readTarget } = this.#input;
    const later = this.#lastSequences.map(({ identity }) => ({ identity, reason: "set last" }));
    const { failed, skipped } = this.failures;
    const known = failed.map(({ identity, message }) => ({ identity, reason: message }));
    // A copy beside still bears the name that the backup knows it by.
    return await compareInSlices(plan, readTarget(session), {
      leftOut: [...this.runner.leftOut, ...later, ...known, ...skipped],
      otherGrantors: !this.#input.role.superuser,
    });
  }

  async #compareRows(session: Session, rows: RowsToCompare): Promise<void> {
    const found = "table" in rows
      ? [await compareBlocks(session, rows)]
      : await compareGroups(session, rows);
    this.#differences.push(...found.filter((each) => each !== null));
  }

  /** All sessions where each may commit by itself; one where a transaction holds everything together. */
  #sessions(): readonly Session[] {
    const { session, workers } = this.#input;
    return session.inTransaction ? [session] : [session, ...workers];
  }

  #stopIfCancelled(): void {
    if (this.#input.signal?.aborted !== true) return;
    throw new BackupError("cancelled", "Cannot restore: it was cancelled");
  }

  #report(): void {
    const { plan, onProgress } = this.#input;
    onProgress?.({
      phase: this.#phase,
      partsDone: this.#partsDone,
      partsTotal: plan.load.reduce((sum, load) => sum + load.parts.length, 0),
      bytesDone: this.#bytesDone,
      bytesTotal: plan.load.reduce((sum, load) => sum + bytesOf(load), 0),
    });
  }
}

/** What is made after everything else. */
function isLast(entry: Entry): boolean {
  return ["event-trigger", "default-acl", "refresh", "cron-job"].includes(entry.kind);
}
