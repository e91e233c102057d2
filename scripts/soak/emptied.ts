/**
 * A live database whose tables are emptied, brought back under hosted limits by the trigger that a monitor
 * would post; and once more, when the first restore is lost half way with all that the tables of jobs knew.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { DatabaseError } from "../../supabase/functions/backup/postgres/database_error.ts";
import { quoteIdentifier } from "../../supabase/functions/backup/postgres/quote.ts";
import {
  readRestoreTraces,
  type RestoreTrace,
  traceInWords,
} from "../../supabase/functions/backup/postgres/restore_traces.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { createBank } from "./bank.ts";
import { databaseBytes } from "./consistency.ts";
import { type EndedJob, type HostedService, startHostedService } from "./hosted_service.ts";
import type { SoakServer } from "./soak_server.ts";

/** What to try. */
export interface EmptiedOptions extends Pick<SoakServer, "sourceUrl" | "targetUrl"> {
  /** Of the database in the server. */
  bytes: number;
  onStep?: (step: string) => void;
}

/** What came of it. */
export interface EmptiedReport {
  databaseBytes: number;
  recovery: EndedJob;
  /** What the trace said of the restore that was lost. */
  lost: string;
  /** The execution that completed it. */
  completion: EndedJob;
  peakMemoryBytes: number;
  problems: string[];
}

const TABLES = ["accounts", "transfers", "side", "altered", "versions", "history"];

/** Saves a bank, empties it and posts the trigger. */
export async function tryEmptied(options: EmptiedOptions): Promise<EmptiedReport> {
  const { bytes, onStep = () => {} } = options;
  const source = await connect({ url: options.sourceUrl });
  try {
    await createBank(source, { bytes });
    const size = await databaseBytes(source);
    await using service = await startHostedService(options);
    const backup = await service.run("backup-database");
    onStep(`the backup has ${backup.job.status}`);
    const before = await stateOf(source);
    await source.execute(`TRUNCATE ${TABLES.map(quoteIdentifier).join(", ")}`);
    onStep("the tables are emptied");
    const recovery = await service.run("disaster-recovery", TRIGGER);
    const problems = [...endOf(recovery), ...await otherThan(before, source)];
    await source.execute(`TRUNCATE ${TABLES.map(quoteIdentifier).join(", ")}`);
    const lost = await loseHalfWay(service, source);
    onStep(`a second one is lost: ${lost}`);
    if ((await otherThan(before, source)).length === 0) problems.push("it was lost too late");
    const completion = await service.run("disaster-recovery", TRIGGER);
    problems.push(...endOf(completion), ...await otherThan(before, source));
    const traces = await readRestoreTraces((sql) => source.query(sql));
    problems.push(...traces.map(traceInWords));
    const { peakMemoryBytes } = service.platform.figures();
    return { databaseBytes: size, recovery, lost, completion, peakMemoryBytes, problems };
  } finally {
    await source.close();
  }
}

const TRIGGER = { planId: "database_failure", trigger: "database_corruption" };

/** Parts of rows that are loaded before the restore is lost. */
const PARTS_BEFORE = 3;
const LOOK_MS = 100;
/** What runs at that moment goes on to its end. */
const PARTS_END_MS = 5000;

/** Posts the trigger, and forgets the jobs when some parts are loaded. What is left says of it. */
async function loseHalfWay(service: HostedService, source: Session): Promise<string> {
  const posted = service.call("disaster-recovery", { body: TRIGGER });
  for (let has = false;;) {
    const [trace] = await tracesOf(source);
    // One that is gone again was complete before anybody saw that it was far enough.
    if ((trace?.partsDone ?? 0) >= PARTS_BEFORE || (has && trace === undefined)) break;
    has ||= trace !== undefined;
    await pause(LOOK_MS);
  }
  await posted;
  await source.execute(`
    DELETE FROM backup_internal.job_parts; DELETE FROM backup_internal.job_runs;
    UPDATE public.restore_jobs SET status = 'failed' WHERE status = 'running';
    UPDATE public.disaster_recovery_executions SET status = 'failed' WHERE status = 'running'`);
  await pause(PARTS_END_MS);
  return (await tracesOf(source)).map(traceInWords).join();
}

/** While one is made or removed the table may come or go between two looks. */
async function tracesOf(source: Session): Promise<RestoreTrace[]> {
  try {
    return await readRestoreTraces((sql) => source.query(sql));
  } catch (error) {
    if (error instanceof DatabaseError && error.sqlState === "42P01") return [];
    throw error;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function endOf({ job: { status, error } }: EndedJob): string[] {
  return status === "completed" ? [] : [`it ended as ${status}: ${JSON.stringify(error)}`];
}

async function otherThan(before: Record<string, string>, source: Session): Promise<string[]> {
  const after = await stateOf(source);
  return TABLES.filter((table) => after[table] !== before[table])
    .map((table) => `${table} has ${after[table]}, not ${before[table]}`);
}

/** Rows of every table, and the sum of their hashes. */
async function stateOf(session: Session): Promise<Record<string, string>> {
  const state: Record<string, string> = {};
  for (const table of TABLES) {
    const [row] = await session.query(
      `SELECT count(*) || ' rows, ' || coalesce(sum(hashtextextended(t::text, 0)), 0) AS state
         FROM ${quoteIdentifier(table)} t`,
    );
    state[table] = row!.state;
  }
  return state;
}
