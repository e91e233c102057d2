import assert from "node:assert/strict";
import { type Draft, Drafts, type DumpContext } from "./context.ts";
import { newDraft } from "./families/new_draft.ts";
import { type NeedsOfDrafts, orderDrafts } from "./order.ts";

/** Orders drafts that need each other as given; returns keys in order and the whole result. */
function order(drafts: Draft[], needs: Record<string, string[]>) {
  const all = new Drafts();
  drafts.forEach((draft) => all.add(draft));
  const remarks: string[] = [];
  const context = { drafts: all, remarks } as unknown as DumpContext;
  const { numbers } = all;
  const dependencies: NeedsOfDrafts = {
    ofDraft: (draft) => (needs[numbers.keyOf(draft)] ?? []).map((key) => numbers.ofKey(key)!),
    draftOf: (object) => all.at(object) === undefined ? undefined : object,
  };
  const ordered = [...orderDrafts(context, dependencies).drafts].map((each) => ({
    ...each,
    dependsOn: each.needs.map((number) => numbers.keyOf(number)).sort(),
  }));
  const keys = ordered.map(({ draft }) => Drafts.key(draft.catalog, draft.oid, draft.part));
  return { ordered, keys, remarks };
}

function draft(catalog: string, oid: number, more: Partial<Draft> & Pick<Draft, "kind">): Draft {
  return newDraft({ catalog, oid, name: `n${oid}`, address: `X "n${oid}"`, ...more });
}

Deno.test("sections stand in their order whatever the names", () => {
  const { keys } = order([
    draft("pg_trigger", 1, { kind: "trigger", section: "post-data" }),
    draft("pg_class", 2, { kind: "table-data", section: "data", part: "data" }),
    draft("pg_class", 2, { kind: "table", schema: "s" }),
    draft("pg_namespace", 3, { kind: "schema" }),
  ], {});
  assert.deepEqual(keys, ["pg_namespace:3", "pg_class:2", "pg_class:2:data", "pg_trigger:1"]);
});

Deno.test("a type and its input function are taken apart by the shell type", () => {
  const { keys, ordered, remarks } = order([
    draft("pg_type", 1, { kind: "type" }),
    draft("pg_type", 1, { kind: "shell-type", part: "shell" }),
    draft("pg_proc", 2, { kind: "function" }),
  ], { "pg_type:1": ["pg_proc:2"], "pg_proc:2": ["pg_type:1"] });
  assert.deepEqual(keys, ["pg_type:1:shell", "pg_proc:2", "pg_type:1"]);
  assert.deepEqual(ordered[1]!.dependsOn, ["pg_type:1:shell"]);
  assert.deepEqual(remarks, []);
});

Deno.test("a shell type that no function asks for is left out", () => {
  const { keys } = order([
    draft("pg_type", 1, { kind: "type" }),
    draft("pg_type", 1, { kind: "shell-type", part: "shell" }),
  ], {});
  assert.deepEqual(keys, ["pg_type:1"]);
});

Deno.test("a default stands in its table, and the table takes over what it needs", () => {
  const { keys, ordered } = order([
    draft("pg_class", 1, { kind: "table" }),
    draft("pg_attrdef", 2, { kind: "default", inlineIn: "pg_class:1" }),
    draft("pg_proc", 3, { kind: "function" }),
  ], { "pg_attrdef:2": ["pg_class:1", "pg_proc:3"] });
  assert.deepEqual(keys, ["pg_proc:3", "pg_class:1"]);
  assert.deepEqual(ordered[1]!.dependsOn, ["pg_proc:3"]);
});

Deno.test("a default that needs its table through a function stands alone behind it", () => {
  let separate: string[] = [];
  const { keys } = order([
    draft("pg_class", 1, {
      kind: "table",
      withoutInline: (parts) => {
        separate = [...parts];
        return { create: ["CREATE TABLE without"], drop: [] };
      },
    }),
    draft("pg_attrdef", 2, { kind: "default", inlineIn: "pg_class:1" }),
    draft("pg_proc", 3, { kind: "function" }),
  ], { "pg_attrdef:2": ["pg_class:1", "pg_proc:3"], "pg_proc:3": ["pg_class:1"] });
  assert.deepEqual(keys, ["pg_class:1", "pg_proc:3", "pg_attrdef:2"]);
  assert.deepEqual(separate, ["pg_attrdef:2"]);
});

Deno.test("views that need each other become dummies, and their rules come after the data", () => {
  const view = (oid: number) =>
    draft("pg_class", oid, {
      kind: "view",
      withoutInline: () => ({ create: ["dummy"], drop: [] }),
    });
  const rule = (oid: number, host: number) =>
    draft("pg_rewrite", oid, { kind: "rule", section: "post-data", inlineIn: `pg_class:${host}` });
  const { keys, ordered } = order([view(1), view(2), rule(3, 1), rule(4, 2)], {
    "pg_rewrite:3": ["pg_class:1", "pg_class:2"],
    "pg_rewrite:4": ["pg_class:2", "pg_class:1"],
  });
  assert.equal(keys.length, 3);
  const dummies = ordered.filter(({ draft }) => draft.create[0] === "dummy");
  assert.equal(dummies.length, 1);
  assert.equal(ordered.at(-1)!.draft.kind, "rule");
});

Deno.test("a materialized view that needs a constraint is made after the data", () => {
  const { keys, ordered } = order([
    draft("pg_class", 1, { kind: "table" }),
    draft("pg_constraint", 2, { kind: "constraint", section: "post-data" }),
    draft("pg_class", 3, { kind: "materialized-view" }),
  ], { "pg_constraint:2": ["pg_class:1"], "pg_class:3": ["pg_class:1", "pg_constraint:2"] });
  assert.deepEqual(keys, ["pg_class:1", "pg_constraint:2", "pg_class:3"]);
  assert.equal(ordered[2]!.draft.section, "post-data");
});

Deno.test("a loop without a rule is broken and told", () => {
  const { keys, remarks } = order([
    draft("pg_ts_dict", 1, { kind: "text-search-dictionary" }),
    draft("pg_ts_template", 2, { kind: "text-search-template" }),
  ], { "pg_ts_dict:1": ["pg_ts_template:2"], "pg_ts_template:2": ["pg_ts_dict:1"] });
  assert.equal(keys.length, 2);
  assert.match(remarks[0]!, /depend on each other in a circle/);
});

Deno.test("every key that an entry needs stands before it", () => {
  const { ordered, keys } = order([
    draft("pg_class", 1, { kind: "table" }),
    draft("pg_constraint", 5, { kind: "check-constraint", inlineIn: "pg_class:1" }),
    draft("pg_class", 2, { kind: "table" }),
    draft("pg_class", 2, { kind: "table-data", section: "data", part: "data" }),
    draft("pg_constraint", 6, { kind: "foreign-key", section: "post-data" }),
  ], { "pg_class:1": ["pg_class:2"], "pg_constraint:6": ["pg_class:1", "pg_constraint:5"] });
  ordered.forEach(({ dependsOn }, at) => {
    for (const key of dependsOn) assert.ok(keys.indexOf(key) >= 0 && keys.indexOf(key) < at, key);
  });
  assert.deepEqual(ordered.at(-1)!.dependsOn, ["pg_class:1"]);
});

Deno.test("a domain's check that needs a function of the domain stands before the tables", () => {
  const { keys } = order([
    draft("pg_type", 1, { kind: "type" }),
    draft("pg_proc", 2, { kind: "function" }),
    draft("pg_constraint", 3, {
      kind: "domain-constraint",
      section: "post-data",
      inlineIn: "pg_type:1",
    }),
    draft("pg_class", 4, { kind: "table" }),
  ], {
    "pg_proc:2": ["pg_type:1"],
    "pg_constraint:3": ["pg_type:1", "pg_proc:2"],
    "pg_class:4": ["pg_type:1"],
  });
  assert.deepEqual(keys, ["pg_type:1", "pg_proc:2", "pg_constraint:3", "pg_class:4"]);
});
