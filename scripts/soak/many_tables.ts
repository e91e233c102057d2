/**
 * A schema of very many tables, saved and restored under hosted limits.
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
  onStep?: (step: string) => void;
}

/** What came of it. */
export interface ManyTablesReport {
  /** Entries of the backup. */
  entries: number;
  backup: EndedJob;
  /** Null when there was no backup to restore. */
  restore: EndedJob | null;
  /** Of the backup's workers; a later restore may have larger ones, which `peakMemoryBytes` has. */
  backupMemoryBytes: number;
  peakMemoryBytes: number;
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
    const backup = await service.run("backup-database");
    onStep(`the backup has ${backup.job.status}`);
    const backupMemoryBytes = service.platform.figures().peakMemoryBytes;
    let restore: EndedJob | null = null;
    if (backup.job.status !== "completed") problems.push(failureOf("backup", backup));
    else {
      const { problems: found } = await service.verify();
      problems.push(...found.map((problem) => JSON.stringify(problem)));
      restore = await service.run("restore", {
        ...{ backupId: "latest", type: "database", mode: "empty" },
        targetDatabaseUrl: "env:BACKUP_SOAK_TARGET_URL",
      });
      if (restore.job.status !== "completed") problems.push(failureOf("restore", restore));
      else problems.push(...await audit(options));
    }
    const { totals } = (backup.job.result ?? {}) as { totals?: { entries: number } };
    const { peakMemoryBytes } = service.platform.figures();
    const entries = totals?.entries ?? 0;
    return { entries, backup, restore, backupMemoryBytes, peakMemoryBytes, problems };
  } finally {
    await source.close();
  }
}

/** Each with an identity, a default, a check, two indexes and a foreign key to the one before. */
async function makeTables(session: Session, tables: number): Promise<void> {
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

/** That the target has what the source has, counted by the server; and one row of the last table. */
async function audit({ targetUrl, tables }: ManyTablesOptions): Promise<string[]> {
  const target = await connect({ url: targetUrl });
  try {
    const [found] = await target.query(`
      SELECT (SELECT count(*)::int FROM pg_class WHERE relkind = 'r' AND oid >= 16384
                AND relnamespace = 'public'::regnamespace) AS tables,
             (SELECT count(*)::int FROM pg_constraint WHERE contype = 'f') AS keys,
             (SELECT name FROM t${tables}) AS name`);
    const expected = { tables, keys: tables, name: `row of ${tables}` };
    const isSame = JSON.stringify(found) === JSON.stringify(expected);
    return isSame ? [] : [`the target has ${JSON.stringify(found)}`];
  } finally {
    await target.close();
  }
}

function failureOf(name: string, { job }: EndedJob): string {
  return `the ${name} ended as ${job.status}: ${JSON.stringify(job.error)}`;
}
