import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { PartTables } from "../../supabase/functions/backup/state/part_tables.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { testPartStore } from "../support/part_store_suite.ts";
import { testServer } from "../support/servers.ts";

const DATABASE = "e_part_tables";

/** The service's tables in a database of their own, made once and emptied for each test. */
let made: Promise<Secret> | undefined;

async function make(): Promise<Secret> {
  const server = await testServer(17);
  const session = await connect({ url: new Secret(server.url()) });
  await session.execute(`drop database if exists ${DATABASE} with (force)`);
  // Not UTF-8: what the tables hold must not depend on it.
  await session.execute(
    `create database ${DATABASE} template template0 encoding latin1 locale 'C'`,
  );
  await session.close();
  const url = new Secret(server.url(DATABASE));
  const state = new State(url);
  await state.migrate();
  await state.migrate();
  await state.close();
  return url;
}

async function open() {
  const url = await (made ??= make());
  const state = new State(url);
  await state.database.run("empty the tables", (sql) =>
    sql`
      truncate backup_internal.job_runs, backup_internal.job_parts, backup_internal.verify_jobs,
        public.backup_jobs, public.restore_jobs`);
  let aheadMs = 0;
  const store = new PartTables(state.database, { aheadMs: () => aheadMs });
  return {
    state,
    store,
    advance: (ms: number) => void (aheadMs += ms),
    job: (jobId: string, kind: "backup" | "restore" | "verify") => state.jobs.get(jobId, kind),
    [Symbol.asyncDispose]: () => state.close(),
  };
}

testPartStore("tables", open);

Deno.test("tables: nothing of them is for anybody else", async () => {
  await using tested = await open();
  const rows = await tested.state.database.run("look", (sql) =>
    sql`
      select relname, relrowsecurity, relacl::text as rights from pg_catalog.pg_class
       where relname in ('job_runs', 'job_parts') and relkind = 'r'`);
  assert.equal(rows.length, 2);
  for (const row of rows) {
    assert.equal(row.relrowsecurity, true);
    assert.ok(row.rights === null || /^\{postgres=[a-zA-Z]+\/postgres\}$/.test(row.rights));
  }
});

Deno.test("tables: the database of the tests is taken away", async () => {
  const server = await testServer(17);
  const session = await connect({ url: new Secret(server.url()) });
  await session.execute(`drop database if exists ${DATABASE} with (force)`);
  await session.close();
});
