/**
 * Does one unit of a restore into an empty database, once: the unit's mark commits with its work, and
 * holds its report for whoever comes after a worker that died before it could tell.
 *
 * A unit runs in one transaction, which is quick. When something in it fails, it runs again piece by
 * piece, so that a failure stops only what needs it.
 *
 * @module
 */
import type { DataPart, Entry } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import type { Difference } from "./compare_models.ts";
import {
  type ComparedLoads,
  compareFound,
  compareRows,
  groupLoads,
  rowsQuery,
} from "./compare_rows.ts";
import type { RestoreStepName, RestoreUnit } from "./cut_restore.ts";
import type { EntryIndex } from "./entry_index.ts";
import { concernsOneObject, type Failure, Failures } from "./failures.ts";
import { handOver } from "./hand_over.ts";
import { clearTables, loadPart, type ReadPieces } from "./load_rows.ts";
import type { LeftOut, RestorePlan, TableLoad } from "./plan_types.ts";
import { markStatement, readMark, type RestoreMark } from "./restore_marks.ts";
import { makeOfCluster } from "./role_rights.ts";
import { EntryRunner, runStatements, stepsOf } from "./run_statements.ts";
import { rightSteps } from "./statements.ts";

/** What a unit did and what it could not do; plain data. */
export interface UnitReport {
  failed: Failure[];
  skipped: LeftOut[];
  /** Keys of definitions that are not there, with the cause. */
  unmade: [key: string, cause: string][];
  leftOut: LeftOut[];
  differences: Difference[];
  rows: number;
  bytes: number;
}

/** What {@linkcode runUnit} works with. */
export interface UnitInput {
  plan: RestorePlan;
  /** All entries of the plan and of the backup. */
  index: EntryIndex;
  step: RestoreStepName;
  unit: RestoreUnit;
  jobId: string;
  /** Name of the unit's mark. */
  name: string;
  /** The restoring role. */
  role: { superuser: boolean };
  /** What earlier units could not make or load. */
  before: Pick<UnitReport, "unmade" | "failed" | "skipped">;
  /** Opens a session with the settings of a restore. */
  openSession: () => Promise<Session>;
  readPieces: ReadPieces;
  onBytes?: (bytes: number) => void;
  /** Aborted when the worker has to leave. */
  leave: AbortSignal;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** The smallest thing that can fail alone. */
interface Piece {
  /** Tells the pieces of a unit apart. */
  id: string;
  identity: string;
  entry: Entry | null;
  /** When this fails, what needs the entry cannot be made either. */
  isVital: boolean;
  run: (session: Session) => Promise<void>;
}

/**
 * Does the unit, or finds that it is done.
 *
 * @returns its report; `running` when the server goes on with it after the worker has left
 * @throws {BackupError} what concerns more than one object: a lost connection, a full disk
 */
export async function runUnit(input: UnitInput): Promise<UnitReport | "running"> {
  if (input.unit.isLong) return await runLong(input);
  const session = await input.openSession();
  try {
    const mark = await readMark(session, input);
    if (mark !== null) return JSON.parse(mark.detail!);
    return await runAtOnce(session, input) ?? await runInPieces(session, input);
  } finally {
    await session.close();
  }
}

/** Null when an object in the unit fails: nothing of it is done then. */
async function runAtOnce(session: Session, input: UnitInput): Promise<UnitReport | null> {
  const run = new UnitRun(input);
  try {
    await session.execute("BEGIN");
    for (const piece of run.pieces({ fine: false })) {
      input.leave.throwIfAborted();
      if (!run.isBlocked(piece.entry)) await piece.run(session);
    }
    const report = run.report();
    await session.execute(
      `${markStatement(input.jobId, input.name, JSON.stringify(report))}; COMMIT`,
    );
    return report;
  } catch (error) {
    if (!concernsOneObject(error)) throw error;
    if (session.inTransaction) await session.execute("ROLLBACK");
    return null;
  }
}

/** Each piece has a transaction and a mark of its own. */
async function runInPieces(session: Session, input: UnitInput): Promise<UnitReport> {
  const run = new UnitRun(input);
  const { failures } = run;
  const alone = async (name: string, work: () => Promise<void>) => {
    if (await readMark(session, { jobId: input.jobId, name }) !== null) return;
    await session.execute("BEGIN");
    try {
      await work();
      await session.execute(`${markStatement(input.jobId, name)}; COMMIT`);
    } catch (error) {
      if (session.inTransaction) await session.execute("ROLLBACK");
      throw error;
    }
  };
  for (const piece of run.pieces({ fine: true })) {
    input.leave.throwIfAborted();
    if (run.isBlocked(piece.entry)) continue;
    const work = () => alone(`${input.name}/${piece.id}`, () => piece.run(session));
    if (piece.isVital && piece.entry !== null) await failures.makes(piece.entry, work);
    else await failures.attempt(piece.identity, work);
  }
  const report = run.report();
  await session.execute(markStatement(input.jobId, input.name, JSON.stringify(report)));
  return report;
}

/** The server does it, however long it takes. */
async function runLong(input: UnitInput): Promise<UnitReport | "running"> {
  const run = new UnitRun(input);
  const { jobId, name, unit, openSession, leave, sleep } = input;
  const [entry] = run.entries();
  if (entry === undefined || run.isBlocked(entry)) return run.report();
  const [loads] = input.step === "compare-rows" ? run.compared() : [];
  const { create, comment, label } = entry.statements;
  const work = loads === undefined
    ? { jobId, name, statements: [...create, ...comment, ...label] }
    : { jobId, name, statements: [], query: rowsQuery(loads) };
  const mark = await handOver(work, { openSession, leave, sleep });
  if (mark === "running") return "running";
  if (mark.refusal !== null) run.refused(entry, mark);
  else if (loads !== undefined) run.differ(compareFound(loads, mark.detail!));
  return { ...run.report(), bytes: unit.bytes };
}

/** What one attempt at a unit has come to. */
class UnitRun {
  readonly failures: Failures;
  readonly #runner: EntryRunner;
  readonly #input: UnitInput;
  readonly #loads: ReadonlyMap<string, TableLoad>;
  readonly #blocked = new Map<string, boolean>();
  readonly #differences: Difference[] = [];
  #rows = 0;
  #bytes = 0;

  constructor(input: UnitInput) {
    const { plan, role, unit } = input;
    this.#input = input;
    this.failures = new Failures({ goOn: true, unmade: input.before.unmade });
    this.#runner = new EntryRunner({
      lenient: !role.superuser || plan.unusableRoles.length > 0,
      unusableRoles: plan.unusableRoles,
    });
    const wanted = new Set(unit.keys);
    this.#loads = new Map(
      plan.load.filter((load) => wanted.has(load.entry.key)).map((load) => [load.entry.key, load]),
    );
  }

  entries(): Entry[] {
    const { step, unit, plan, index } = this.#input;
    if (step !== "drop") return unit.keys.flatMap((key) => index.byKey(key) ?? []);
    const wanted = new Set(unit.keys);
    return plan.drop.filter((entry) => wanted.has(entry.key));
  }

  /** Asked many times for one table, told once. */
  isBlocked(entry: Entry | null): boolean {
    if (entry === null) return false;
    const known = this.#blocked.get(entry.key) ?? this.failures.blocks(entry);
    this.#blocked.set(entry.key, known);
    return known;
  }

  pieces({ fine }: { fine: boolean }): Piece[] {
    const { step, unit } = this.#input;
    if (step === "adjust") return this.#adjustments();
    if (step === "clear") return [this.#clearPiece()];
    if (step === "rows") return (unit.parts ?? []).flatMap((each) => this.#rowsPiece(each));
    if (step === "compare-rows") return this.compared().map((loads) => this.#comparePiece(loads));
    return this.entries().flatMap((entry) => fine ? this.#steps(entry) : [this.#whole(entry)]);
  }

  /** Loads that are compared together, without those that are known to have failed. */
  compared(): ComparedLoads[] {
    const { failed, skipped } = this.#input.before;
    const known = new Set([...failed, ...skipped].map(({ identity }) => identity));
    return groupLoads([...this.#loads.values()].filter(({ entry }) => !known.has(entry.identity)));
  }

  differ(difference: Difference | null): void {
    if (difference !== null) this.#differences.push(difference);
  }

  refused(entry: Entry, { refusal }: RestoreMark): void {
    const { sqlState, message } = refusal!;
    this.failures.record(entry, { code: "database_error", sqlState, message });
  }

  report(): UnitReport {
    const { failed, skipped } = this.failures;
    const known = new Map(this.#input.before.unmade);
    return {
      failed,
      skipped,
      unmade: this.failures.unmade.filter(([key]) => !known.has(key)),
      leftOut: this.#runner.leftOut,
      differences: this.#differences,
      rows: this.#rows,
      bytes: this.#bytes,
    };
  }

  #whole(entry: Entry): Piece {
    const { key: id, identity } = entry;
    return { id, identity, entry, isVital: true, run: (session) => this.#make(session, entry) };
  }

  #steps(entry: Entry): Piece[] {
    const { step } = this.#input;
    const steps = step === "rights"
      ? rightSteps(entry)
      : step === "definitions" || step === "build" || step === "last"
      ? stepsOf(entry)
      : [entry];
    return steps.map((each, index) => ({
      id: `${entry.key}/${index}`,
      identity: entry.identity,
      entry,
      isVital: step !== "rights" && step !== "drop" && each.statements.create.length > 0,
      run: (session) => this.#make(session, each),
    }));
  }

  async #make(session: Session, entry: Entry): Promise<void> {
    const { step, role } = this.#input;
    const runner = this.#runner;
    if (step === "roles") return await makeOfCluster(entry, { session, role, runner });
    if (step === "drop") {
      return await runStatements(session, entry.statements.drop, entry.identity);
    }
    if (step === "rights") return await runner.grant(session, entry);
    if (step === "sequences") {
      return await runner.attempt(session, entry.statements.create, entry.identity, "its value");
    }
    await runner.make(session, entry);
    if (step === "last") await runner.grant(session, entry);
  }

  #adjustments(): Piece[] {
    const { plan, unit } = this.#input;
    const wanted = new Set(unit.keys);
    return plan.adjust.filter(({ identity }) => wanted.has(identity)).map((
      { identity, statements },
    ) => ({
      id: identity,
      identity,
      entry: null,
      isVital: false,
      run: (session) =>
        this.#runner.attempt(session, statements, identity, "its owner, comments or rights"),
    }));
  }

  #clearPiece(): Piece {
    const loads = [...this.#loads.values()].filter(({ entry }) => !this.isBlocked(entry));
    return {
      id: "clear",
      identity: "rows of extensions",
      entry: null,
      isVital: false,
      run: (session) => clearTables(session, loads),
    };
  }

  #rowsPiece({ key, part }: { key: string; part: number }): Piece[] {
    const load = this.#loads.get(key);
    const stored = load?.parts.find((each) => each.part === part);
    if (load === undefined || stored === undefined) return [];
    return [{
      id: `${key}/${part}`,
      identity: load.entry.identity,
      entry: load.entry,
      isVital: false,
      run: (session) => this.#load(session, { load, part: stored }),
    }];
  }

  async #load(session: Session, item: { load: TableLoad; part: DataPart }): Promise<void> {
    await loadPart(session, { ...item, readPieces: this.#input.readPieces });
    this.#rows += item.part.rows;
    this.#bytes += item.part.rawBytes;
    this.#input.onBytes?.(this.#bytes);
  }

  #comparePiece(loads: ComparedLoads): Piece {
    return {
      id: loads[0].entry.key,
      identity: loads[0].entry.identity,
      entry: loads[0].entry,
      isVital: false,
      run: async (session) => this.differ(await compareRows(session, loads)),
    };
  }
}
