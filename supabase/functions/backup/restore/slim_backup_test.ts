import assert from "node:assert/strict";
import type { Entry, EntryKind, TableFacts } from "../core/model.ts";
import type { TargetFacts } from "./plan_types.ts";
import { isSlimEnough, mayPlanSlim, slimEntry } from "./slim_backup.ts";

function entry(kind: EntryKind, more: Partial<Entry> = {}): Entry {
  return {
    ...{ key: `pg_class:${kind}`, kind, section: "pre-data", schema: "public", name: "t" },
    ...{ identity: `${kind} "public"."t"`, owner: "me", dependsOn: ["pg_namespace:2200"] },
    statements: {
      create: ["CREATE x", 'CREATE y COLLATE "pg_catalog"."C"'],
      ...{ drop: ["DROP x"], owner: ["ALTER x"], comment: ["COMMENT"], label: ["LABEL"] },
      acl: ["GRANT"],
    },
    ...more,
  };
}

const target = (facts: Partial<TargetFacts> = {}) =>
  ({ entries: [], tablespaces: [], lackedProviders: [], ...facts }) as unknown as TargetFacts;

Deno.test("slimEntry() keeps what a plan may ask for, and nothing that only makes the object", () => {
  const table = { sqlName: "t", columns: [{ name: "a" }] } as unknown as TableFacts;
  const slim = slimEntry(entry("table", { table }));
  assert.deepEqual(slim, {
    ...entry("table"),
    statements: {
      create: ['CREATE y COLLATE "pg_catalog"."C"'],
      ...{ drop: [], owner: ["ALTER x"], comment: [], label: ["LABEL"], acl: ["GRANT"] },
    },
    table: { sqlName: "t", columns: [] },
  });
});

Deno.test("slimEntry() leaves alone what is looked into, and what new projects have", () => {
  const whole = [
    entry("function"),
    entry("policy"),
    entry("schema"),
    entry("table", { managed: true }),
    entry("table-data", { extension: "x" }),
  ];
  for (const each of whole) assert.equal(slimEntry(each), each);
});

Deno.test("isSlimEnough() says no where the plan would look at what was left out", () => {
  const entries = [entry("table"), entry("function")].map(slimEntry);
  assert.equal(isSlimEnough({ entries }, target()), true);
  assert.equal(isSlimEnough({ entries }, target({ entries: [entry("function")] })), true);
  assert.equal(isSlimEnough({ entries }, target({ entries: [entry("table")] })), false);
  assert.equal(isSlimEnough({ entries }, target({ lackedProviders: ['"x"'] })), false);
  const placed = [...entries, entry("tablespace")];
  assert.equal(isSlimEnough({ entries: placed }, target()), false);
  assert.equal(isSlimEnough({ entries: placed }, target({ tablespaces: ["t"] })), true);
});

Deno.test("mayPlanSlim() says no where single tables are looked for, or put elsewhere", () => {
  assert.equal(mayPlanSlim({ schemas: ["public"], mode: "empty" }), true);
  assert.equal(mayPlanSlim({ tables: ["public.t"] }), false);
  assert.equal(mayPlanSlim({ intoSchema: "copy" }), false);
  assert.equal(mayPlanSlim({ tables: ["t"], onlyLost: true }), false);
});
