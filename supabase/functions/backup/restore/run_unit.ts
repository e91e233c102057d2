/**
 * Does one unit of a restore into an empty database, once: the unit's mark commits with its work, and
 * holds its report for whoever comes after a worker that died before it could tell.
 *
 * A unit runs in one transaction, which is quick. When something in it fails, it runs again piece by
 * piece, so that a failure stops only what needs it. The same is done when no worker has room for all of it:
 * a unit is not cut into smaller ones, because its pieces have marks already, and their order. All marks
 * of a unit are made under one lock, and whoever holds it looks for those of others: a unit that was begun in
 * pieces is never done at once, and no piece of one that was done at once is done again.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import { brokenKeys, filledKeysQuery } from "./check_foreign_keys.ts";
import type { Difference } from "./compare_models.ts";
import { compareFound, rowsQuery } from "./compare_rows.ts";
import { concernsOneObject, mayPass } from "./failures.ts";
import { handOver } from "./hand_over.ts";
import {
  lockMark,
  type MarkedJob,
  markStatement,
  readMarks,
  type WantedMarks,
} from "./restore_marks.ts";
import { namedError } from "./run_statements.ts";
import type { BegunUnit, PieceReport, UnitReport } from "./unit_report.ts";
import { type Piece, type UnitInput, UnitRun } from "./unit_run.ts";
import { type ReactionInput, reactionsTo, withoutReactions } from "./without_reactions.ts";

/**
 * Does the unit, or finds that it is done.
 *
 * @returns its report; `running` when the server goes on with it after the worker has left; how many pieces are
 * done when no worker has room for all of them and more may be left
 * @throws {BackupError} what concerns more than one object: a lost connection, a full disk; `interrupted`
 * when the plan is not in force any more; what `beforePiece` throws
 */
export async function runUnit(input: UnitInput): Promise<UnitReport | BegunUnit | "running"> {
  if (input.unit.isLong) return await runLong(input);
  return await input.withSession(async (session) =>
    await runAtOnce(session, input) ?? await runInPieces(session, input)
  );
}

/** Null when an object in the unit fails, or when it is to be done in pieces: nothing of it is done here then. */
async function runAtOnce(session: Session, input: UnitInput): Promise<UnitReport | null> {
  if (input.piecesBefore !== null) return null;
  const run = new UnitRun(input);
  try {
    await session.execute("BEGIN");
    const marks = await lockMarks(session, input, allOf(input));
    if (marks.size > 0) {
      await session.execute("COMMIT");
      return unitReport(marks, input);
    }
    await withoutReactions(session, reacting(input), async () => {
      for (const piece of run.pieces({ fine: false })) {
        input.leave.throwIfAborted();
        if (!run.isBlocked(piece.entry)) await piece.run(session);
      }
    });
    const report = run.report();
    await session.execute(`${run.takeLoaded()}${markOf(input, report)}; COMMIT`);
    return report;
  } catch (error) {
    if (!concernsOneObject(error) || (input.isPatient && mayPass(error))) throw error;
    if (session.inTransaction) await session.execute("ROLLBACK");
    return null;
  }
}

/** Each piece has a transaction and a mark of its own, which holds what became of it. */
async function runInPieces(session: Session, input: UnitInput): Promise<UnitReport | BegunUnit> {
  await session.execute("BEGIN");
  const marks = await lockMarks(session, input, allOf(input));
  await session.execute("COMMIT");
  const done = unitReport(marks, input);
  if (done !== null) return done;
  const { piecesBefore } = input;
  // Whoever did more could not tell; the next piece has tries of its own.
  if (piecesBefore !== null && marks.size > piecesBefore) return { pieces: marks.size };
  const run = new UnitRun(input);
  const reports: PieceReport[] = [];
  for (const piece of run.pieces({ fine: true })) {
    input.leave.throwIfAborted();
    if (run.isBlocked(piece.entry)) continue;
    const marked = marks.get(nameOf(input, piece));
    const report: PieceReport | UnitReport = marked === undefined
      ? await runAlone(session, { piece, input, run })
      : JSON.parse(marked);
    if ("failed" in report) return report;
    if (marked === undefined && piecesBefore !== null) return { pieces: marks.size + 1 };
    const { failure } = report;
    if (failure !== null) run.failures.record(failure, piece.isVital ? piece.entry : null);
    reports.push(report);
  }
  for (const report of reports) run.addFound(report);
  return await finish(session, input, run.report());
}

/** Does a piece, or finds what became of it; the unit's report when somebody has done all of it meanwhile. */
async function runAlone(
  session: Session,
  { piece, input, run }: { piece: Piece; input: UnitInput; run: UnitRun },
): Promise<PieceReport | UnitReport> {
  const name = nameOf(input, piece);
  const keep = async (report: PieceReport, statements = "") => {
    const mark = markStatement(input.jobId, name, JSON.stringify(report));
    await session.execute(`${statements}${mark}; COMMIT`);
    return report;
  };
  const others = await beginAlone(session, { input, name });
  if (others !== null) return others;
  input.beforePiece(piece);
  try {
    await withoutReactions(session, reacting(input), () => piece.run(session));
    return await keep({ ...run.takeFound(), failure: null }, run.takeLoaded());
  } catch (error) {
    const failure = run.failures.failureOf(piece.identity, error);
    if (session.inTransaction) await session.execute("ROLLBACK");
    run.takeBack();
    // Without a mark every worker would try it again before it came to what is left.
    return await beginAlone(session, { input, name }) ??
      await keep({ ...run.takeFound(), failure });
  }
}

/** Begins the transaction of a piece, unless it, or the whole unit, is done. */
async function beginAlone(
  session: Session,
  { input, name }: { input: UnitInput; name: string },
): Promise<PieceReport | UnitReport | null> {
  await session.execute("BEGIN");
  const marks = await lockMarks(session, input, { names: [input.name, name] });
  const done = marks.get(input.name) ?? marks.get(name);
  if (done === undefined) return null;
  await session.execute("COMMIT");
  return JSON.parse(done);
}

/** Marks the unit as done, unless somebody else has. */
async function finish(
  session: Session,
  input: UnitInput,
  report: UnitReport,
): Promise<UnitReport> {
  await session.execute("BEGIN");
  const marks = await lockMarks(session, input, { names: [input.name] });
  const done = unitReport(marks, input);
  await session.execute(done === null ? `${markOf(input, report)}; COMMIT` : "COMMIT");
  return done ?? report;
}

/**
 * Details of marks of a unit, by their names. A worker that is gone may still have a backend at work: that ends
 * before this answers, and no other one begins before the transaction ends.
 */
async function lockMarks(
  session: Session,
  input: UnitInput,
  wanted: WantedMarks,
): Promise<Map<string, string>> {
  await lockMark(session, input);
  const marks = await readMarks(session, jobOf(input), wanted);
  return new Map(marks.map(({ name, detail }) => [name, detail!]));
}

/** The unit's own mark and those of its pieces. */
function allOf({ name }: UnitInput): WantedMarks {
  return { names: [name], piecesOf: name };
}

function nameOf({ name }: UnitInput, { id }: Piece): string {
  return `${name}/${id}`;
}

function unitReport(marks: ReadonlyMap<string, string>, { name }: UnitInput): UnitReport | null {
  const detail = marks.get(name);
  return detail === undefined ? null : JSON.parse(detail);
}

function jobOf({ jobId, plan }: UnitInput): MarkedJob {
  return { jobId, plan: plan.token };
}

function markOf({ jobId, name }: UnitInput, report: UnitReport): string {
  return markStatement(jobId, name, JSON.stringify(report));
}

function reacting({ plan: { filling }, step, unit: { loads } }: UnitInput): ReactionInput {
  return { filling, step, loads };
}

/** The server does it, however long it takes. */
async function runLong(input: UnitInput): Promise<UnitReport | "running"> {
  const run = new UnitRun(input);
  const { name, unit, openSession, leave, sleep, pollMs } = input;
  const job = jobOf(input);
  const [entry] = unit.entries;
  if (entry === undefined || run.isBlocked(entry)) return run.report();
  const question = isQuestion(input) ? await questionOf(run, input) : null;
  if (question === null && isQuestion(input)) return run.report();
  const { create, comment, label } = entry.statements;
  const around = reactionsTo(reacting(input));
  const statements = [...around.drop, ...create, ...comment, ...label, ...around.make];
  const work = question === null
    ? { ...job, name, statements }
    : { ...job, name, statements: [], query: question.query };
  const handed = handOver(work, {
    ...{ openSession, leave, sleep },
    ...(pollMs === undefined ? {} : { pollMs }),
  });
  const mark = await handed.catch((error) => {
    throw namedError(error, entry.identity);
  });
  if (mark === "running") return "running";
  if (mark.refusal !== null) run.refused(entry, mark);
  else question?.answer(mark.detail!).forEach((each) => run.differ(each));
  return { ...run.report(), bytes: unit.bytes };
}

/** Whether the unit makes nothing and only looks. */
function isQuestion({ step }: UnitInput): boolean {
  return step === "compare-rows" || step === "check-keys";
}

/** What a unit asks, and what the answer means; null when there is nothing to ask. */
async function questionOf(
  run: UnitRun,
  { step, unit: { loads }, jobId, withSession }: UnitInput,
): Promise<{ query: string; answer: (found: string) => (Difference | null)[] } | null> {
  if (step === "check-keys") {
    const query = await withSession((session) => filledKeysQuery(session, { loads, jobId }));
    return query === null ? null : { query, answer: brokenKeys };
  }
  const [group] = run.compared();
  if (group === undefined) return null;
  return { query: rowsQuery(group), answer: (found) => [compareFound(group, found)] };
}
