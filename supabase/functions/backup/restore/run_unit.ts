/**
 * Does one unit of a restore into an empty database, once: the unit's mark commits with its work, and
 * holds its report for whoever comes after a worker that died before it could tell.
 *
 * A unit runs in one transaction, which is quick. When something in it fails, it runs again piece by
 * piece, so that a failure stops only what needs it.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import { brokenKeys, filledKeysQuery } from "./check_foreign_keys.ts";
import type { Difference } from "./compare_models.ts";
import { compareFound, rowsQuery } from "./compare_rows.ts";
import { concernsOneObject, mayPass } from "./failures.ts";
import { handOver } from "./hand_over.ts";
import { lockMark, type MarkedJob, markStatement, readMark } from "./restore_marks.ts";
import { namedError } from "./run_statements.ts";
import type { UnitReport } from "./unit_report.ts";
import { type UnitInput, UnitRun } from "./unit_run.ts";
import { type ReactionInput, reactionsTo, withoutReactions } from "./without_reactions.ts";

/**
 * Does the unit, or finds that it is done.
 *
 * @returns its report; `running` when the server goes on with it after the worker has left
 * @throws {BackupError} what concerns more than one object: a lost connection, a full disk; `interrupted`
 * when the plan is not in force any more
 */
export async function runUnit(input: UnitInput): Promise<UnitReport | "running"> {
  if (input.unit.isLong) return await runLong(input);
  return await input.withSession(async (session) =>
    await runAtOnce(session, input) ?? await runInPieces(session, input)
  );
}

/** Null when an object in the unit fails: nothing of it is done then. */
async function runAtOnce(session: Session, input: UnitInput): Promise<UnitReport | null> {
  const run = new UnitRun(input);
  try {
    await session.execute("BEGIN");
    const done = await readReport(session, input);
    if (done !== null) {
      await session.execute("COMMIT");
      return done;
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

/** Each piece has a transaction and a mark of its own, which holds what it found. */
async function runInPieces(session: Session, input: UnitInput): Promise<UnitReport> {
  const run = new UnitRun(input);
  const { failures } = run;
  const alone = async (name: string, work: () => Promise<void>) => {
    const before = run.takeFound();
    try {
      await session.execute("BEGIN");
      await lockMark(session, input);
      const mark = await readMark(session, { ...jobOf(input), name });
      if (mark !== null) {
        run.addFound(JSON.parse(mark.detail!));
        await session.execute("COMMIT");
        return;
      }
      await withoutReactions(session, reacting(input), work);
      const found = run.takeFound();
      const done = markStatement(input.jobId, name, JSON.stringify(found));
      await session.execute(`${run.takeLoaded()}${done}; COMMIT`);
      run.addFound(found);
    } catch (error) {
      run.takeFound();
      run.takeLoaded();
      if (session.inTransaction) await session.execute("ROLLBACK");
      throw error;
    } finally {
      run.addFound(before);
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
  await session.execute("BEGIN");
  const done = await readReport(session, input);
  await session.execute(done === null ? `${markOf(input, report)}; COMMIT` : "COMMIT");
  return done ?? report;
}

/**
 * The report of a unit that is done. A worker that is gone may still have a backend at work: that ends
 * before this answers, and no other one begins before the transaction ends.
 */
async function readReport(session: Session, input: UnitInput): Promise<UnitReport | null> {
  await lockMark(session, input);
  const mark = await readMark(session, { ...jobOf(input), name: input.name });
  return mark === null ? null : JSON.parse(mark.detail!);
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
