import assert from "node:assert/strict";
import { psqlComment, psqlStatement } from "./psql_text.ts";

Deno.test("psqlStatement() leaves quoted text as it is", () => {
  for (
    const sql of [
      `CREATE TABLE "a\n\\! touch x" ()`,
      `COMMENT ON TABLE "t" IS E'\\\\! it''s \\' :x'`,
      `SELECT 'a\\', 1`,
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $_$ select :x \\; $_$",
      "SELECT 1 /* \\! /* :x */ \\q */ + 2",
      "SELECT 1 -- \\q :x\n + 2",
      `SELECT "e"'x'::"text"`,
    ]
  ) assert.equal(psqlStatement(sql), `${sql}\n;\n`);
});

Deno.test("psqlStatement() keeps psql from replacing variables", () => {
  assert.equal(psqlStatement(`SELECT "a"[1:"n"]`), `SELECT "a"[1: "n"]\n;\n`);
  assert.equal(psqlStatement("SELECT a[1:n]"), "SELECT a[1: n]\n;\n");
  assert.equal(psqlStatement("SELECT 1::int"), "SELECT 1::int\n;\n");
});

Deno.test("psqlStatement() refuses what psql would act on", () => {
  for (const sql of ["SELECT 1 \\! id", "SELECT 'a", "SELECT $x$ a", "SELECT /* 1", `SELECT "x`]) {
    assert.throws(() => psqlStatement(sql), { code: "unsupported_object" });
  }
});

Deno.test("psqlComment() is one line whatever the name holds", () => {
  assert.equal(psqlComment("a\n\\! id\r\u2028b"), "-- a \\! id  b\n");
});
