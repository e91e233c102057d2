/**
 * Jobs of a real pg_cron: as rows of the extension's table in profile `plain`, as pg_dump saves them, and
 * as calls of its functions in profile `supabase`.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { EmbeddedPostgres } from "../../scripts/embedded_postgres.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Row } from "../../supabase/functions/backup/postgres/session.ts";
import { DEBIAN_REASON, debianServer, hasDebianServer } from "../support/debian_server.ts";
import { backupInMemory } from "../support/memory_backup.ts";
import { restoreBackup } from "../support/restore_backup.ts";

const possible = hasDebianServer(["pg_cron"]);
const reason = possible ? "" : ` (skipped: ${DEBIAN_REASON} and postgresql-15-cron)`;

/** Jobs of two users, with one name, without names, inactive, hard to quote; none is ever due here. */
const SAMPLE = `
  create extension pg_cron;
  create role c_worker login;
  grant usage on schema cron to c_worker;
  select cron.schedule('mine', '0 0 1 1 *', 'select 1');
  select cron.schedule('0 0 1 2 *', 'select 2 -- it''s nameless');
  select cron.schedule('0 0 1 2 *', 'select 3');
  select cron.schedule(E'quoted "''\\\\ name', '0 0 1 3 *', E'select 4;\\n select ''x''');
  select cron.schedule('asleep', '0 0 1 4 *', 'select 5');
  select cron.alter_job((select jobid from cron.job where jobname = 'asleep'), active := false);
  set role c_worker;
  select cron.schedule('mine', '0 0 2 1 *', 'select 6');
  select cron.schedule('0 0 2 2 *', 'select 7');
  reset role;
`;

const ELSEWHERE =
  "select cron.schedule_in_database('elsewhere', '0 0 3 1 *', 'select 8', 'postgres')";

const JOBS = `
  select jobname, schedule, command, username, database, active from cron.job order by schedule, command`;

/** A server whose pg_cron has its jobs in database `app`. */
async function cronServer(): Promise<EmbeddedPostgres> {
  const server = await debianServer({
    preload: ["pg_cron"],
    settings: { "cron.database_name": "app" },
  });
  await run(server!.url(), "create database app");
  return server!;
}

async function run(url: string, sql: string): Promise<Row[]> {
  const session = await connect({ url });
  try {
    if (sql.trimStart().startsWith("select jobname")) return await session.query(sql);
    await session.execute(sql);
    return [];
  } finally {
    await session.close();
  }
}

Deno.test({
  name: `jobs of pg_cron are restored with their users, names and states${reason}`,
  ignore: !possible,
  async fn() {
    await using source = await cronServer();
    await run(source.url("app"), SAMPLE);
    const jobs = await run(source.url("app"), JOBS);
    assert.equal(jobs.length, 7);
    await run(source.url("app"), ELSEWHERE);

    for (const profile of ["plain", "supabase"] as const) {
      const backup = await backupInMemory(source.url("app"), { profile });
      await using target = await cronServer();
      const url = target.url("app");
      await restoreBackup(backup, url);
      // In rows comes every job, also those of other databases, as with pg_dump.
      const all = await run(source.url("app"), JOBS);
      const expected = profile === "plain" ? all : jobs;
      assert.deepEqual(await run(url, JOBS), expected, profile);

      await run(
        url,
        `select cron.unschedule('asleep');
         delete from cron.job where command = 'select 3';
         update cron.job set command = 'changed', active = false where jobname = 'mine';`,
      );
      const over = await restoreBackup(backup, url);
      assert.equal(over.plan.mode, "over");
      assert.deepEqual(await run(url, JOBS), expected, `${profile}, over the live database`);
    }
  },
});

Deno.test({
  name: `a backup of a project names the jobs of pg_cron that run in other databases${reason}`,
  ignore: !possible,
  async fn() {
    await using source = await cronServer();
    await run(source.url("app"), `create extension pg_cron; ${ELSEWHERE}`);
    const { facts, remarks } = await backupInMemory(source.url("app"), { profile: "supabase" });
    assert.ok(!facts.entries.some((entry) => entry.kind === "cron-job"));
    assert.match(remarks.join("\n"), /Job 'elsewhere' of pg_cron .* runs in another database/);
  },
});
