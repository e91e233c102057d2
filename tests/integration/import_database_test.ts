/**
 * Imports: what they bring.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { ImportRequest } from "../../supabase/functions/backup/usecases/export/import_database.ts";
import {
  backupOf,
  contentOf,
  exportBytes,
  importBytes,
  run,
} from "../support/export_round_trip.ts";
import { failureOf, SHOP, shop, SHOP_TABLES } from "../support/exported_shop.ts";
import { testServer } from "../support/servers.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

/** Names and values that formats stumble over. */
const HOSTILE = `
  create schema "s
\\\\! touch X";
  create table "s
\\\\! touch X"."t""; drop table x; --" ("c
;
" text primary key, ":v" text, "null" text);
  insert into "s
\\\\! touch X"."t""; drop table x; --" values (E'\\\\.', '', null), (E'\\\\N', E'\\n;\\n', 'null'), ('{"end":1}', E'\\\\\\\\.\\n', '[');
  create function public.odd() returns text language sql as $f$ select '
;
' -- '
;
$f$`;

const HOSTILE_TABLE = `"s\n\\\\! touch X"."t""; drop table x; --"`;

for (const format of ["json", "sql"] as const) {
  Deno.test(`importDatabase() brings names and values in ${format} that formats stumble over`, async () => {
    await using source = await temporaryDatabase("m5_hostile");
    await using target = await temporaryDatabase("m5_hostile_target");
    await run(source.url, HOSTILE);
    for (const sliceBytes of [7, 1 << 16]) {
      const { bytes } = await exportBytes(source.url, { format });
      await importBytes(target.url, bytes, { create: format === "json", sliceBytes });
      assert.deepEqual(
        await contentOf(target.url, [HOSTILE_TABLE]),
        await contentOf(source.url, [HOSTILE_TABLE]),
      );
      await run(target.url, `drop schema ${HOSTILE_TABLE.split(".")[0]} cascade`);
      await run(target.url, "drop function if exists public.odd()");
    }
  });
}

Deno.test("importDatabase() makes tables with keys, identities and generated columns, and moves sequences on", async () => {
  await using database = await shop();
  const { json, content, target } = database;
  const report = await importBytes(target, json, { create: true });
  assert.deepEqual(
    report.tables.map(({ table, added, compared }) => [table, added, compared]).sort(),
    [
      ["public.log_new", 2, "content"],
      ["public.log_old", 1, "content"],
      ["public.orders", 2, "content"],
      ["public.people", 3, "content"],
    ],
  );
  assert.deepEqual(await contentOf(target, SHOP_TABLES), content);
  await run(
    target,
    "insert into public.people (name) values ('new'); insert into public.orders (of) values (4)",
  );
  const added = await contentOf(target, ["public.people", "public.orders"]);
  assert.match(added["public.people"]!, /^4\tnew\t\\N\t\\N\tNEW$/m);
  assert.match(added["public.orders"]!, /^3\t4$/m);
});

Deno.test("importDatabase() replaces tables that refer to each other and to themselves", async () => {
  await using database = await shop(`${SHOP}; update public.people set name = 'z'`);
  const { json, sql, content, target } = database;
  await importBytes(target, sql, { mode: "replace" });
  assert.deepEqual(await contentOf(target, SHOP_TABLES), content);
  // Orders refer to people, and from now on people to orders.
  await run(
    target,
    `alter table public.people add constraint "a loop" foreign key (id) references public.orders
       not valid; update public.people set name = 'z'`,
  );
  const failure = await failureOf(importBytes(target, json, { mode: "replace" }));
  assert.match(failure.message, /violates foreign key constraint "a loop"/);
  await run(target, 'alter table public.people drop constraint "a loop"');
  await run(
    target,
    `insert into public.orders values (3, 1);
     alter table public.people add constraint "a loop" foreign key (id) references public.orders;
     create table public.visits (of int references public.people) partition by list (of);
     create table public.visits_1 partition of public.visits default;
     insert into public.visits values (3)`,
  );
  const { bytes } = await exportBytes(target, { format: "json", tables: ["public.*"] });
  await importBytes(target, bytes, { mode: "replace" });
  const session = await connect({ url: target });
  assert.equal((await session.query("select from pg_constraint where condeferrable")).length, 0);
  await session.close();
});

Deno.test("importDatabase() refuses rows without those that they refer to, and to empty what others refer to", async () => {
  await using database = await shop(`${SHOP}; truncate public.people cascade`);
  const { json, target } = database;
  const orders = await failureOf(importBytes(target, json, { tables: ["public.orders"] }));
  assert.match(orders.message, /orders_of_fkey/);
  const request: ImportRequest = { mode: "replace", tables: ["public.people"] };
  const people = await failureOf(importBytes(target, json, request));
  assert.match(people.message, /public\.orders refers to public\.people/);
});

Deno.test("importDatabase() brings chosen tables out of a whole export, and partitions with their table", async () => {
  await using database = await shop(`${SHOP}; truncate public.log; truncate public.people cascade`);
  const { json, sql, target } = database;
  const report = await importBytes(target, sql, { tables: ["public.peopl?"] });
  assert.equal(report.statements, 0);
  assert.deepEqual(report.tables.map(({ table }) => table), ["public.people"]);
  const none = await failureOf(importBytes(target, json, { tables: ["public.none"] }));
  assert.equal(none.code, "not_found");
  await importBytes(target, json, { tables: ["public.log_*"] });
  for (const from of [target, await backupOf(target)]) {
    const { bytes } = await exportBytes(from, { format: "json", tables: ["public.log"] });
    const { tables } = await importBytes(target, bytes, { mode: "replace" });
    assert.deepEqual(tables.map(({ table }) => table).sort(), ["public.log_new", "public.log_old"]);
  }
});

Deno.test("importDatabase() leaves rows alone whose key is there", async () => {
  await using database = await shop(`${SHOP}; update public.people set name = 'mine' where id = 1;
    delete from public.orders; delete from public.people where id = 3`);
  const { json, target } = database;
  const request: ImportRequest = { mode: "skip-existing", tables: ["public.people"] };
  const { tables: [people] } = await importBytes(target, json, request);
  assert.deepEqual([people?.rows, people?.added, people?.skipped], [3, 1, 2]);
  assert.match((await contentOf(target, ["public.people"]))["public.people"]!, /^1\tmine\t/m);
  const failure = await failureOf(importBytes(target, json, { mode: "skip-existing" }));
  assert.match(failure.message, /it has no primary key/);
});

Deno.test("importDatabase() finds rows that a trigger changed, and can silence it", async () => {
  const trigger = `
    create function public.change() returns trigger language plpgsql as
      'begin new.name := new.name || ''!''; return new; end';
    create trigger change before insert on public.people for each row execute function public.change();
    alter table public.people enable always trigger change`;
  await using database = await shop(`${SHOP}; ${trigger}`);
  const { json, content, target } = database;
  const failure = await failureOf(importBytes(target, json, { mode: "replace" }));
  assert.equal(failure.code, "restore_mismatch");
  assert.match(failure.message, /"people".*differ/);
  assert.deepEqual(await contentOf(target, SHOP_TABLES), content);
  await importBytes(target, json, { mode: "replace", withoutTriggers: true });
  assert.deepEqual(await contentOf(target, SHOP_TABLES), content);
  const session = await connect({ url: target });
  const [found] = await session.query(
    "select tgenabled::text as state from pg_trigger where tgname = 'change'",
  );
  assert.equal(found?.state, "A");
  await session.close();
});

Deno.test("importDatabase() takes another type when that is accepted, and then only counts", async () => {
  await using database = await shop(`${SHOP}; alter table public.orders alter id type numeric`);
  const tables = ["public.orders"];
  const request: ImportRequest = { mode: "replace", acceptOtherTypes: true, tables };
  const { tables: [orders] } = await importBytes(database.target, database.json, request);
  assert.equal(orders?.compared, "number");
  assert.deepEqual(orders?.remarks, ['column "id" is numeric, and bigint in the file']);
});

Deno.test("importDatabase() only counts the rows of a file of format 1, whose hashes were others", async () => {
  await using database = await shop();
  const { target, content } = database;
  const text = new TextDecoder().decode(database.json);
  const former = text.replace('Export":2', 'Export":1').replaceAll(/"sum":"-?\d+"/g, '"sum":"7"');
  const bytes = new TextEncoder().encode(former);
  const { tables } = await importBytes(target, bytes, { create: true });
  assert.deepEqual(tables.map(({ compared }) => compared), [
    "number",
    "number",
    "number",
    "number",
  ]);
  assert.deepEqual(await contentOf(target, SHOP_TABLES), content);
  const cut = new TextEncoder().encode(former.replace('"rows":"3"', '"rows":"4"'));
  const failure = await importBytes(target, cut, { mode: "replace", withoutTriggers: true }).catch((
    error,
  ) => error);
  assert.match(failure.message, /3 rows stand before this line, which says 4/);
});

for (const encoding of ["LATIN1", "EUC_JP", "SQL_ASCII"] as const) {
  Deno.test(`importDatabase() brings the bytes of a database in ${encoding} back`, async () => {
    const server = await testServer(17);
    const name = `m5_${encoding.toLowerCase()}_${crypto.randomUUID().slice(0, 8)}`;
    const options = `encoding '${encoding}' locale 'C' template template0`;
    await run(
      server.url(),
      `create database ${name} ${options}`,
      `create database ${name}_t ${options}`,
    );
    try {
      const bytes = encoding === "EUC_JP" ? "\\xa4a2c6fc" : "\\xe97a5c0aff";
      await run(
        server.url(name),
        `create table public.t (id int primary key, v text);
         insert into public.t values (1, convert_from('${bytes}', '${encoding}')), (2, 'plain'), (3, null)`,
      );
      const from = server.url(name);
      for (const source of [from, await backupOf(from)]) {
        const { bytes: file } = await exportBytes(source, { format: "json" });
        const to = server.url(`${name}_t`);
        const { tables } = await importBytes(to, file, { create: true, mode: "replace" });
        assert.equal(tables[0]?.compared, "content");
        assert.deepEqual(await contentOf(to, ["public.t"]), await contentOf(from, ["public.t"]));
      }
    } finally {
      await run(server.url(), `drop database ${name}`, `drop database ${name}_t`);
    }
  });
}
