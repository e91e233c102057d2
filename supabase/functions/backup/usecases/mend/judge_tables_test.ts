import assert from "node:assert/strict";
import { randomFrom } from "../../../../../tests/support/random_from.ts";
import { type ComparedTable, judgeTables } from "./judge_tables.ts";

const HERE = { isThere: true, hasRows: true, unreadable: null, unknown: null };
const GONE = { ...HERE, isThere: false, hasRows: null };
const EMPTY = { ...HERE, hasRows: false };

function table(
  sqlName: string,
  rows: number,
  look: Partial<ComparedTable["look"]> = {},
  facts: Partial<ComparedTable> = {},
): ComparedTable {
  return {
    sqlName,
    rows,
    isPartition: false,
    isUnlogged: false,
    holds: "own",
    look: { ...HERE, ...look },
    ...facts,
  };
}

const judge = (tables: ComparedTable[]) => judgeTables(tables, { migrated: false, strangers: [] });

const conditionOf = (...tables: ComparedTable[]) => judge(tables).condition;

Deno.test("judgeTables() calls a database sound whose tables are there, whatever else is there", () => {
  assert.deepEqual(judge([table("a", 10), table("b", 0)]), {
    ...{ condition: "sound", findings: [], remarks: [], lost: [] },
  });
  assert.equal(conditionOf(), "sound");
  assert.equal(conditionOf(table("a", 0, EMPTY)), "sound", "the backup has no rows either");
});

Deno.test("judgeTables() calls a database empty when nothing is left of what held rows", () => {
  assert.equal(conditionOf(table("a", 10, EMPTY), table("b", 5, GONE), table("c", 0)), "empty");
  assert.equal(conditionOf(table("a", 0, GONE), table("b", 0, GONE)), "empty");
  const { findings, lost } = judge([table("a", 10, EMPTY), table("b", 5, GONE)]);
  assert.deepEqual(lost, ["a", "b"]);
  assert.deepEqual(findings, [
    "a has no rows any more (the backup has 10)",
    "b is gone (the backup has 5)",
  ]);
});

Deno.test("judgeTables() calls a database damaged for a table that cannot be read, however small", () => {
  const torn = table("b", 1, { unreadable: "invalid page in block 3" });
  assert.deepEqual(judge([table("a", 100), torn]), {
    condition: "damaged",
    findings: ["b cannot be read: invalid page in block 3"],
    remarks: [],
    lost: [],
  });
  assert.equal(
    conditionOf(table("a", 100, { unreadable: "invalid page" })),
    "damaged",
    "what cannot be read is not known to be empty",
  );
});

Deno.test("judgeTables() calls a database damaged when at least half of all rows are lost", () => {
  assert.equal(conditionOf(table("a", 50), table("b", 50, EMPTY)), "damaged");
  assert.equal(conditionOf(table("a", 51), table("b", 49, EMPTY)), "sound");
  const others = [table("a", 10), table("b", 10), table("c", 10)];
  assert.equal(conditionOf(...others, table("d", 30, GONE)), "damaged", "one that large is missed");
  assert.equal(conditionOf(...others, table("d", 29, GONE)), "unclear");
});

Deno.test("judgeTables() leaves to people a small table that is gone: all others would lose what is new", () => {
  const gone = judge([table("a", 100), table("b", 1, GONE)]);
  assert.deepEqual(gone, {
    condition: "unclear",
    findings: ["b is gone (the backup has 1)"],
    remarks: [],
    lost: ["b"],
  });
  assert.equal(conditionOf(table("a", 100), table("b", 0, GONE)), "unclear");
});

Deno.test("judgeTables() holds lost users for a loss, and lost files for a remark", () => {
  const users = table("users", 3, EMPTY, { holds: "users" });
  const own = [table("a", 1000)];
  const judged = judge([...own, users]);
  assert.deepEqual([judged.condition, judged.lost], ["unclear", ["users"]]);
  assert.deepEqual(judged.findings, ["users has no rows any more (the backup has 3)"]);
  const files = table("objects", 5000, EMPTY, { holds: "files" });
  assert.deepEqual(judge([...own, files]), {
    condition: "sound",
    findings: [],
    remarks: ["objects has no rows any more (the backup has 5000)"],
    lost: [],
  });
  const manyUsers = table("users", 9000, {}, { holds: "users" });
  const unseen = { hasRows: null, unknown: "permission denied" };
  assert.equal(
    judge([table("a", 1, EMPTY), manyUsers]).condition,
    "empty",
    "users do not hide a loss",
  );
  assert.equal(judge([...own, { ...manyUsers, look: { ...HERE, ...unseen } }]).condition, "sound");
  const torn = table("objects", 5, { unreadable: "invalid page" }, { holds: "files" });
  assert.equal(judge([table("a", 1, EMPTY), torn]).condition, "damaged");
});

Deno.test("judgeTables() only remarks what happens every day", () => {
  const queue = table("queue", 20, EMPTY);
  const old = table("events_2025", 20, GONE, { isPartition: true });
  const unlogged = table("cache", 900, EMPTY, { isUnlogged: true });
  const locked = table("busy", 10, { hasRows: null, unknown: "canceling statement" });
  assert.deepEqual(judge([table("a", 100), queue, old, unlogged, locked]), {
    condition: "sound",
    findings: [],
    remarks: [
      "queue has no rows any more (the backup has 20)",
      "events_2025 is gone (the backup has 20)",
      "cache has no rows any more (the backup has 900)",
      "busy is not known: canceling statement",
    ],
    lost: [],
  });
});

Deno.test("judgeTables() takes a table that is gone after a migration for dropped or renamed by it", () => {
  const after = (...tables: ComparedTable[]) =>
    judgeTables(tables, { migrated: true, strangers: [] });
  const renamed = after(table("a", 100), table("old_name", 10, GONE));
  assert.deepEqual([renamed.condition, renamed.findings], ["sound", []]);
  assert.deepEqual(renamed.remarks, ["old_name is gone (the backup has 10)"]);
  assert.equal(after(table("a", 100), table("b", 100, GONE)).condition, "damaged");
  assert.equal(after(table("a", 100, GONE)).condition, "empty");
});

Deno.test("judgeTables() leaves to people what could be a loss or somebody's work", () => {
  const log = table("log", 1000, EMPTY);
  const rest = [table("a", 10), table("b", 10)];
  const emptied = judge([log, ...rest]);
  assert.equal(emptied.condition, "unclear", "one large table was emptied on purpose, perhaps");
  assert.deepEqual(emptied.findings, ["log has no rows any more (the backup has 1000)"]);
  const rotated = ["p1", "p2", "p3"].map((name) => table(name, 90, GONE, { isPartition: true }));
  assert.equal(conditionOf(...rotated, ...rest, table("c", 1), table("d", 1)), "unclear");

  const beside = (...tables: ComparedTable[]) =>
    judgeTables(tables, { migrated: false, strangers: ["new"] });
  const renamed = beside(table("a", 10), table("b", 10, GONE));
  assert.equal(renamed.condition, "unclear");
  assert.deepEqual(renamed.findings, [
    "b is gone (the backup has 10)",
    "new holds rows and is not in the backup",
  ]);
  assert.equal(beside(table("a", 10, GONE), table("b", 10, GONE)).condition, "unclear");
  assert.equal(beside(table("a", 10, EMPTY), table("b", 10, GONE)).condition, "damaged");
  assert.equal(beside(table("a", 10, EMPTY), table("b", 10, EMPTY)).condition, "empty");
  assert.equal(beside(table("a", 10), table("b", 10)).condition, "sound");

  const unseen = { hasRows: null, unknown: "permission denied" };
  const blind = judge([table("a", 10, unseen), table("b", 9)]);
  assert.equal(blind.condition, "unclear", "what was not seen is not sound");
  assert.deepEqual(blind.findings, ["a is not known: permission denied"]);
});

Deno.test("judgeTables() tells fifty lines and counts the others", () => {
  const tables = Array.from({ length: 60 }, (_, at) => table(`t${at}`, 1, GONE));
  const { findings } = judge(tables);
  assert.equal(findings.length, 51);
  assert.equal(findings.at(-1), "and 10 more");
});

Deno.test("judgeTables() never finds a database sounder for losing one more table", () => {
  const random = randomFrom(7);
  const of = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  const severity = { sound: 0, unclear: 1, damaged: 2, empty: 2 };
  for (let round = 0; round < 2000; round++) {
    const tables = Array.from(
      { length: 1 + Math.floor(random() * 6) },
      (_, at) =>
        table(`t${at}`, of([0, 1, 10, 100]), of([HERE, GONE, EMPTY]), {
          isPartition: random() < 0.3,
          isUnlogged: random() < 0.2,
        }),
    );
    const before = severity[conditionOf(...tables)];
    const lost = of(tables);
    const after = tables.map((each) => each === lost ? { ...each, look: GONE } : each);
    assert.ok(severity[conditionOf(...after)] >= before, JSON.stringify(tables));
  }
});
