import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { OWN_FUNCTIONS, OWN_TABLES } from "../../supabase/functions/backup/state/migrations.ts";
import { ownObjects } from "../../supabase/functions/backup/usecases/database_access.ts";
import { readDatabase } from "../../supabase/functions/backup/dump/mod.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { startProject } from "../../scripts/demo/start_project.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

/** What service_role may call. */
const CALLABLE = OWN_FUNCTIONS.map((name) => name.split("(")[0]!);

/** Each called as a user calls it. */
const CALLS = [
  "select * from public.get_backup_statistics(30)",
  "select * from public.get_restore_statistics(30)",
  "select * from public.get_disaster_recovery_plans('critical', true)",
  "select * from public.get_backup_dashboard()",
  "select public.create_manual_backup('before a change', 'Ada')",
  "select public.test_backup_restoration('backup_1')",
  "select * from public.cleanup_backup_data(90, 90, 180, 30)",
  "select backup_internal.recount_jobs()",
];

/** What runs with the rights of the tables' owner; the comment of each says why. */
const DEFINERS = [...CALLABLE, "count_backup_jobs", "count_restore_jobs"].filter((name) =>
  name !== "get_disaster_recovery_plans"
);

Deno.test("anon and authenticated reach nothing of ours, and service_role only reads", async () => {
  // A project grants everything in public by default, which is what the migration must take back.
  await using project = await startProject();
  const state = new State(new Secret(project.databaseUrl));
  const session = await connect({ url: project.adminUrl });
  try {
    await state.migrate();
    await session.execute(`
      insert into public.backup_jobs (job_id, type, status, location)
      values ('backup_1', 'database', 'completed', 's3://bucket')`);
    const tables = await session.query(`
      select c.oid::regclass::text as name, n.nspname as schema, c.relname as table, c.relrowsecurity or c.relkind = 'S' as secured,
        (select string_agg(quote_ident(a.attname), ', ') from pg_attribute a
          where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'S') and (n.nspname = 'backup_internal'
        or n.nspname = 'public' and c.relname ~ '^(backup|restore|recovery|disaster)_')
      order by 2, 3`);
    assert.deepEqual(
      tables.filter((one) => one.schema === "public").map((one) => one.table),
      OWN_TABLES.toSorted(),
    );
    assert.ok(tables.some((one) => one.schema === "backup_internal"));
    const functions = await session.query(`
      select p.oid::regprocedure::text as name, p.proname, p.prosecdef as definer, p.oid::text as oid, p.proconfig::text as settings,
        obj_description(p.oid, 'pg_proc') as comment
      from pg_proc p
      where p.pronamespace = 'backup_internal'::regnamespace
        or p.pronamespace = 'public'::regnamespace and p.proname ~ '(backup|restore|recovery|disaster)'`);

    for (const role of ["anon", "authenticated", "service_role"]) {
      const allowed = async (statement: string) => {
        await session.execute("begin");
        try {
          await session.execute(`set local role ${role}`);
          await session.execute(statement);
          return true;
        } catch (error) {
          assert.equal((error as { sqlState?: string }).sqlState, "42501", `${role}: ${statement}`);
          return false;
        } finally {
          await session.execute("rollback");
        }
      };
      for (const { name, schema, columns, secured } of tables) {
        assert.equal(secured, true, `${name} has row level security`); // a sequence can have none
        const reads = role === "service_role" && schema === "public";
        const column = String(columns).split(", ")[0];
        const tries: [string, boolean][] = [
          [`select * from ${name}`, reads],
          [`select ${column} from ${name} limit 0`, reads],
          [`select count(*) from ${name}`, reads],
          [`insert into ${name} default values`, false],
          [`insert into ${name} (${columns}) select ${columns} from ${name}`, false],
          [`update ${name} set ${column} = ${column}`, false],
          [`delete from ${name}`, false],
          [`truncate ${name}`, false],
          [`lock table ${name} in access exclusive mode`, false],
          [`alter table ${name} disable row level security`, false],
          [`create policy p on ${name} using (true)`, false],
          [`drop table ${name} cascade`, false],
        ];
        const [right] = await session.query(
          "select has_table_privilege($1, $2, 'select with grant option') as granted",
          [role, name],
        );
        assert.equal(right?.granted, false, `${role} may not pass on ${name}`);
        for (const [statement, expected] of tries) {
          assert.equal(await allowed(statement), expected, `${role}: ${statement}`);
        }
      }
      assert.equal(await allowed("create table backup_internal.mine ()"), false);
      for (const call of CALLS) {
        const expected = role === "service_role" && !call.includes("backup_internal");
        assert.equal(await allowed(call), expected, `${role}: ${call}`);
      }
      for (const { name, proname, definer, oid, settings, comment } of functions) {
        assert.equal(definer, DEFINERS.includes(String(proname)), `whose rights ${name} runs with`);
        if (definer) assert.match(String(comment), /Runs with the rights of its owner, because/);
        assert.match(
          String(settings),
          /[{,]"search_path=\\"\\""[,}]/,
          `${name} looks for nothing by search_path`,
        );
        const [right] = await session.query(
          "select has_function_privilege($1, $2::oid, 'execute') as granted",
          [role, oid],
        );
        const expected = role === "service_role" && CALLABLE.includes(String(proname));
        assert.equal(right?.granted, expected, `${role}: ${name}`);
      }
    }
  } finally {
    await session.close();
    await state.close();
  }
});

Deno.test("no backup holds the service's own objects, and one of a user's with such a name is kept", async () => {
  await using database = await temporaryDatabase("ts_own");
  const state = new State(new Secret(database.url));
  await state.migrate().finally(() => state.close());
  const session = await connect({ url: database.url });
  try {
    await session.execute(`
      create function public.get_backup_statistics(days text) returns text language sql return days;
      create function public.mine() returns integer language sql return 1`);
    const own = await ownObjects(session);
    const { entries } = await readDatabase(session, {
      ...{ profile: "plain", includeSchemas: [], includeTables: [], excludeTableData: [] },
      ...{
        excludeSchemas: own.schemas,
        excludeTables: own.tables,
        excludeFunctions: own.functions,
      },
      copyFormat: "text",
    });
    assert.deepEqual(
      entries.filter(({ kind }) => kind === "function").map(({ identity }) => identity).sort(),
      [
        'function FUNCTION "public"."get_backup_statistics"("text")',
        'function FUNCTION "public"."mine"()',
      ],
    );
    assert.deepEqual(entries.filter(({ schema }) => schema === "backup_internal"), []);
    assert.deepEqual(entries.filter(({ kind }) => kind === "table"), []);
  } finally {
    await session.close();
  }
});
