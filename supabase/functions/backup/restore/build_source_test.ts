import assert from "node:assert/strict";
import type { Entry, EntryKind } from "../core/model.ts";
import { type BuildInput, buildSource, type BuildWork } from "./build_source.ts";
import type { ComparedLoads } from "./compare_rows.ts";
import { EntryIndex } from "./entry_index.ts";

function entry(kind: EntryKind, name: string, dependsOn: string[] = [], create = ["x"]): Entry {
  return {
    key: `${kind}:${name}`,
    kind,
    section: kind === "table" ? "pre-data" : "post-data",
    schema: "public",
    name,
    identity: `${kind} ${name}`,
    owner: null,
    dependsOn,
    statements: { create, drop: [], owner: [], comment: [], label: [], acl: [] },
  };
}

/** Entries of the tables `small` and `large`, of which the second has the more bytes. */
function sourceOf(entries: Entry[], comparisons = 0) {
  const tables = [entry("table", "small"), entry("table", "large")];
  const input: BuildInput = {
    entries,
    comparisons: Array.from({ length: comparisons }, () => [] as ComparedLoads[]),
    bytes: new Map([["table:small", 1], ["table:large", 1000]]),
    index: new EntryIndex([...tables, ...entries]),
  };
  return buildSource(input);
}

function name(work: BuildWork): string {
  return work.kind === "compare" ? "compare" : work.entry.name;
}

/** What starts now, until something has to wait. */
function startAll(source: ReturnType<typeof sourceOf>): { started: BuildWork[]; then: string } {
  const started: BuildWork[] = [];
  while (true) {
    const next = source.next();
    if (typeof next === "string") return { started, then: next };
    started.push(next.item);
  }
}

const SMALL = ["table:small"];
const LARGE = ["table:large"];

Deno.test("what belongs to the largest table starts first", () => {
  const source = sourceOf([entry("index", "a", SMALL), entry("index", "b", LARGE)]);
  assert.deepEqual(startAll(source).started.map(name), ["b", "a"]);
});

Deno.test("a constraint runs alone on its table and beside those of other tables", () => {
  const source = sourceOf([
    entry("constraint", "large_key", LARGE),
    entry("index", "large_index", LARGE),
    entry("constraint", "small_key", SMALL),
  ]);
  const { started, then } = startAll(source);
  assert.deepEqual(started.map(name), ["large_key", "small_key"]);
  assert.equal(then, "wait");
  source.ended(started[0]!);
  assert.deepEqual(startAll(source).started.map(name), ["large_index"]);
});

Deno.test("rows are compared while indexes are built, when no index is left to start", () => {
  const source = sourceOf([entry("index", "a", LARGE), entry("index", "b", LARGE)], 2);
  assert.deepEqual(startAll(source), {
    started: ["a", "b"].map((name) => ({ kind: "make", entry: entry("index", name, LARGE) }))
      .concat([{ kind: "compare", rows: [] }, { kind: "compare", rows: [] }] as never[]),
    then: "done",
  });
});

Deno.test("nothing that keeps readers out of a table runs beside a comparison", () => {
  const source = sourceOf([
    entry("constraint", "first", LARGE),
    entry("constraint", "second", LARGE),
    entry("foreign-key", "link", SMALL, []),
  ], 2);
  const first = startAll(source);
  assert.deepEqual(first.started.map(name), ["first", "link"]);
  source.ended(first.started[1]!);
  assert.equal(source.next(), "wait");
  source.ended(first.started[0]!);
  const second = startAll(source);
  assert.deepEqual(second.started.map(name), ["second"], "comparisons wait for the constraint");
  source.ended(second.started[0]!);
  assert.equal(source.next(), "done", "who has nothing to wait for compares later");
});

Deno.test("a constraint waits until comparisons have ended", () => {
  const source = sourceOf([
    entry("index", "index", LARGE),
    entry("constraint", "key", LARGE, ["x"]),
  ], 1);
  const { started } = startAll(source);
  assert.deepEqual(started.map(name), ["index", "compare"]);
  source.ended(started[0]!);
  assert.equal(source.next(), "wait");
  source.ended(started[1]!);
  assert.deepEqual(startAll(source).started.map(name), ["key"]);
});

Deno.test("an index that its table remembers counts as a change of the table", () => {
  const source = sourceOf([
    entry("index", "plain", LARGE),
    entry("index", "identity", LARGE, ["CREATE INDEX …", "ALTER TABLE … REPLICA IDENTITY …"]),
  ]);
  const { started, then } = startAll(source);
  assert.deepEqual(started.map(name), ["plain"]);
  assert.equal(then, "wait");
});

Deno.test("entries that need each other are made in the order of the list", () => {
  const source = sourceOf([
    entry("rule", "a", ["rule:b", ...SMALL]),
    entry("rule", "b", ["rule:a", ...SMALL]),
  ]);
  const { started } = startAll(source);
  assert.deepEqual(started.map(name), ["a"]);
  source.ended(started[0]!);
  assert.deepEqual(startAll(source).started.map(name), ["b"]);
  assert.equal(source.next(), "done");
});
