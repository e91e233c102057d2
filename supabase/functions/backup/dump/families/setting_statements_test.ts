import assert from "node:assert/strict";
import { setClause } from "./setting_statements.ts";

Deno.test("a plain setting is one literal, whatever it holds", () => {
  assert.equal(setClause("work_mem=64MB"), `SET "work_mem" TO '64MB'`);
  assert.equal(setClause("DateStyle=ISO, DMY"), `SET "DateStyle" TO 'ISO, DMY'`);
  assert.equal(setClause("my.var=a=b"), `SET "my"."var" TO 'a=b'`);
  assert.equal(setClause("my.var=v'\\x"), `SET "my"."var" TO E'v''\\\\x'`);
});

Deno.test("a list of names is a list of literals", () => {
  assert.equal(
    setClause('search_path="$user", public, "a ""b, c"'),
    `SET "search_path" TO '$user', 'public', 'a "b, c'`,
  );
});

Deno.test("an empty search_path stays empty", () => {
  assert.equal(setClause('search_path=""'), `SET "search_path" TO ''`);
  assert.equal(setClause("search_path="), `SET "search_path" TO ''`);
});

Deno.test("an empty name inside a list is kept", () => {
  assert.equal(setClause('temp_tablespaces="", a'), `SET "temp_tablespaces" TO '', 'a'`);
});
