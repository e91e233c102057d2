/**
 * A schema of very many tables, saved and restored under hosted limits: into an empty database, and over the
 * live one when its tables are emptied.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { type EndedJob, startHostedService } from "./hosted_service.ts";
import type { SoakServer } from "./soak_server.ts";

/** What to try. */
export interface ManyTablesOptions extends Pick<SoakServer, "sourceUrl" | "targetUrl"> {
  tables: number;
  /** Whether the saved database is emptied, too, and restored where it stands. */
  emptied: boolean;
  onStep?: (step: string) => void;
}

/** What came of it. */
export interface ManyTablesReport {
  /** Entries of the backup. */
  entries: number;
  backup: EndedJob;
  /** Null when there was no backup to restore. */
  restore: EndedJob | null;
  /** Null when it was not asked for. */
  emptied: EndedJob | null;
  /** Of all workers up to the end of each job. */
  peaks: number[];
  problems: string[];
}

/** Tables to one transaction: each takes some locks of the server. */
const BATCH = 200;

/** Saves and restores so many tables. */
export async function tryManyTables(options: ManyTablesOptions): Promise<ManyTablesReport> {
  const { tables, onStep = () => {} } = options;
  const source = await connect({ url: options.sourceUrl });
  const problems: string[] = [];
  try {
    await makeTables(source, tables);
    onStep(`${tables} tables are made`);
    await using service = await startHostedService(options);
    const peaks: number[] = [];
    const run = async (...[action, body]: Parameters<typeof service.run>) => {
      const ended = await service.run(action, body);
      peaks.push(service.platform.figures().peakMemoryBytes);
      onStep(`${action} has ${ended.job.status}`);
      if (ended.job.status !== "completed") problems.push(failureOf(action, ended));
      return ended;
    };
    const backup = await run("backup-database");
    const { totals } = (backup.job.result ?? {}) as { totals?: { entries: number } };
    const report: ManyTablesReport = {
      ...{ entries: totals?.entries ?? 0, backup, restore: null, emptied: null, peaks, problems },
    };
    if (problems.length > 0) return report;
    const { problems: found } = await service.verify();
    problems.push(...found.map((problem) => JSON.stringify(problem)));
    const body = { backupId: "latest", type: "database" };
    const targetDatabaseUrl = "env:BACKUP_SOAK_TARGET_URL";
    report.restore = await run("restore", { ...body, mode: "empty", targetDatabaseUrl });
    problems.push(...await audit(options.targetUrl, tables));
    if (!options.emptied) return report;
    // By name, because the server needs minutes to follow so many foreign keys.
    const names = Array.from({ length: tables }, (_, at) => `t${at + 1}`);
    await source.execute(`TRUNCATE ${names.join(", ")}`);
    onStep("the tables are emptied");
    report.emptied = await run("restore", { ...body, mode: "over" });
    problems.push(...await audit(options.sourceUrl, tables));
    return report;
  } finally {
    await source.close();
  }
}

/** Each with an identity, a default, a check, two indexes and a foreign key to the one before. */
export async function makeTables(session: Session, tables: number): Promise<void> {
  await session.execute("SET synchronous_commit = off");
  for (let from = 1; from <= tables; from += BATCH) {
    await session.execute(`
      DO $$ BEGIN FOR i IN ${from}..${Math.min(from + BATCH - 1, tables)} LOOP
        EXECUTE format('CREATE TABLE t%s (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
          name text DEFAULT ''x'', parent bigint REFERENCES t%s,
          CONSTRAINT c%1$s CHECK (length(name) < 100))', i, greatest(i - 1, 1));
        EXECUTE format('CREATE INDEX ON t%s (name)', i);
        EXECUTE format('INSERT INTO t%s (name, parent) VALUES (''row of %1$s'', 1)', i);
      END LOOP; END $$`);
  }
}

/** That a database has what was saved, counted by the server; and one row of the last table. */
async function audit(url: string, tables: number): Promise<string[]> {
  const session = await connect({ url });
  try {
    const [found] = await session.query(`
      WITH made AS (SELECT oid FROM pg_class WHERE relkind = 'r'
                       AND relnamespace = 'public'::regnamespace AND relname ~ '^t[0-9]+$')
      SELECT (SELECT count(*)::int FROM made) AS tables,
             (SELECT count(*)::int FROM pg_constraint JOIN made ON made.oid = conrelid
               WHERE contype = 'f') AS keys,
             (SELECT sum((xpath('/row/n/text()', query_to_xml(
                       format('SELECT count(*) AS n FROM %s', oid::regclass), false, true, '')
                     ))[1]::text::int)::int FROM made) AS rows,
             (SELECT name FROM t${tables}) AS name`);
    const expected = { tables, keys: tables, rows: tables, name: `row of ${tables}` };
    const isSame = JSON.stringify(found) === JSON.stringify(expected);
    return isSame ? [] : [`the database has ${JSON.stringify(found)}`];
  } finally {
    await session.close();
  }
}

function failureOf(name: string, { job }: EndedJob): string {
  return `the ${name} ended as ${job.status}: ${JSON.stringify(job.error)}`;
}
