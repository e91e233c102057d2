/**
 * Functions that are replaced while a backup reads: what can be proved to be of the backup's moment is saved, and
 * everything else makes it begin again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readDatabase, recheck } from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import { DUMP_OPTIONS, scratchDatabase } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

/** Heads of every form, by the words of CREATE and what ALTER calls the function. */
const HEADS: Record<string, string> = {
  "function plain() returns int": "function plain()",
  "function named(\"a b\" int, varchar(10), c text[] default '{\"x, y''s\"}') returns text":
    'function named("a b" int, varchar, c text[])',
  "function several(a int, b int default 1 + 2, c text default 'a, b', d numeric default null) returns int":
    "function several(int, int, text, numeric)",
  "function outs(a int, out b int, inout c text, out d numeric)": "function outs(int, text)",
  "function one_out(a int, out b int)": "function one_out(int)",
  "function rest(a int, variadic b int[] default array[1, 2]) returns setof bigint":
    "function rest(int, int[])",
  'function as_table(a int default 1) returns table (x int, "y z" text)': "function as_table(int)",
  "function setof_rows() returns setof rows": "function setof_rows()",
  "procedure doing(a int, inout b text default 'q')": "procedure doing(int, text)",
  "function any_kind(a anyelement, b anyarray default null) returns anyelement":
    "function any_kind(anyelement, anyarray)",
};

const body = (head: string, version: number) =>
  `create or replace ${head} language plpgsql as 'begin /* ${version} */ end'`;

const SAMPLE = `
  create table rows (a int, "Größe" text);
  ${Object.keys(HEADS).map((head) => body(head, 1)).join(";\n")};
  create function noted() returns trigger language plpgsql as 'begin /* 1 */ return new; end';
  create function guarded() returns trigger language plpgsql as 'begin return new; end';
  create trigger t before insert on rows for each row execute function noted();
  create trigger u after update of a on rows for each row execute function noted('it''s', 'b, c');
  create function used(int) returns int language sql as 'select 1';
  create view v as select used(a) from rows;
  create function new_style(a int) returns int return a + 1;
  create function asked(a int) returns boolean language sql as 'select a > 1';
  create trigger w before insert on rows for each row when (asked(new.a)) execute function guarded();
  create function with_default(a int default 1) returns int language sql as 'select a'`;

/** What still has to begin again, and the row that says so. */
const TOLD: [change: string, back: string | null, told: RegExp][] = [
  ["create or replace function used(int) returns int language sql as 'select 2'", null, /used \(/],
  ["create or replace function new_style(a int) returns int return a + 2", null, /new_style \(/],
  [
    "create or replace function asked(a int) returns boolean language sql as 'select a > 2'",
    null,
    /asked \(/,
  ],
  [
    "create or replace function with_default(a int default 2) returns int language sql as 'select a'",
    "create or replace function with_default(a int default 1) returns int language sql as 'select a'",
    /with_default \(/,
  ],
  ["alter function noted() rename to other", "alter function other() rename to noted", /noted \(/],
];

for (const major of [15, 18] as const) {
  Deno.test(`what is replaced of functions of PostgreSQL ${major} while they are read is of the moment, or is told`, async () => {
    const server = await testServer(major);
    await using source = await scratchDatabase(server, "lf_replaced");
    await source.run(SAMPLE);
    const other = await connect({ url: source.url });
    const reader = await connect({ url: source.url });
    await pinSettings(reader);
    /** Reads when `before` has happened since the moment, and `after` since the reading. */
    const readAround = async (before: string, after: string | null) => {
      await reader.execute("begin isolation level repeatable read; select 1");
      await other.execute(before);
      const { entries, rowVersions } = await readDatabase(reader, DUMP_OPTIONS);
      if (after !== null) await other.execute(after);
      await reader.execute("rollback");
      return { entries, checked: recheck(other, rowVersions) };
    };
    const replaced = Object.entries(HEADS).map(([head, name]) =>
      `${body(head, 2)}; grant execute on ${name} to public`
    );
    const { entries, checked } = await readAround(
      `${replaced.join(";\n")};
       create or replace function noted() returns trigger language plpgsql as 'begin /* 2 */ return new; end'`,
      null,
    );
    await checked;
    const bodies = entries.filter(({ kind }) => kind === "function")
      .map(({ statements }) => JSON.stringify(statements));
    assert.equal(bodies.filter((text) => text.includes("/* 1 */")).length, replaced.length + 1);
    assert.ok(!bodies.some((text) => text.includes("/* 2 */")));
    for (const [before, after, told] of TOLD) {
      const found = await readAround(before, after);
      await assert.rejects(found.checked, (error: { code: string; message: string }) => {
        assert.equal(error.code, "concurrent_ddl", before);
        assert.match(error.message, told);
        return true;
      });
    }
    await reader.close();
    await other.close();
  });
}
