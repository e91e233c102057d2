/**
 * One attempt at a unit of a restore: the pieces that it consists of, and what they have come to.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import type { Session } from "../postgres/session.ts";
import type { Difference } from "./compare_models.ts";
import { brokenKeys, filledKeysQuery } from "./check_foreign_keys.ts";
import { batchGroups, type ComparedLoads, compareGroups, groupLoads } from "./compare_rows.ts";
import type { RestoreStepName } from "./cut_restore.ts";
import { concernsOneObject, Failures, mayPass } from "./failures.ts";
import { fillTable } from "./fill_table.ts";
import type { KeptPlan, UnitMaterial } from "./keep_plan.ts";
import { clearTables, type LoadItem, loadPart, type ReadPieces } from "./load_rows.ts";
import type { RestoreMark } from "./restore_marks.ts";
import { makeOfCluster } from "./role_rights.ts";
import { EntryRunner, namedError, runStatements, stepsOf } from "./run_statements.ts";
import { rightSteps } from "./statements.ts";
import { filledStatements } from "./trace_marks.ts";
import type { Found, UnitReport } from "./unit_report.ts";

/** What {@linkcode runUnit} works with. */
export interface UnitInput {
  plan: Pick<KeptPlan, "role" | "unusableRoles" | "filling" | "token">;
  step: RestoreStepName;
  unit: UnitMaterial;
  jobId: string;
  /** Name of the unit's mark. */
  name: string;
  /** What earlier units could not make or load. */
  before: Pick<UnitReport, "unmade" | "failed" | "skipped">;
  /** Lends a session with the settings of a restore. */
  withSession: <T>(work: (session: Session) => Promise<T>) => Promise<T>;
  /** Opens a session of its own for work that may outlive the worker. */
  openSession: () => Promise<Session>;
  readPieces: ReadPieces;
  onBytes?: (bytes: number) => void;
  /** Aborted when the worker has to leave. */
  leave: AbortSignal;
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Between two looks at work that the server does for somebody else. @default 1000 */
  pollMs?: number | undefined;
  /** Whether what may pass (a lock, a deadlock) is thrown, to be tried again, or counts as a failure. */
  isPatient: boolean;
  /**
   * Of a unit at which worker after worker was ended: pieces that were done when its part was added. Each call
   * does one more at most. Null for any other unit, of which a call does all.
   */
  piecesBefore: number | null;
  /** Called before a piece is tried alone; may throw. */
  beforePiece: (piece: Pick<Piece, "identity">) => void;
}

/** The smallest thing that can fail alone. */
export interface Piece {
  /** Tells the pieces of a unit apart. */
  id: string;
  identity: string;
  entry: Entry | null;
  /** When this fails, what needs the entry cannot be made either. */
  isVital: boolean;
  run: (session: Session) => Promise<void>;
}

/** Steps whose statements need no thought, so that many go to the server together. */
const MADE: readonly RestoreStepName[] = ["definitions", "build", "rights", "last"];
const BATCH_ENTRIES = 50;

/** What one attempt at a unit has come to. */
export class UnitRun {
  readonly failures: Failures;
  readonly #runner: EntryRunner;
  readonly #lenient: boolean;
  readonly #input: UnitInput;
  readonly #blocked = new Map<string, boolean>();
  readonly #found: Found = { leftOut: [], differences: [], rows: 0, bytes: 0 };
  readonly #loaded: LoadItem[] = [];

  constructor(input: UnitInput) {
    const { role, unusableRoles } = input.plan;
    this.#input = input;
    this.failures = new Failures({
      goOn: true,
      unmade: input.before.unmade,
      concerns: (error) => concernsOneObject(error) && !(input.isPatient && mayPass(error)),
    });
    this.#lenient = !role.superuser || unusableRoles.length > 0;
    this.#runner = new EntryRunner({ lenient: this.#lenient, unusableRoles });
  }

  /** Asked many times for one table, told once. */
  isBlocked(entry: Entry | null): boolean {
    if (entry === null) return false;
    const known = this.#blocked.get(entry.key) ?? this.failures.blocks(entry);
    this.#blocked.set(entry.key, known);
    return known;
  }

  /** Everything in few round trips, or by what can fail alone. */
  pieces({ fine }: { fine: boolean }): Piece[] {
    const { step, unit } = this.#input;
    if (step === "adjust") return this.#adjustments();
    if (step === "clear") return [this.#clearPiece()];
    if (step === "rows") {
      return unit.loads.flatMap((load) =>
        load.parts.map((part) => this.#rowsPiece({ load, part }))
      );
    }
    if (step === "compare-rows") {
      const groups = this.compared();
      const batches = fine ? groups.map((loads) => [loads]) : batchGroups(groups);
      return batches.map((batch) => this.#comparePiece(batch));
    }
    if (step === "check-keys") return this.#keysPieces();
    if (fine) return unit.entries.flatMap((entry) => this.#steps(entry));
    if (this.#lenient || !MADE.includes(step)) {
      return unit.entries.map((each) => this.#whole(each));
    }
    const entries = unit.entries.filter((entry) => !this.isBlocked(entry));
    return Array.from(
      { length: Math.ceil(entries.length / BATCH_ENTRIES) },
      (_, at) => this.#together(entries.slice(at * BATCH_ENTRIES, (at + 1) * BATCH_ENTRIES)),
    );
  }

  /** Loads that are compared together, without those that are known to have failed. */
  compared(): ComparedLoads[] {
    const { failed, skipped } = this.#input.before;
    const known = new Set([...failed, ...skipped].map(({ identity }) => identity));
    return groupLoads(this.#input.unit.loads.filter(({ entry }) => !known.has(entry.identity)));
  }

  differ(difference: Difference | null): void {
    if (difference !== null) this.#found.differences.push(difference);
  }

  /** What was found since it was last asked, for the mark of a piece. */
  takeFound(): Found {
    const found = { ...this.#found, leftOut: this.#runner.leftOut.splice(0) };
    Object.assign(this.#found, { differences: [], rows: 0, bytes: 0 });
    return found;
  }

  /** Forgets what a piece did that was rolled back. */
  takeBack(): void {
    this.takeFound();
    this.#loaded.splice(0);
  }

  /**
   * Statements that mark the parts that were loaded since it was last asked, for a restore that goes on with this
   * one; they belong into the transaction that loaded them.
   */
  takeLoaded(): string {
    return filledStatements(this.#input.jobId, this.#loaded.splice(0));
  }

  /** Adds what a piece found, now or for a worker before. */
  addFound(found: Found): void {
    this.#runner.leftOut.push(...found.leftOut);
    this.#found.differences.push(...found.differences);
    this.#found.rows += found.rows;
    this.#found.bytes += found.bytes;
  }

  refused(entry: Entry, { refusal }: RestoreMark): void {
    const { sqlState, message } = refusal!;
    const { identity } = entry;
    this.failures.record({ identity, code: "database_error", sqlState, message }, entry);
  }

  report(): UnitReport {
    const { failed, skipped } = this.failures;
    const known = new Map(this.#input.before.unmade);
    return {
      failed,
      skipped,
      unmade: this.failures.unmade.filter(([key]) => !known.has(key)),
      ...this.#found,
      leftOut: this.#runner.leftOut,
    };
  }

  /** Many objects by one round trip. */
  #together(entries: readonly Entry[]): Piece {
    const { step } = this.#input;
    const statements = entries.flatMap(({ statements: each }) =>
      step === "rights" ? each.acl : [
        ...[...each.create, ...each.owner, ...each.comment, ...each.label],
        ...(step === "last" ? each.acl : []),
      ]
    );
    const first = entries[0]!.identity;
    const identity = entries.length === 1
      ? first
      : `${entries.length} definitions from ${first} on`;
    const run = (session: Session) => runStatements(session, statements, identity);
    return { id: entries[0]!.key, identity, entry: null, isVital: true, run };
  }

  #whole(entry: Entry): Piece {
    const { key: id, identity } = entry;
    return { id, identity, entry, isVital: true, run: (session) => this.#make(session, entry) };
  }

  #steps(entry: Entry): Piece[] {
    const { step } = this.#input;
    // Default privileges are nothing but rights.
    const steps = step === "rights" || entry.kind === "default-acl"
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
    const { step, plan: { role } } = this.#input;
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
    return this.#input.unit.adjust.map(({ identity, statements }) => ({
      id: identity,
      identity,
      entry: null,
      isVital: false,
      run: (session) =>
        this.#runner.attempt(session, statements, identity, "its owner, comments or rights"),
    }));
  }

  #clearPiece(): Piece {
    const loads = this.#input.unit.loads.filter(({ entry }) => !this.isBlocked(entry));
    return {
      id: "clear",
      identity: "rows of extensions",
      entry: null,
      isVital: false,
      run: (session) => clearTables(session, loads),
    };
  }

  #rowsPiece({ load, part }: LoadItem): Piece {
    const { entry } = load;
    return {
      id: `${entry.key}/${part.part}`,
      identity: entry.identity,
      entry,
      isVital: false,
      run: (session) => this.#load(session, { load, part }),
    };
  }

  async #load(session: Session, item: LoadItem): Promise<void> {
    const { jobId, readPieces } = this.#input;
    const { fill } = item.load;
    try {
      if (fill === undefined) {
        await loadPart(session, { ...item, readPieces });
        this.#loaded.push(item);
      } else {
        await fillTable(session, { ...item, fill, jobId, readPieces });
      }
    } catch (error) {
      throw error instanceof DatabaseError ? namedError(error, item.load.entry.identity) : error;
    }
    this.#found.rows += item.part.rows;
    this.#found.bytes += item.part.rawBytes;
    this.#input.onBytes?.(this.#found.bytes);
  }

  #keysPieces(): Piece[] {
    const { unit: { loads }, jobId } = this.#input;
    if (loads.length === 0) return [];
    const run = async (session: Session) => {
      const query = await filledKeysQuery(session, { loads, jobId });
      const [row] = query === null ? [] : await session.query(`SELECT (${query}) AS found`);
      if (row !== undefined) brokenKeys(row.found).forEach((each) => this.differ(each));
    };
    return [{ id: "keys", identity: "foreign keys", entry: null, isVital: false, run }];
  }

  #comparePiece(groups: readonly ComparedLoads[]): Piece {
    const { entry } = groups[0]![0];
    return {
      ...{ id: entry.key, identity: entry.identity, isVital: false },
      entry: groups.length === 1 ? entry : null,
      run: async (session) => {
        for (const each of await compareGroups(session, groups)) this.differ(each);
      },
    };
  }
}
