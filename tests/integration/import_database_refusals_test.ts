/**
 * Imports that fail: what they say, and that they change nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fromUtf8, utf8 } from "../../supabase/functions/backup/core/bytes.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  importDatabase,
  type ImportRequest,
} from "../../supabase/functions/backup/usecases/export/import_database.ts";
import { contentOf, importBytes, run } from "../support/export_round_trip.ts";
import { failureOf, SHOP, shop, SHOP_TABLES } from "../support/exported_shop.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

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
    (file) => file.replace('Export":2', 'Export":3'),
    /has format 3, and/,
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

Deno.test("importDatabase() takes a line of 50 MB and leaves nothing of one that is cut", async () => {
  await using target = await temporaryDatabase("m5_long");
  await run(target.url, "create table public.t (v text)");
  const table = { schema: "public", name: "t" };
  const header = {
    ...{ supabaseBackupExport: 2, format: "json", of: "x", at: "x", writtenBy: "x" },
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
