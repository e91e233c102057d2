/**
 * Imports: what they bring, and that they change nothing when they fail.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromUtf8, utf8 } from "../../supabase/functions/backup/core/bytes.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  importDatabase,
  type ImportRequest,
} from "../../supabase/functions/backup/usecases/import_database.ts";
import {
  backupOf,
  contentOf,
  exportBytes,
  importBytes,
  run,
} from "../support/export_round_trip.ts";
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

const SHOP = `
  create type public.mood as enum ('good', 'bad');
  create table public.people (
    id int generated always as identity primary key, name text not null, mood public.mood,
    boss int references public.people, shout text generated always as (upper(name)) stored);
  insert into public.people (name, mood, boss) values ('a', 'good', 2), ('b', null, 1), ('', 'bad', null);
  create table public.orders (id bigserial primary key, of int not null references public.people);
  insert into public.orders (of) values (3), (1);
  create table public.log (at timestamptz, what text) partition by range (at);
  create table public.log_old partition of public.log for values from (minvalue) to ('2024-01-01');
  create table public.log_new partition of public.log for values from ('2024-01-01') to (maxvalue);
  insert into public.log values ('0044-03-15 00:00:00+00 BC', 'x'), ('infinity', null), ('2024-01-01Z', '')`;

const SHOP_TABLES = ["public.people", "public.orders", "public.log_old", "public.log_new"];

async function failureOf(promise: Promise<unknown>): Promise<BackupError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof BackupError, String(error));
    return error;
  }
  assert.fail("it did not fail");
}

/** The shop as it was exported, and what its tables hold. */
interface ExportedShop {
  json: Uint8Array;
  sql: Uint8Array;
  content: Record<string, string>;
}

let exported: Promise<ExportedShop> | undefined;

/** Exported once for all tests. */
function exportedShop(): Promise<ExportedShop> {
  return exported ??= (async () => {
    await using source = await temporaryDatabase("m5_shop");
    await run(source.url, SHOP);
    return {
      json: (await exportBytes(await backupOf(source.url), { format: "json" })).bytes,
      sql: (await exportBytes(source.url, { format: "sql" })).bytes,
      content: await contentOf(source.url, SHOP_TABLES),
    };
  })();
}

/** The exported shop, and a database with what `schema` makes. */
async function shop(schema = "") {
  const shop = await exportedShop();
  const target = await temporaryDatabase("m5_shop_target");
  if (schema !== "") await run(target.url, schema);
  return {
    ...shop,
    target: target.url,
    [Symbol.asyncDispose]: () => target[Symbol.asyncDispose](),
  };
}

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

/** What a target may have otherwise. */
const MISFITS: readonly [what: string, change: string, message: RegExp][] = [
  [
    "lacks a column",
    "alter table public.people drop column mood",
    /it lacks column "mood" of the file/,
  ],
  [
    "has one column more",
    "alter table public.people add extra int default 7",
    /lacks its column "extra"/,
  ],
  [
    "generates a column",
    `alter table public.people drop column boss;
     alter table public.people add boss int generated always as (1) stored`,
    /its column "boss" is generated/,
  ],
  [
    "has another type",
    "alter table public.orders alter id type numeric(9,2)",
    /"id" is numeric\(9,2\), and bigint in the file/,
  ],
  [
    "is a view",
    "drop table public.people cascade; create view public.people as select 1",
    /it is not a table/,
  ],
  ["is not there", "drop table public.people cascade", /no such table/],
];

Deno.test("importDatabase() refuses a table that does not fit before any row", async (t) => {
  await using database = await shop();
  const { json, target } = database;
  for (const [what, change, message] of MISFITS) {
    await t.step(what, async () => {
      await run(target, `drop schema public cascade; create schema public; ${SHOP}; ${change}`);
      const others = ["public.log_old", "public.log_new"];
      const before = await contentOf(target, others);
      const failure = await failureOf(importBytes(target, json, { mode: "replace" }));
      assert.match(failure.message, message);
      assert.ok(["target_unfit", "not_found"].includes(failure.code));
      assert.deepEqual(await contentOf(target, others), before);
    });
  }
});

Deno.test("importDatabase() makes no table of a type that is not there", async () => {
  await using database = await shop("create table public.log_old (at int)");
  const text = fromUtf8(database.json).replace(/\{"kind":"type"[^}]*\}/, (need) => {
    return need.replace(/"create":\[.*\]/, '"create":[]');
  });
  const failure = await failureOf(importBytes(database.target, utf8(text), { create: true }));
  assert.match(failure.message, /^Cannot make public\.people: type "public.mood" does not exist/);
  const session = await connect({ url: database.target });
  const found = await session.query("select from pg_tables where schemaname = 'public'");
  assert.equal(found.length, 1);
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

Deno.test("importDatabase() says line and column of a value that the server refuses, never the value", async () => {
  await using database = await shop(SHOP);
  const { json, target } = database;
  const lines = fromUtf8(json).split("\n");
  const at = lines.findIndex((line) => line.startsWith('["3"'));
  lines[at] = lines[at]!.replace('"bad"', '"se-cret"');
  const failure = await failureOf(importBytes(target, utf8(lines.join("\n")), { mode: "replace" }));
  assert.match(
    failure.message,
    new RegExp(`^Cannot import the file, line ${at + 1}, column "mood": `),
  );
  assert.doesNotMatch(
    JSON.stringify([failure.message, failure.hint, failure.details]),
    /se-cret/,
  );
});

/** Files that are not what an export writes, made out of one. */
const BROKEN: readonly [
  what: string,
  make: (file: string) => string,
  message: RegExp,
  code: string,
][] = [
  ["is empty", () => "", /does not begin with the header/, "invalid_request"],
  ["is other JSON", () => '{"a": 1}\n', /does not begin with the header/, "invalid_request"],
  ["is other SQL", () => "select 1;\n", /does not begin with the header/, "invalid_request"],
  [
    "has a newer format",
    (file) => file.replace('Export":1', 'Export":2'),
    /has format 2, and/,
    "invalid_request",
  ],
  [
    "has a header that is not whole",
    (file) => file.replace('"encoding":"UTF8",', ""),
    /header is not whole: encoding/,
    "invalid_request",
  ],
  [
    "has SQL for an encoding",
    (file) => file.replace('"UTF8"', `"UTF8') --"`),
    /header is not whole: encoding/,
    "invalid_request",
  ],
  [
    "is cut in a row",
    (file) => file.slice(0, file.lastIndexOf('"') - 40),
    /it ends in line \d+/,
    "object_truncated",
  ],
  [
    "is cut after a table",
    (file) => `${file.split("\n").slice(0, -2).join("\n")}\n`,
    /it ends in line \d+/,
    "object_truncated",
  ],
  [
    "lacks a row",
    (file) => file.replace(/\["3".*\n/, ""),
    /2 rows stand before this line, which says 3/,
    "invalid_request",
  ],
  [
    "has a line that is not JSON",
    (file) => file.replace('["3"', '3"'),
    /line \d+, byte 1: a row should begin/,
    "invalid_request",
  ],
  [
    "has a changed row",
    (file) => file.replace('["3",""', '["3","x"'),
    /differ.*by their fingerprint/,
    "restore_mismatch",
  ],
  ["has more at its end", (file) => `${file}[]\n`, /more follows/, "invalid_request"],
  [
    "names a table twice",
    (file) => file.replace(/"tables":\[(\{.*\})\]\}\n/, '"tables":[$1,$1]}\n'),
    /stands twice/,
    "invalid_request",
  ],
  [
    "has its tables in another order",
    (file) => file.replace('"rowsOf":{"schema":"public"', '"rowsOf":{"schema":"p"'),
    /order of its header/,
    "invalid_request",
  ],
];

Deno.test("importDatabase() refuses a file that is not what an export writes, and changes nothing", async (t) => {
  await using database = await shop(`${SHOP}; update public.people set name = 'mine'`);
  const { target, json: bytes } = database;
  const before = await contentOf(target, SHOP_TABLES);
  for (const [what, make, message, code] of BROKEN) {
    await t.step(what, async () => {
      const broken = utf8(make(fromUtf8(bytes)));
      const failure = await failureOf(importBytes(target, broken, { mode: "replace" }));
      assert.match(failure.message, message);
      assert.equal(failure.code, code);
      assert.deepEqual(await contentOf(target, SHOP_TABLES), before);
    });
  }
  await t.step("has bytes in a row that are no UTF-8", async () => {
    const at = fromUtf8(bytes).indexOf('["3",""') + 6;
    const broken = Uint8Array.from([...bytes.slice(0, at), 0xe9, ...bytes.slice(at)]);
    const failure = await failureOf(importBytes(target, broken, { mode: "replace" }));
    assert.match(failure.message, /^Cannot import the file, line \d+: invalid byte sequence/);
    assert.doesNotMatch(failure.message, /0xe9/);
  });
  for (const [what, of] of [["UTF-16", bytes.slice()], ["LATIN1", bytes.slice()]] as const) {
    await t.step(`is in ${what}`, async () => {
      const broken = what === "UTF-16"
        ? Uint8Array.from([0xff, 0xfe, ...[...of].flatMap((byte) => [byte, 0])])
        : of.map((byte, at) => at === 200 ? 0xe9 : byte);
      const failure = await failureOf(importBytes(target, broken, { mode: "replace" }));
      assert.match(failure.message, /not text in UTF-8/);
    });
  }
});

Deno.test("importDatabase() refuses a cut or changed file in SQL, and changes nothing", async (t) => {
  await using database = await shop();
  const { target } = database;
  const file = fromUtf8(database.sql);
  const cases: [string, string, RegExp][] = [
    ["cut at its end", file.replace(/-- end of export\n$/, ""), /it ends in line/],
    ["cut in the rows", file.slice(0, file.indexOf("\\.\n") + 1), /it ends in line/],
    ["cut in a statement", file.slice(0, file.indexOf("PRIMARY KEY")), /it ends in line/],
    ["a row changed", file.replace("\t2\n", "\t3\n"), /differ.*by their fingerprint/],
    ["a row too many", file.replace("\\.\n", "1\n\\.\n"), /Cannot import the file, line \d+/],
    [
      "a refused statement",
      file.replace("CREATE TYPE", "CREATE TIPE"),
      /the statement in line \d+: syntax error/,
    ],
  ];
  for (const [what, broken, message] of cases) {
    await t.step(what, async () => {
      const failure = await failureOf(importBytes(target, utf8(broken)));
      assert.match(failure.message, message);
      const session = await connect({ url: target });
      const found = await session.query("select from pg_tables where schemaname = 'public'");
      assert.equal(found.length, 0);
      await session.close();
    });
  }
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

Deno.test("importDatabase() takes a line of 50 MB and leaves nothing of one that is cut", async () => {
  await using target = await temporaryDatabase("m5_long");
  await run(target.url, "create table public.t (v text)");
  const table = { schema: "public", name: "t" };
  const header = {
    ...{ supabaseBackupExport: 1, format: "json", of: "x", at: "x", writtenBy: "x" },
    ...{ serverVersion: 170000, encoding: "UTF8", sqlText: "utf8" },
    tables: [{ ...table, columns: [{ name: "v", type: "text" }] }],
  };
  const piece = utf8("0123456789abcdef".repeat(1 << 16));
  const fileOf = (pieces: number, rest: string) => ({
    name: "long.ndjson",
    async *open() {
      yield utf8(`${JSON.stringify(header)}\n${JSON.stringify({ rowsOf: table })}\n["`);
      for (let i = 0; i < pieces; i++) yield await Promise.resolve(piece);
      yield utf8(rest);
    },
  });
  const whole = '"]\n{"end":{"rows":"1","sum":null}}\n';
  const importFile = (file: ReturnType<typeof fileOf>) =>
    importDatabase({ connect: () => connect({ url: target.url }), files: [file], request: {} });
  assert.equal((await failureOf(importFile(fileOf(50, "")))).code, "object_truncated");
  assert.equal((await importFile(fileOf(50, whole))).rows, 1);
  const session = await connect({ url: target.url });
  const found = await session.query("select length(v) as length from public.t");
  assert.deepEqual(found.map(({ length }) => length), [50 << 20]);
  await session.close();
});

Deno.test("importDatabase() changes nothing when it is stopped, the connection dies or the database is read-only", async () => {
  await using database = await shop(`${SHOP}; update public.people set name = 'mine'`);
  const { target, json: bytes } = database;
  const before = await contentOf(target, SHOP_TABLES);
  const session = await connect({ url: target });
  const lineOf = utf8('["2"');
  const middle = bytes.findIndex((_, at) => lineOf.every((byte, i) => bytes[at + i] === byte));
  const file = {
    name: "dying.ndjson",
    async *open() {
      yield bytes.slice(0, middle);
      const ended = await session.query(
        `select pg_terminate_backend(pid, 10000) as ended from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'`,
      );
      assert.deepEqual(ended, [{ ended: true }]);
      yield bytes.slice(middle);
    },
  };
  const request: ImportRequest = { mode: "replace" };
  const options = { connect: () => connect({ url: target }), files: [file], request };
  assert.equal((await failureOf(importDatabase(options))).code, "database_unreachable");
  await session.close();
  assert.deepEqual(await contentOf(target, SHOP_TABLES), before);
  const stop = new AbortController();
  const stopped = {
    name: "stopped.ndjson",
    async *open() {
      yield await Promise.resolve(bytes.slice(0, middle));
      stop.abort();
      yield bytes.slice(middle);
    },
  };
  const stopping = importDatabase({ ...options, files: [stopped], signal: stop.signal });
  assert.equal((await failureOf(stopping)).code, "cancelled");
  assert.deepEqual(await contentOf(target, SHOP_TABLES), before);
  const readOnly = `${target}?options=${encodeURIComponent("-c default_transaction_read_only=on")}`;
  const failure = await failureOf(importBytes(readOnly, bytes, request));
  assert.match(failure.message, /read-only transaction/);
});
