/**
 * How the server answers the SQL functions when there are many jobs: the plans that it really made, read from
 * auto_explain, which shows the queries inside of functions too.
 *
 * @module
 */
import assert from "node:assert/strict";
import postgres from "postgres";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

/** So many that the server plans as for a million; each type and state has its share. */
const JOBS = 60_000;

const MANY_JOBS = `
  insert into public.backup_jobs
    (job_id, type, status, started_at, completed_at, location, integrity_verified, last_tested)
  select 'b' || i, (array['database', 'function', 'config', 'secrets', 'files'])[1 + i % 5],
    (array['completed', 'completed', 'failed'])[1 + (i / 5) % 3], t, t + interval '1 minute', 's3://b',
    case when i % 1000 = 0 then false end, case when i % 500 = 0 then t end
  from (select i, now() - i * interval '1 minute' as t from generate_series(1, ${JOBS}) i) s;
  insert into public.restore_jobs (job_id, backup_id, type, status, started_at, completed_at)
  select 'r' || i, 'b1', (array['database', 'function', 'config', 'secrets', 'files'])[1 + i % 5],
    (array['completed', 'failed'])[1 + (i / 5) % 2], now() - i * interval '10 minutes', now()
  from generate_series(1, ${JOBS / 6}) i;
  insert into public.backup_verification (backup_id, verification_type, success, verification_date)
  select 'b' || i, 'existence', true, now() - i * interval '1 minute'
  from generate_series(1, ${JOBS / 6}) i;
  insert into public.backup_tests (backup_id, test_type, success, started_at, completed_at)
  select 'b' || i, 'restore_test', true, now(), now() from generate_series(1, ${JOBS / 60}) i;
  analyze`;

/** What the server knows of a table that it looked at while one long transaction filled it. */
const BELIEVED_EMPTY = ` -- believed empty
  update pg_class set reltuples = 0 where relname in ('backup_jobs', 'restore_jobs')`;

/** What it knows of a table that nobody has analyzed yet. */
const NEVER_LOOKED_AT = ` -- never looked at
  delete from pg_statistic where starelid in ('public.backup_jobs'::regclass, 'public.restore_jobs'::regclass);
  update pg_class set reltuples = -1, relpages = 0 where relname in ('backup_jobs', 'restore_jobs')`;

const EXPLAIN = `
  load 'auto_explain';
  set auto_explain.log_min_duration = 0;
  set auto_explain.log_nested_statements = on;
  set auto_explain.log_format = json;
  set auto_explain.log_level = notice`;

/** A node of a plan. */
interface Node {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  Plans?: Node[];
}

/** Tables that grow with the jobs: nobody may read them from end to end. */
const GROWING = ["backup_jobs", "restore_jobs", "backup_verification", "backup_tests"];

const NEWEST = ["backup_jobs_newest_idx", "backup_jobs_started_at_idx"];

/** What is asked, and the indexes that answer it. */
const ASKED: readonly [query: string, indexes: readonly string[]][] = [
  ["select * from public.get_backup_statistics(30)", NEWEST],
  ["select * from public.get_restore_statistics(30)", [
    "restore_jobs_newest_idx",
    "restore_jobs_started_at_idx",
  ]],
  ["select * from public.get_backup_dashboard()", [
    "backup_jobs_damaged_idx",
    "backup_jobs_last_tested_idx",
    ...NEWEST,
    "backup_jobs_status_idx",
    "backup_verification_date_idx",
    "restore_jobs_status_idx",
  ]],
  ["select public.create_manual_backup('before a change', 'ada')", ["backup_jobs_status_idx"]],
  ["select public.test_backup_restoration('b5')", [
    "backup_jobs_job_id_key",
    "backup_tests_backup_id_idx",
  ]],
];

Deno.test("with many jobs the SQL functions read them by the indexes made for that, and never from end to end", async () => {
  await using database = await temporaryDatabase("sql_plans");
  const state = new State(new Secret(database.url));
  await state.migrate();
  await state.close();
  const told: string[] = [];
  const sql = postgres(database.url, { max: 1, onnotice: ({ message }) => told.push(message!) });
  try {
    await sql.unsafe(MANY_JOBS);
    const [counts] = await sql.unsafe(
      "select count(*)::integer as rows from backup_internal.job_days",
    );
    assert.ok(counts?.rows < JOBS / 20, `${counts?.rows} rows of counts`);
    await sql.unsafe(EXPLAIN);
    for (const believed of ["", BELIEVED_EMPTY, NEVER_LOOKED_AT]) {
      await sql.unsafe(believed);
      for (const [query, indexes] of ASKED) {
        told.length = 0;
        await sql.unsafe(query);
        const nodes = told.filter((text) => text.includes("plan:"))
          .flatMap((text) => nodesOf(JSON.parse(text.slice(text.indexOf("{"))).Plan));
        const whole = nodes.filter((node) => node["Node Type"] === "Seq Scan")
          .map((node) => node["Relation Name"]!);
        const about = `${query}${believed}`;
        assert.deepEqual(whole.filter((name) => GROWING.includes(name)), [], about);
        const used = new Set(nodes.map((node) => node["Index Name"]));
        assert.deepEqual(indexes.filter((name) => !used.has(name)), [], `${about}: unused`);
      }
    }
  } finally {
    await sql.end();
  }
});

/** The node and all below it. */
function nodesOf(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}
