import assert from "node:assert/strict";
import type { Entry, EntryKind, TableFacts } from "../core/model.ts";
import { sameDefinition } from "./statements.ts";
import type { Filling, RestorePlan, TargetFacts } from "./plan_types.ts";
import {
  digestNumbers,
  digestText,
  fitsAsItIs,
  hasSlim,
  isPlanOfSlim,
  mayPlanSlim,
  slimEntry,
} from "./slim_backup.ts";

const COLLATED = 'CREATE y COLLATE "pg_catalog"."C"';

function entry(kind: EntryKind, more: Partial<Entry> = {}): Entry {
  return {
    ...{ key: `pg_class:${kind}`, kind, section: "pre-data", schema: "public", name: "t" },
    ...{ identity: `${kind} "public"."t"`, owner: "me", dependsOn: ["pg_namespace:2200"] },
    statements: statements(),
    ...more,
  };
}

function statements(more: Partial<Entry["statements"]> = {}): Entry["statements"] {
  return {
    ...{ create: ["CREATE x", COLLATED], drop: ["DROP x"], owner: ["ALTER x"] },
    ...{ comment: ["COMMENT"], label: ["LABEL"], acl: ["GRANT"] },
    ...more,
  };
}

const target = (facts: Partial<TargetFacts> = {}) =>
  ({ entries: [], tablespaces: [], lackedProviders: [], ...facts }) as unknown as TargetFacts;

Deno.test("slimEntry() keeps what a plan may ask for, and nothing that only makes the object", () => {
  const columns = [{ name: "a" }];
  const table = { sqlName: "t", columns, referencedTables: ["u"] } as unknown as TableFacts;
  const slim = slimEntry(entry("table", { table }), {});
  const [digest, ...asked] = slim.statements.create;
  assert.match(digest!, /^[0-o]{12}$/);
  assert.deepEqual({ ...slim, statements: { ...slim.statements, create: asked } }, {
    ...entry("table"),
    statements: {
      ...{ create: [COLLATED], drop: [], owner: ["to its owner"], comment: [] },
      ...{ label: ["LABEL"], acl: ["GRANT"] },
    },
    table: { sqlName: "t", columns: [], referencedTables: [] },
  });
  const lost = slimEntry(entry("table", { table }), { onlyLost: true, tables: ["t"] });
  assert.equal(lost.table!.columns, columns);
  const down = "CREATE SEQUENCE s INCREMENT BY -1";
  const sequence = entry("sequence", { statements: statements({ create: [down], owner: [] }) });
  assert.deepEqual(slimEntry(sequence, {}).statements.create.slice(1), [down]);
  assert.deepEqual(slimEntry(sequence, {}).statements.owner, []);
});

Deno.test("two slim entries have the same definition where the whole ones say the same, and only there", () => {
  const same = (more: Partial<Entry["statements"]>) =>
    sameDefinition(
      slimEntry(entry("table"), {}),
      slimEntry(entry("table", { statements: statements(more) }), {}),
    );
  assert.equal(same({}), true);
  assert.equal(same({ create: ["CREATE z", COLLATED] }), false);
  assert.equal(same({ create: [COLLATED, "CREATE x"] }), false);
  assert.equal(same({ drop: [] }), false);
  assert.equal(same({ owner: ["ALTER z"] }), false);
  assert.equal(same({ comment: [] }), false);
  // Whose statement is one's last and the other's first is not the same.
  assert.equal(same({ create: ["CREATE x", COLLATED, "DROP x"], drop: [] }), false);
});

Deno.test("slimEntry() leaves alone what is looked into, and what new projects have", () => {
  const whole = [
    entry("function"),
    entry("policy"),
    entry("trigger"),
    entry("schema"),
    entry("check-constraint", { section: "post-data" }),
    entry("table", { managed: true }),
    entry("table-data", { extension: "x" }),
  ];
  for (const each of whole) assert.equal(slimEntry(each, {}), each);
  assert.equal(hasSlim({ entries: whole }, {}), false);
  // By its statements a sequence belongs to a table that is asked for.
  const sequence = entry("sequence");
  assert.equal(slimEntry(sequence, { tables: ["t"] }), sequence);
  assert.equal(hasSlim({ entries: [sequence] }, {}), true);
});

Deno.test("fitsAsItIs() says no where something would be taken out of statements", () => {
  const entries = [entry("table"), entry("function")];
  assert.equal(fitsAsItIs({ entries }, target()), true);
  assert.equal(fitsAsItIs({ entries }, target({ lackedProviders: ['"x"'] })), false);
  const placed = [...entries, entry("tablespace")];
  assert.equal(fitsAsItIs({ entries: placed }, target()), false);
  assert.equal(fitsAsItIs({ entries: placed }, target({ tablespaces: ["t"] })), true);
});

Deno.test("isPlanOfSlim() says no where something that stands would be replaced", () => {
  const plan = (mode: string, inTheWay: string[] | null, adjusted: string[] = []) =>
    ({
      mode,
      adjust: adjusted.map((identity) => ({ identity, statements: [] as string[] })),
      filling: inTheWay === null ? null : { inTheWay } as unknown as Filling,
    }) as RestorePlan;
  assert.equal(isPlanOfSlim(plan("empty", null)), true);
  assert.equal(isPlanOfSlim(plan("over", [])), true);
  assert.equal(isPlanOfSlim(plan("over", ["table t"])), false);
  assert.equal(isPlanOfSlim(plan("over", null)), false);
  assert.equal(isPlanOfSlim(plan("empty", null, ["database-setting DATABASE"])), true);
  assert.equal(isPlanOfSlim(plan("over", [], ['table TABLE "t"'])), false);
  assert.equal(isPlanOfSlim(plan("over", [], ['schema SCHEMA "s"', "function f()"])), true);
});

Deno.test("mayPlanSlim() says no to copies beside, which need the statements", () => {
  assert.equal(mayPlanSlim({ schemas: ["public"], mode: "empty" }), true);
  assert.equal(mayPlanSlim({ tables: ["t"], onlyLost: true }), true);
  assert.equal(mayPlanSlim({ intoSchema: "copy" }), false);
  assert.equal(mayPlanSlim({ mode: "beside" }), false);
});

Deno.test("digestText() keeps all bits of a digest", () => {
  for (const digest of [[0, 0xffffffff], [0x80000001, 63], [0x12345678, 0x9abcdef0]] as const) {
    assert.deepEqual(digestNumbers(digestText(digest)), [...digest]);
  }
});
