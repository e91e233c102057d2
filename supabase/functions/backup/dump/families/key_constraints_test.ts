import assert from "node:assert/strict";
import { keyConstraintDefinition } from "./key_constraints.ts";

const UNIQUE = {
  constraint_type: "u",
  constraint_definition: null,
  columns: ["a", 'b"c', "d"],
  key_columns: 2,
  nulls_not_distinct: true,
  is_period: false,
  options: ["fillfactor=60"],
  tablespace: "fast",
  is_deferrable: true,
  is_deferred: true,
};

Deno.test("keyConstraintDefinition() writes every clause in the order of the grammar", () => {
  assert.deepEqual(keyConstraintDefinition(UNIQUE, `"s"."i"`), {
    definition: `UNIQUE NULLS NOT DISTINCT ("a", "b""c") INCLUDE ("d") WITH ("fillfactor"='60')` +
      ` USING INDEX TABLESPACE "fast" DEFERRABLE INITIALLY DEFERRED`,
    after: [],
  });
});

Deno.test("keyConstraintDefinition() knows no NULLS NOT DISTINCT of primary keys", () => {
  const row = {
    ...UNIQUE,
    constraint_type: "p",
    columns: ["a", "r"],
    is_period: true,
    options: null,
    tablespace: null,
    is_deferrable: false,
    is_deferred: false,
  };
  assert.equal(
    keyConstraintDefinition(row, `"s"."i"`).definition,
    `PRIMARY KEY ("a", "r" WITHOUT OVERLAPS)`,
  );
});

Deno.test("keyConstraintDefinition() moves an exclusion constraint's index afterwards", () => {
  const row = { ...UNIQUE, constraint_type: "x", constraint_definition: "EXCLUDE (…)" };
  assert.deepEqual(keyConstraintDefinition(row, `"s"."i"`), {
    definition: "EXCLUDE (…)",
    after: [`ALTER INDEX "s"."i" SET TABLESPACE "fast"`],
  });
});
