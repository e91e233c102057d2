import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { quoteIdentifier } from "../../supabase/functions/backup/postgres/quote.ts";
import { OWN_FUNCTIONS, OWN_TABLES } from "../../supabase/functions/backup/state/migrations.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const PAGE = await Deno.readTextFile(new URL("../../docs/sql.md", import.meta.url));

async function open() {
  const database = await temporaryDatabase("ts_docs");
  const state = new State(new Secret(database.url));
  await state.migrate().finally(() => state.close());
  const session = await connect({ url: database.url });
  return {
    session,
    async [Symbol.asyncDispose]() {
      await session.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

Deno.test("docs/sql.md tells every table with its columns and their types", async () => {
  await using place = await open();
  for (const table of OWN_TABLES) {
    const section = PAGE.split(`\n### ${table}\n`)[1]?.split("\n### ")[0] ?? "";
    const told = [...section.matchAll(/^\| `(\w+)` \| `([^`]+)` \|/gm)].map(([, name, type]) =>
      `${name} ${type}`
    );
    const columns = await place.session.query(
      `select format('%s %s', attname, format_type(atttypid, atttypmod)) as text from pg_attribute
       where attrelid = to_regclass('public.${table}') and attnum > 0 and not attisdropped order by attnum`,
    );
    assert.deepEqual(told, columns.map(({ text }) => text), table);
  }
});

Deno.test("docs/sql.md tells the columns of what each function returns", async () => {
  await using place = await open();
  for (const signature of OWN_FUNCTIONS) {
    const name = signature.split("(")[0]!;
    const section = PAGE.split(`\n### ${name}\n`)[1]?.split("\n##")[0] ?? "";
    assert.ok(section.includes(`${name}(`), `${name} has an example`);
    const [row] = await place.session.query(
      `select array(select n from unnest(p.proargnames, p.proargmodes) a (n, m) where m = 't') as names
       from pg_proc p where p.oid = to_regprocedure('public.${signature}')`,
    );
    if (name === "cleanup_backup_data") continue; // says it in words
    for (const column of row?.names ?? []) {
      assert.ok(section.includes(`\`${column}\``), `${name}: ${column}`);
    }
  }
});

Deno.test("every example of docs/sql.md runs with the rights of service_role", async () => {
  await using place = await open();
  const { session } = place;
  const role = `ts_reader_${crypto.randomUUID().slice(0, 8)}`;
  await session.execute(`
    insert into public.backup_jobs (job_id, type, status, location, started_at, completed_at)
    values ('backup_1', 'database', 'completed', 's3://bucket', now() - interval '1 hour', now());
    begin; create role ${quoteIdentifier(role)} bypassrls;
    grant usage on schema public to ${quoteIdentifier(role)};
    grant select on ${OWN_TABLES.map((table) => `public.${table}`).join(", ")} to ${role};
    ${
    OWN_FUNCTIONS.map((name) => `grant execute on function public.${name} to ${role}`).join(";\n")
  };
    set local role ${quoteIdentifier(role)}`);
  const blocks = [...PAGE.matchAll(/```sql\n(.*?)```/gs)].flatMap((found) =>
    found[1]!.split(";\n")
  );
  const examples = blocks.filter((each) => each.trim() !== "");
  assert.ok(examples.length > 10);
  const answers = new Map<string, unknown[]>();
  for (const example of examples) answers.set(example, await session.query(example));
  const answer = (start: string) =>
    [...answers].find(([example]) => example.startsWith(start))?.[1] ?? [];
  assert.equal(answer("select * from get_backup_statistics(30)").length, 5);
  assert.equal(answer("select job_id, status, reason, created_by").length, 1);
  assert.equal(answer("select backup_id, success, restore_duration").length, 1);
  await session.execute("rollback");
});

Deno.test("the statements of docs/deployment.md that remove the service leave nothing of it", async () => {
  await using place = await open();
  const deployment = await Deno.readTextFile(new URL("../../docs/deployment.md", import.meta.url));
  const section = deployment.split("\n### Remove by SQL\n")[1] ?? "";
  await place.session.execute(/```sql\n(.*?)```/s.exec(section)?.[1] ?? "");
  const left = await place.session.query(`
    select c.oid::regclass::text as name from pg_class c where c.relnamespace = 'public'::regnamespace
    union all select nspname from pg_namespace where nspname = 'backup_internal'
    union all select p.oid::regprocedure::text from pg_proc p where p.pronamespace = 'public'::regnamespace`);
  assert.deepEqual(left.map(({ name }) => name), []);
});
