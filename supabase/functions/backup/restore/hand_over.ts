/**
 * Statements that may take longer than a worker lives: they are handed to the server, which finishes
 * them on its own, and whoever comes later finds them running or finds their mark.
 *
 * A backend does not end with its client: it goes on until it has something to tell. So the work is one
 * DO block that does the work, catches a refusal, and marks either in the same transaction; a worker
 * that has to leave closes its connection without a word. An advisory lock of that transaction makes
 * sure that the same work never runs twice at a time.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { leaseLost } from "../core/part_errors.ts";
import { quoteLiteral } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import {
  type MarkedJob,
  MARKS_TABLE,
  NOT_IN_FORCE,
  readMark,
  requireInForce,
  type RestoreMark,
} from "./restore_marks.ts";

/** Work for the server. */
export interface HandedWork extends MarkedJob {
  /** Name of its mark, unique within the job. */
  name: string;
  statements: readonly string[];
  /** A query of one text value, kept as the mark's detail. */
  query?: string;
}

/** How {@linkcode handOver} works. */
export interface HandOverOptions {
  /** Opens a session with the settings that the work needs; it is closed here. */
  openSession: () => Promise<Session>;
  /** Aborted when the worker has to leave: the server then works on alone. */
  leave: AbortSignal;
  /** Waits between two looks at work that another worker handed over. */
  sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** @default 1000 */
  pollMs?: number;
}

/** Said by the block when another backend does the same work. */
const BUSY_STATE = "BKBSY";

/**
 * Does the work, or waits for the backend that does it already.
 *
 * @returns the mark, or `running` when the worker had to leave before the end
 * @throws {BackupError} what the server reports that may be better next time: no room, a deadlock, a
 * lost connection; `interrupted` when the job's plan is not in force any more
 */
export async function handOver(
  work: HandedWork,
  options: HandOverOptions,
): Promise<RestoreMark | "running"> {
  const watch = await options.openSession();
  try {
    while (true) {
      const mark = await readMark(watch, work);
      if (mark !== null) return mark;
      if (options.leave.aborted) return "running";
      const how = await runHere(work, options);
      if (how === "left") return "running";
      if (how === "busy") await pause(options);
    }
  } finally {
    await watch.close();
  }
}

async function runHere(
  work: HandedWork,
  options: HandOverOptions,
): Promise<"done" | "busy" | "left"> {
  const session = await options.openSession();
  const left = Promise.withResolvers<"left">();
  const onLeave = () => left.resolve("left");
  options.leave.addEventListener("abort", onLeave, { once: true });
  const run = runBlock(session, work);
  try {
    return await Promise.race([run, left.promise]);
  } finally {
    options.leave.removeEventListener("abort", onLeave);
    // Closing is not cancelling. What the connection says about it is not the work's failure.
    run.catch(() => {});
    await session.close();
  }
}

async function runBlock(session: Session, work: HandedWork): Promise<"done" | "busy"> {
  // A notice would be sent at once, and the server would learn from it that nobody listens.
  await session.execute(
    "SET client_min_messages = error; SET client_connection_check_interval = 0; " +
      `SET application_name = ${quoteLiteral(nameOfWork(work.jobId))}`,
  );
  try {
    await session.execute(blockOf(work));
    return "done";
  } catch (error) {
    const state = sqlStateOf(error);
    if (state === BUSY_STATE) return "busy";
    throw state === NOT_IN_FORCE ? leaseLost(work.name) : error;
  }
}

/** `application_name` by which the backends that work for a job are found; the server keeps 63 bytes. */
export function nameOfWork(jobId: string): string {
  return `backup ${jobId}`.slice(0, 63);
}

/** Ends what the server still does for a job, when nobody wants it any more. */
export async function cancelHanded(session: Session, jobId: string): Promise<void> {
  await session.query(
    `select pg_catalog.pg_cancel_backend(pid) from pg_catalog.pg_stat_activity
      where application_name = $1 and datname = pg_catalog.current_database()
        and pid <> pg_catalog.pg_backend_pid() and state = 'active'`,
    [nameOfWork(jobId)],
  );
}

/** Refusals of these classes may be better next time, so they are not marked. */
const PASSING = "^(08|40|53|55P03|57|58)";

function blockOf(work: HandedWork): string {
  const key = `pg_catalog.hashtextextended(${quoteLiteral(`${work.jobId} ${work.name}`)}, 7)`;
  const job = quoteLiteral(work.jobId);
  const name = quoteLiteral(work.name);
  const body = `
declare
  found_detail text;
  state text;
  said text;
begin
  if not pg_catalog.pg_try_advisory_xact_lock(${key}) then
    raise exception using errcode = '${BUSY_STATE}', message = 'another backend does this';
  end if;
  if exists (select from ${MARKS_TABLE} where job_id = ${job} and name = ${name}) then
    return;
  end if;${requireInForce(work)}
  begin
    ${work.statements.map((sql) => `execute ${quoteLiteral(sql)};`).join("\n    ")}
    ${work.query === undefined ? "" : `execute ${quoteLiteral(work.query)} into found_detail;`}
  exception when others then
    get stacked diagnostics state = returned_sqlstate, said = message_text;
    if state ~ '${PASSING}' then raise; end if;
  end;
  insert into ${MARKS_TABLE} (job_id, name, detail, sql_state, message)
  values (${job}, ${name}, found_detail, state, said);
end`;
  return `DO ${quoteLiteral(body)}`;
}

function sqlStateOf(error: unknown): string | null {
  return error instanceof BackupError && "sqlState" in error ? String(error.sqlState) : null;
}

async function pause({ sleep, pollMs = 1000, leave }: HandOverOptions): Promise<void> {
  try {
    await sleep(pollMs, leave);
  } catch (error) {
    if (!leave.aborted) throw error;
  }
}
