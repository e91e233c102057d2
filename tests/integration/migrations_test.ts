/**
 * The service's own tables: made once, twice, by several at once, and from each earlier release.
 *
 * `UPDATE_SCHEMA=1` writes the golden schema anew.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { applyMigrations } from "../../supabase/functions/backup/state/apply_migrations.ts";
import { MIGRATIONS } from "../../supabase/functions/backup/state/migrations.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { schemaText } from "../support/schema_text.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const FOLDER = new URL("../../supabase/migrations/", import.meta.url);
const GOLDEN = new URL("../fixtures/service_schema.txt", import.meta.url);
const VERSIONS = MIGRATIONS.map(({ version }) => version);

/** An empty database, a session on it and the service's state in it. */
async function open(options: { major?: 15 | 17 } = {}) {
  const database = await temporaryDatabase("ts_migrations", options);
  const session = await connect({ url: database.url });
  const state = new State(new Secret(database.url));
  return {
    session,
    state,
    url: database.url,
    async [Symbol.asyncDispose]() {
      await session.close();
      await state.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

Deno.test("supabase/migrations holds exactly the text that init applies", async () => {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) files.push(name);
  assert.deepEqual(files.sort(), MIGRATIONS.map(({ version, name }) => `${version}_${name}.sql`));
  for (const { version, name, sql } of MIGRATIONS) {
    const file = await Deno.readTextFile(new URL(`${version}_${name}.sql`, FOLDER));
    assert.equal(file, sql, `run: deno task migrations`);
  }
});

for (const major of [15, 17] as const) {
  Deno.test(`on PostgreSQL ${major} the tables are those of the golden schema, made once or twice`, async () => {
    await using made = await open({ major });
    assert.deepEqual(await made.state.migrate(), { applied: VERSIONS, present: [] });
    const text = await schemaText(made.session);
    if (Deno.env.get("UPDATE_SCHEMA") === "1") await Deno.writeTextFile(GOLDEN, text);
    assert.equal(text, await Deno.readTextFile(GOLDEN), "see the head of this file");
    for (const { sql } of MIGRATIONS) await made.session.execute(sql);
    assert.equal(await schemaText(made.session), text);
    assert.deepEqual(await made.state.migrate(), { applied: [], present: VERSIONS });
  });
}

Deno.test("several callers at once make the tables once", async () => {
  await using made = await open();
  const others = [1, 2, 3].map(() => new State(new Secret(made.url)));
  try {
    const reports = await Promise.all(others.map((state) => state.migrate()));
    assert.deepEqual(reports.map(({ applied }) => applied.length).sort(), [0, 0, VERSIONS.length]);
    assert.equal(await schemaText(made.session), await Deno.readTextFile(GOLDEN));
  } finally {
    for (const state of others) await state.close();
  }
});

/** Rows of each release, by how many migrations it has. A job runs. */
const ROWS: readonly (readonly string[])[] = [
  [],
  [
    `insert into public.backup_config (config_key, config_value) values ('maxWorkers', '3')`,
    `insert into public.backup_jobs (job_id, type, status, completed_at, size_bytes, location, metadata) values
       ('done', 'database', 'completed', now(), 12345, 's3://b', '{"result": {"a": 1}}'),
       ('failed', 'files', 'failed', now(), null, null, '{}'), ('runs', 'database', 'running', null, null, null, '{}')`,
    `insert into public.restore_jobs (job_id, backup_id, type, status) values ('back', 'done', 'database', 'running')`,
    `insert into public.backup_audit_log (action, outcome) values ('init', 'completed')`,
    `insert into backup_internal.verify_jobs (job_id, type, status) values ('read', 'database', 'completed')`,
    `insert into backup_internal.config_versions (version, settings) values (1, '{"maxWorkers": 3}')`,
  ],
  [
    `insert into backup_internal.job_runs (job_id, kind, request, first_parts, max_workers, max_attempts, max_rounds)
       values ('runs', 'backup', '{}', '[]', 4, 8, 5)`,
    `insert into backup_internal.job_parts (job_id, part, round, step, name, payload, worker, token, lease_until)
       values ('runs', 1, 1, 0, 'reading', 'null', 'w', nextval('backup_internal.lease_tokens'), now() + interval '1 minute')`,
  ],
  [
    `insert into public.disaster_recovery_plans (plan_id, name, priority, steps) values ('p', 'P', 'low', '[]')`,
    `insert into public.disaster_recovery_executions (execution_id, plan_id, trigger, status) values ('e', 'p', 't', 'running')`,
    `insert into public.recovery_points (point_id, recovery_timestamp) values ('point', now())`,
    `insert into public.backup_tests (backup_id, test_type) values ('done', 'restore_test')`,
    `insert into public.backup_verification (backup_id, verification_type, success) values ('done', 'existence', true)`,
    `insert into backup_internal.alerts (incident_id, alert_key) values ('i', 'k')`,
  ],
  [],
];

Deno.test("each earlier release's tables are brought along with all their rows, a job running", async () => {
  await using made = await open();
  const { session, state } = made;
  for (let count = 0; count < MIGRATIONS.length; count++) {
    await dropAll(session);
    for (const { sql } of MIGRATIONS.slice(0, count)) await session.execute(sql);
    const statements = ROWS.slice(0, count + 1).flat();
    for (const statement of statements) await session.execute(statement);
    const before = await rowsOf(session);
    assert.equal(before.size >= statements.length, true);

    const { applied, present } = await state.migrate();
    assert.deepEqual([present, applied], [VERSIONS.slice(0, count), VERSIONS.slice(count)]);
    assertKept(before, await rowsOf(session));
    if (count > 0) {
      const counts = await session.query(`
        select backup_type, total_backups from public.get_backup_statistics() where total_backups > 0`);
      assert.deepEqual(counts.map((row) => Object.values(row).map(String)), [
        ["database", "2"],
        ["files", "1"],
      ]);
    }
    assert.equal(await schemaText(session), await Deno.readTextFile(GOLDEN));
  }
});

/** Every row is there as it was, and may have more columns. */
function assertKept(before: TableRows, after: TableRows): void {
  for (const [table, rows] of before) {
    if (table === "backup_internal.migrations") continue;
    for (const [at, row] of rows.entries()) {
      for (const [column, value] of Object.entries(row)) {
        assert.deepEqual(after.get(table)?.[at]?.[column], value, `${table}.${column}`);
      }
    }
  }
}

Deno.test("tables that were there before the service are completed, with their rows", async () => {
  await using made = await open();
  const { session, state } = made;
  await session.execute(
    await Deno.readTextFile(new URL("../fixtures/guide_tables.sql", import.meta.url)),
  );
  const before = await rowsOf(session);
  assert.equal(before.size, 5);
  assert.deepEqual((await state.migrate()).applied, VERSIONS);
  assertKept(before, await rowsOf(session));
  assert.equal(await schemaText(session), await Deno.readTextFile(GOLDEN));
});

Deno.test("another function of one of our names is not replaced, and the error says what to do", async () => {
  await using made = await open();
  await made.session.execute(`
    create function public.get_backup_dashboard() returns text language sql return 'mine'`);
  await assert.rejects(made.state.migrate(), (error: BackupError) => {
    assert.equal(error.code, "conflict");
    assert.match(error.message, /cannot change return type of existing function/);
    assert.match(error.hint ?? "", /Drop or rename it/);
    return true;
  });
  const [row] = await made.session.query("select public.get_backup_dashboard() as mine");
  assert.equal(row?.mine, "mine");
});

Deno.test("tables that a disaster took are made again, and count nothing that is gone", async () => {
  await using made = await open();
  const { session, state } = made;
  await state.migrate();
  for (const statement of ROWS.flat()) await session.execute(statement);
  await session.execute("drop schema public cascade");
  const { applied } = await state.migrate();
  assert.deepEqual(applied, VERSIONS);
  assert.equal(await schemaText(session), await Deno.readTextFile(GOLDEN));
  const [row] = await session.query("select total_backups from public.get_backup_dashboard()");
  assert.equal(Number(row?.total_backups), 0);
  await session.execute(
    "drop function public.get_backup_dashboard(); drop table backup_internal.alerts",
  );
  await state.migrate();
  assert.equal(await schemaText(session), await Deno.readTextFile(GOLDEN));
});

Deno.test("while somebody holds a table of ours nothing is changed, and the error says so", async () => {
  await using made = await open();
  const { session, state } = made;
  for (const { sql } of MIGRATIONS.slice(0, 2)) await session.execute(sql);
  await session.execute("begin; lock table public.backup_jobs in access share mode");
  await assert.rejects(applyMigrations(state.database, { lockTimeoutMs: 50 }), {
    code: "lock_timeout",
    message: /another session holds one of the service's tables/,
  });
  await session.execute("commit");
  const [there] = await session.query("select to_regclass('public.recovery_points') as there");
  assert.equal(there?.there, null);
  assert.deepEqual((await state.migrate()).applied, VERSIONS.slice(2));
});

Deno.test("tables of a newer release are refused by name, those of an older one named as such", async () => {
  await using made = await open();
  const { session, state } = made;
  for (const { sql } of MIGRATIONS.slice(0, 2)) await session.execute(sql);
  await assert.rejects(
    state.database.run("read", (sql) => sql`select freed_at from public.backup_jobs`),
    { code: "not_found", message: /are of an older release/ },
  );
  await state.migrate();
  await session.execute(
    "insert into backup_internal.migrations values ('29990101000000', 'later')",
  );
  await assert.rejects(state.migrate(), {
    code: "conflict",
    message: /a newer release made them \(29990101000000\)/,
    details: { versions: ["29990101000000"] },
  });
});

async function dropAll(session: Session): Promise<void> {
  await session.execute(`
    drop schema if exists backup_internal cascade; drop schema public cascade; create schema public`);
}

/** Rows by table. */
type TableRows = Map<string, Record<string, unknown>[]>;

/** Rows of all tables of ours, oldest first as they lie. */
async function rowsOf(session: Session): Promise<TableRows> {
  const tables = await session.query(`
    select n.nspname || '.' || c.relname as name
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname in ('public', 'backup_internal') order by 1`);
  const found: TableRows = new Map();
  for (const { name } of tables) {
    const rows = await session.query(
      `select to_jsonb(t)::text as row from ${name} t order by ctid`,
    );
    found.set(name, rows.map(({ row }) => JSON.parse(row)));
  }
  return found;
}
