import assert from "node:assert/strict";
import type { Entry, TableData } from "../../core/model.ts";
import { type DataModel, numberParts, planUnits, powerOfTwo } from "./ranges.ts";

const LIMITS = { partBytes: 8 * 8192, maxPartBytes: 1 << 20 };

function model(
  tables: Record<string, { pages: number; toastBytes?: number; accessMethod?: string }>,
) {
  const entries = Object.entries(tables).map(([name, table]) => ({
    key: name,
    table: {
      sqlName: `"public"."${name}"`,
      tableBytes: table.pages * 8192,
      toastBytes: table.toastBytes ?? 0,
      accessMethod: table.accessMethod ?? "heap",
      condition: null,
    },
  }));
  const tableData = entries.map(({ key }) => ({ entry: key }));
  return {
    entries: entries as unknown as Entry[],
    tableData: tableData as TableData[],
  } as DataModel;
}

Deno.test("planUnits() cuts a large table at powers of two and leaves the last range open", () => {
  const units = planUnits(model({ big: { pages: 20 } }), LIMITS);
  assert.deepEqual(units.map(({ ranges }) => ranges[0]?.pages), [
    { from: 0, to: 8 },
    { from: 8, to: 16 },
    { from: 16, to: null },
  ]);
});

Deno.test("planUnits() keeps its cuts when a table grows", () => {
  const before = planUnits(model({ big: { pages: 20 } }), LIMITS);
  const after = planUnits(model({ big: { pages: 30 } }), LIMITS);
  assert.deepEqual(after.slice(0, 2).map((u) => u.ranges), before.slice(0, 2).map((u) => u.ranges));
});

Deno.test("planUnits() counts TOAST into the size of a page", () => {
  const units = planUnits(model({ big: { pages: 4, toastBytes: 60 * 8192 } }), LIMITS);
  assert.equal(units.length, 4);
});

Deno.test("planUnits() reads tables that are no heaps in one piece", () => {
  const units = planUnits(model({ big: { pages: 400, accessMethod: "columnar" } }), LIMITS);
  assert.deepEqual(units.map(({ ranges }) => ranges[0]?.pages), [null]);
});

Deno.test("planUnits() packs small tables in order of name", () => {
  const units = planUnits(model({ c: { pages: 1 }, a: { pages: 1 }, b: { pages: 1 } }), LIMITS);
  assert.deepEqual(units.map(({ ranges }) => ranges.map(({ entry }) => entry)), [["a", "b", "c"]]);
});

Deno.test("numberParts() numbers by page and row within each entry", () => {
  const part = (entry: string, from: number, tuple?: number) => ({
    entry,
    part: 0,
    pages: { from, to: null },
    ...(tuple === undefined ? {} : { tuples: { from: tuple, to: null } }),
    format: "text" as const,
    encoding: "UTF8",
    rows: 0,
    rawBytes: 0,
    pieces: [],
    fingerprint: null,
  });
  const numbered = numberParts([part("b", 0), part("a", 8), part("a", 0, 5), part("a", 0, 1)]);
  assert.deepEqual(
    numbered.map(({ entry, part, pages, tuples }) => [entry, part, pages?.from, tuples?.from]),
    [["a", 0, 0, 1], ["a", 1, 0, 5], ["a", 2, 8, undefined], ["b", 0, 0, undefined]],
  );
});

Deno.test("powerOfTwo() is never above its number, and at least 1", () => {
  assert.deepEqual([0.3, 1, 2, 3, 4, 1000].map(powerOfTwo), [1, 1, 2, 2, 4, 512]);
});
