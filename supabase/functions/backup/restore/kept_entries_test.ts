import assert from "node:assert/strict";
import type { Entry } from "../core/model.ts";
import {
  keepEntries,
  type KeptEntries,
  linesOf,
  linesToRead,
  plannedEntries,
  runsOf,
} from "./kept_entries.ts";

const STORED = ["a", "b", "c", "d"].map((key) => ({ key, dependsOn: ["x"] }) as unknown as Entry);

const lineOf = ({ key }: Entry) => {
  const line = STORED.findIndex((entry) => entry.key === key);
  return line < 0 ? undefined : { line, entry: STORED[line]! };
};

Deno.test("numbers that follow each other are one run, in whatever order the runs stand", () => {
  const lines = [7, 8, 9, 3, 4, -1, 12];
  assert.deepEqual(runsOf(lines), [[7, 3], [3, 2], [-1, 1], [12, 1]]);
  assert.deepEqual(linesOf(runsOf(lines)), lines);
});

Deno.test("entries come back in their order: from their lines, changed, or as the plan alone has them", () => {
  const [a, b, c, d] = STORED as [Entry, Entry, Entry, Entry];
  const late = { ...c, dependsOn: [] };
  const live = { key: "live", dependsOn: [] } as unknown as Entry;
  const kept: KeptEntries = JSON.parse(
    JSON.stringify(keepEntries([late, a, b, live, { ...d }], lineOf)),
  );
  assert.deepEqual(kept, [
    { line: 2, changes: { dependsOn: [] } },
    [0, 2],
    { entry: live },
    [3, 1],
  ]);
  assert.deepEqual(linesToRead(kept), [2, 0, 1, 3]);
  const lines = new Map(STORED.map((entry, line) => [line, entry]));
  assert.deepEqual(plannedEntries(kept, lines), [late, a, b, live, d]);
});
