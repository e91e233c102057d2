/**
 * Two processes at one job at the same moment: each holds a part of its own, and what comes out is whole.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { databaseState } from "../support/database_state.ts";
import { DUMP_OF_PUBLIC } from "../support/kept_backup.ts";
import { partBackup } from "../support/part_backup.ts";
import { beginRestore } from "../support/restore_job.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";
import { startWorker } from "../support/worker_process.ts";

const SAMPLE = `
  create table notes (id int primary key, body text);
  insert into notes select i, repeat(md5(i::text), 30) from generate_series(1, 600) i;
  create table people (id int primary key, note int references notes, name text);
  insert into people select i, i, repeat(md5('p' || i), 30) from generate_series(1, 600) i;
  create index on people (name);
`;

/** A lease that no test outlasts, and patience with what the other process holds. */
const [LEASE_MS, PATIENCE_MS] = ["15000", "30000"];

/**
 * Lets two processes do a job. Each stands still in the middle of rows until both do; then the tables must say
 * that each holds a part of its own. Both then go on to the job's end.
 */
async function workTogether(
  url: string,
  { directory, jobId, rows, more = [] }: {
    directory: string;
    jobId: string;
    /** Name of the parts that they stand in. */
    rows: string;
    /** Further arguments of a worker. */
    more?: string[];
  },
): Promise<void> {
  const args = [url, directory, jobId, LEASE_MS, PATIENCE_MS, ...more];
  const workers = [startWorker(args), startWorker(args)];
  const lines = await Promise.all(workers.map((worker) => worker.line()));
  assert.deepEqual(lines, ["inside", "inside"]);
  const session = await connect({ url });
  const held = await session.query(
    `select part, name, worker, attempt from backup_internal.job_parts
      where job_id = $1 and state = 'waiting' and lease_until > clock_timestamp()`,
    [jobId],
  ).finally(() => session.close());
  assert.deepEqual(held.map(({ name, attempt }) => [name, attempt]), [[rows, 1], [rows, 1]]);
  assert.equal(new Set(held.map(({ part }) => part)).size, 2);
  assert.equal(new Set(held.map(({ worker }) => worker)).size, 2);
  await Promise.all(workers.map((worker) => worker.goOn()));
  for (const worker of workers) {
    const reports: string[] = JSON.parse(await worker.line());
    assert.deepEqual([...new Set(reports)], ["recorded"], String(reports));
    assert.ok((await worker.child.status).success);
  }
}

Deno.test("two processes that hold parts of one backup at the same moment make it whole", async () => {
  await using database = await temporaryDatabase("t_processes");
  await runSql(database.url, SAMPLE);
  const directory = await Deno.makeTempDir({ prefix: "supabase-backup-processes-" });
  try {
    await using backup = await partBackup(database.url, { storage: localStorage(directory) });
    const jobId = await backup.begin();
    await workTogether(database.url, { directory, jobId, rows: "copying-rows" });
    await backup.expectSaved(jobId);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("two processes that hold parts of one restore at the same moment restore what was saved", async () => {
  await using source = await temporaryDatabase("t_processes");
  await using target = await temporaryDatabase("t_processes_target");
  await using tables = await temporaryDatabase("t_processes_tables");
  await runSql(source.url, SAMPLE);
  const directory = await Deno.makeTempDir({ prefix: "supabase-backup-processes-" });
  const state = new State(new Secret(tables.url));
  try {
    await state.migrate();
    await backupDatabase({
      connect: () => connect({ url: source.url }),
      repository: await createRepository({ storage: localStorage(directory), key: null }),
      request: {
        ...{ origin: "manual", dump: DUMP_OF_PUBLIC },
        limits: { partBytes: 65_536, maxPartBytes: 262_144 },
      },
      ...{ clock: systemClock, writtenBy: "test" },
    });
    const jobId = await beginRestore(state);
    await workTogether(tables.url, {
      ...{ directory, jobId, rows: "loading-rows", more: [target.url] },
    });
    const ended = await state.jobs.get(jobId, "restore");
    assert.deepEqual([ended?.status, ended?.error], ["completed", null]);
    assert.deepEqual(
      await databaseState(target.url, DUMP_OF_PUBLIC),
      await databaseState(source.url, DUMP_OF_PUBLIC),
    );
  } finally {
    await state.close();
    await Deno.remove(directory, { recursive: true });
  }
});
