import assert from "node:assert/strict";
import { splitStatements } from "./split_statements.ts";

Deno.test("statements end at semicolons, but not at those inside quotes, bodies and brackets", () => {
  const statements = [
    `SELECT 'a;''b', E'c\\';d', "e;""f"`,
    "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $_$ BEGIN; $$;$$ END; $_$",
    "CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)",
    "-- one; two\nSELECT $1",
    "BEGIN",
    "END",
  ];
  assert.deepEqual(splitStatements(statements.join(";\n") + ";\n"), statements);
});
