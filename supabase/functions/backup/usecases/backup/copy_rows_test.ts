import assert from "node:assert/strict";
import type { TableData, TableFacts } from "../../core/model.ts";
import { DEFAULT_LIMITS } from "../../dump/mod.ts";
import { type CopyRowsPayload, splitPayload } from "./copy_rows.ts";

function payload(
  ranges: CopyRowsPayload["ranges"],
  table: Partial<TableFacts> | null = {},
): CopyRowsPayload {
  const facts = table === null ? null : { accessMethod: "heap", tableBytes: 800 * 8192, ...table };
  const each = { table: facts as TableFacts | null, data: {} as TableData };
  return {
    order: [7],
    ranges,
    tables: Object.fromEntries(ranges.map(({ entry }) => [entry, each])),
    limits: DEFAULT_LIMITS,
    onDamage: "fail",
  };
}

/** The ranges that it comes to when it is split again and again, and how often that takes. */
function smallest(from: CopyRowsPayload): CopyRowsPayload["ranges"] {
  const split = splitPayload(from);
  return split === null ? from.ranges : split.flatMap(smallest);
}

Deno.test("splitPayload() cuts a list into its ranges, each with what is known of its table", () => {
  const small = payload([{ entry: "a", pages: null }, { entry: "b", pages: null }]);
  const split = splitPayload(small)!;
  assert.deepEqual(split.map(({ ranges }) => ranges), small.ranges.map((range) => [range]));
  assert.deepEqual(split.map(({ tables }) => Object.keys(tables)), [["a"], ["b"]]);
  assert.deepEqual(split.map(({ order }) => order), [[7, 0], [7, 1]]);
});

Deno.test("splitPayload() halves pages without a gap, down to single ones, and keeps the end open", () => {
  for (const pages of [null, { from: 0, to: null }, { from: 100, to: null }]) {
    const ranges = smallest(payload([{ entry: "a", pages }]));
    const first = pages?.from ?? 0;
    assert.equal(ranges.length, 800 - first);
    ranges.forEach((range, index) => {
      assert.equal(range.pages!.from, first + index);
      assert.equal(range.pages!.to, index === ranges.length - 1 ? null : first + index + 1);
    });
  }
  const closed = smallest(payload([{ entry: "a", pages: { from: 8, to: 13 } }]));
  assert.deepEqual(closed.map(({ pages }) => pages!.to), [9, 10, 11, 12, 13]);
});

Deno.test("splitPayload() leaves alone what has no pages to cut at", () => {
  const range = { entry: "a", pages: { from: 1, to: 9 } };
  assert.equal(splitPayload(payload([range], { accessMethod: "columnar" })), null);
  assert.equal(splitPayload(payload([range], null)), null);
  assert.equal(splitPayload(payload([{ ...range, tuples: { from: 1, to: 2 } }])), null);
});
