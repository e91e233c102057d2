import assert from "node:assert/strict";
import { forThisDatabase, setClause } from "./setting_statements.ts";

Deno.test("a plain setting is one literal", () => {
  assert.equal(setClause("work_mem=5MB"), `SET "work_mem" TO '5MB'`);
});

Deno.test("a value may hold equal signs, quotes and backslashes", () => {
  assert.equal(setClause("application_name=a=b'c\\d"), `SET "application_name" TO E'a=b''c\\\\d'`);
});

Deno.test("the names of an extension's setting are quoted one by one", () => {
  assert.equal(
    setClause("pgrst.db_schemas=public, api"),
    `SET "pgrst"."db_schemas" TO 'public, api'`,
  );
});

Deno.test("a search path is taken apart into its names", () => {
  assert.equal(
    setClause(`search_path="$user", public, "a ""b, c"`),
    `SET "search_path" TO '$user', 'public', 'a "b, c'`,
  );
});

Deno.test("an empty search path stays empty", () => {
  assert.equal(setClause(`search_path=""`), `SET "search_path" TO ''`);
});

Deno.test("percent signs of a value do not reach format", () => {
  assert.equal(
    forThisDatabase("COMMENT ON DATABASE ", " IS '100%'"),
    `DO $_$BEGIN EXECUTE format('COMMENT ON DATABASE %I IS ''100%%''', current_database()); END$_$`,
  );
});
