import assert from "node:assert/strict";
import type { DataPart, Entry, EntryKind, TableFacts } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import { cutRestore, type RestoreLimits, type RestoreStep } from "./cut_restore.ts";
import type { RestorePlan, TableLoad } from "./plan_types.ts";

const LIMITS: RestoreLimits = { entries: 2, partBytes: 100, longBytes: 1000 };

function entry(kind: EntryKind, name: string, dependsOn: string[] = []): Entry {
  const postData = ["index", "constraint", "foreign-key", "trigger", "event-trigger"];
  return {
    key: `${kind}:${name}`,
    kind,
    section: postData.includes(kind) ? "post-data" : "pre-data",
    schema: "public",
    name,
    identity: `${kind} ${name}`,
    owner: null,
    dependsOn,
    statements: { create: ["x"], drop: [], owner: [], comment: [], label: [], acl: [] },
  };
}

function load(name: string, sizes: number[], more: Partial<TableLoad> = {}): TableLoad {
  const parts = sizes.map((rawBytes, part) => ({ entry: `data:${name}`, part, rawBytes }));
  const table = { sqlName: `"public"."${name}"` } as TableFacts;
  return {
    entry: { ...entry("table-data", name), table },
    data: null,
    parts: parts as DataPart[],
    clear: "none",
    checkForeignKeys: false,
    ...more,
  };
}

function cut(create: Entry[], loads: TableLoad[] = [], more: Partial<RestorePlan> = {}) {
  const plan = {
    cluster: [],
    drop: [],
    adjust: [],
    create,
    load: loads,
    refresh: [],
    ...more,
  } as unknown as RestorePlan;
  return cutRestore(plan, new EntryIndex(create), LIMITS);
}

/** Keys of the units of all steps of one name. */
function keysOf(steps: RestoreStep[], name: string): string[][][] {
  return steps.filter((step) => step.name === name).map(({ units }) => units.map((u) => u.keys));
}

Deno.test("definitions are made batch after batch, in their order", () => {
  const steps = cut([entry("table", "a"), entry("table", "b"), entry("view", "c")]);
  assert.deepEqual(keysOf(steps, "definitions"), [[["table:a", "table:b"]], [["view:c"]]]);
});

Deno.test("rows of critical tables have units of their own, before all others", () => {
  const critical = { isCritical: true };
  const steps = cut([], [load("c", [10], critical), load("d", [20], critical), load("a", [90])]);
  assert.deepEqual(keysOf(steps, "rows"), [[["table-data:c", "table-data:d"], ["table-data:a"]]]);
});

Deno.test("small parts share a unit up to its bytes and entries, and a large one is never cut", () => {
  const steps = cut([], [load("a", [60, 40, 1]), load("b", [500])]);
  const [rows] = steps.filter((step) => step.name === "rows");
  assert.deepEqual(rows?.units.map(({ parts, bytes }) => ({ parts, bytes })), [
    { parts: [{ key: "table-data:b", part: 0 }], bytes: 500 },
    { parts: [{ key: "table-data:a", part: 0 }, { key: "table-data:a", part: 1 }], bytes: 100 },
    { parts: [{ key: "table-data:a", part: 2 }], bytes: 1 },
  ]);
});

Deno.test("tables that have rows are cleared together, before any rows come", () => {
  const steps = cut([], [
    load("a", [1], { clear: "truncate" }),
    load("b", [1], { clear: "delete" }),
    load("c", [1], { clear: "truncate" }),
  ]);
  assert.deepEqual(keysOf(steps, "clear"), [[["table-data:a", "table-data:b", "table-data:c"]]]);
  assert.ok(
    steps.findIndex(({ name }) => name === "clear") <
      steps.findIndex(({ name }) => name === "rows"),
  );
});

Deno.test("indexes of a table are built at once, constraints of it after each other", () => {
  const a = entry("table", "a");
  const b = entry("table", "b");
  const steps = cut([
    a,
    b,
    entry("index", "a i", [a.key]),
    entry("index", "a j", [a.key]),
    entry("constraint", "a pk", [a.key]),
    entry("constraint", "b pk", [b.key]),
    entry("foreign-key", "a fk", [a.key, b.key, "constraint:b pk"]),
  ]);
  assert.deepEqual(keysOf(steps, "build"), [
    [["index:a i", "index:a j"], ["constraint:b pk"]],
    [["constraint:a pk"]],
    [["foreign-key:a fk"]],
  ]);
});

Deno.test("a chain of foreign keys needs few levels, not one for each", () => {
  const tables = Array.from({ length: 50 }, (_, i) => entry("table", `t${i}`));
  const keys = tables.slice(1).map((table, i) =>
    entry("foreign-key", `f${i}`, [table.key, tables[i]!.key])
  );
  assert.equal(keysOf(cut([...tables, ...keys]), "build").length, 2);
});

Deno.test("what reads a table at or above the limit is long and alone, one byte below it is not", () => {
  const [a, b] = [entry("table", "a"), entry("table", "b")];
  const steps = cut(
    [a, b, entry("index", "a i", [a.key]), entry("index", "b i", [b.key])],
    [load("a", [1000]), load("b", [999])],
  );
  const long = (name: string) =>
    steps.filter((step) => step.name === name).flatMap(({ units }) =>
      units.filter((unit) => unit.isLong).map((unit) => unit.keys)
    );
  assert.deepEqual(long("build"), [["index:a i"]]);
  assert.deepEqual(long("compare-rows"), [["table-data:a"]]);
});

Deno.test("triggers come after what they may depend on, event triggers after everything", () => {
  const a = entry("table", "a");
  const names = cut([
    a,
    entry("event-trigger", "e"),
    entry("trigger", "a t", [a.key]),
    entry("index", "a i", [a.key]),
  ]);
  assert.deepEqual(keysOf(names, "build"), [[["index:a i"]], [["trigger:a t"]]]);
  assert.deepEqual(keysOf(names, "last"), [[["event-trigger:e"]]]);
});

Deno.test("tables that went through one partitioned table are compared in one unit", () => {
  const loads = [
    load("a", [1], { root: "p" }),
    load("b", [1]),
    load("c", [1], { root: "p" }),
    load("d", [1]),
  ];
  assert.deepEqual(keysOf(cut([], loads), "compare-rows"), [[
    ["table-data:a", "table-data:c"],
    ["table-data:b", "table-data:d"],
  ]]);
});
