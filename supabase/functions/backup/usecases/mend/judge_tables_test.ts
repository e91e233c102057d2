import assert from "node:assert/strict";
import { randomFrom } from "../../../../../tests/support/random_from.ts";
import { type ComparedTable, judgeTables, type Stranger } from "./judge_tables.ts";

const HERE: ComparedTable["look"] = {
  isThere: true,
  hasRows: true,
  unreadable: null,
  unknown: null,
};
const GONE: typeof HERE = { ...HERE, isThere: false, hasRows: null };
const EMPTY: typeof HERE = { ...HERE, hasRows: false };
const UNSEEN: typeof HERE = { ...HERE, hasRows: null, unknown: "permission denied" };

function table(
  sqlName: string,
  rows: number,
  look: Partial<ComparedTable["look"]> = {},
  facts: Partial<ComparedTable> = {},
): ComparedTable {
  return {
    ...{ sqlName, rows, partitionOf: null, isUnlogged: false, refersTo: [] },
    ...{ columns: ["id", sqlName], holds: "own", look: { ...HERE, ...look }, ...facts },
  };
}

/** Six tables with sixty rows, so that what is beside them is the smaller part. */
const REST = ["r1", "r2", "r3", "r4", "r5", "r6"].map((name) => table(name, 10));

const judge = (tables: ComparedTable[], strangers: Stranger[] = [], migrated = false) =>
  judgeTables(tables, { migrated, strangers });

/** The condition, and what would be restored. */
function verdictOf(...tables: ComparedTable[]): [string, string | string[] | null] {
  const { condition, scope, lost } = judge(tables);
  return [condition, scope === "tables" ? lost : scope];
}

const conditionOf = (...tables: ComparedTable[]) => verdictOf(...tables)[0];

Deno.test("judgeTables() calls a database sound whose tables are there, whatever else is there", () => {
  assert.deepEqual(judge([table("a", 10), table("b", 0)]), {
    ...{ condition: "sound", scope: null, findings: [], remarks: [], lost: [], remarked: [] },
  });
  assert.equal(conditionOf(), "sound");
  assert.equal(conditionOf(table("a", 0, EMPTY)), "sound", "the backup has no rows either");
});

Deno.test("judgeTables() calls a database empty when nothing is left of what held rows", () => {
  const { findings, lost, scope } = judge([
    table("a", 10, EMPTY),
    table("b", 5, GONE),
    table("c", 0),
  ]);
  assert.deepEqual([scope, lost], ["database", ["a", "b"]]);
  assert.deepEqual(findings, [
    "a has no rows any more (the backup has 10)",
    "b is gone (the backup has 5)",
  ]);
  assert.deepEqual(verdictOf(table("a", 0, GONE), table("b", 0, GONE)), ["empty", "database"]);
  assert.deepEqual(verdictOf(table("a", 0, GONE), table("b", 0)), ["damaged", ["a"]]);
});

Deno.test("judgeTables() calls a database damaged for a table that cannot be read, however small", () => {
  const torn = table("b", 1, { unreadable: "invalid page in block 3" });
  assert.deepEqual(judge([table("a", 100), torn]), {
    ...{ condition: "damaged", scope: "database", remarks: [], lost: [], remarked: [] },
    findings: ["b cannot be read: invalid page in block 3"],
  });
  assert.equal(
    conditionOf(table("a", 100, { unreadable: "invalid page" })),
    "damaged",
    "what cannot be read is not known to be empty",
  );
  const alone = table("a", 1, { unreadable: "invalid page" });
  assert.deepEqual(verdictOf(alone, table("c", 1, GONE), ...REST), ["damaged", "database"]);
});

Deno.test("judgeTables() restores all when half of all tables with half of all rows are lost, else what is lost", () => {
  const rest = [table("a", 20), table("b", 30)];
  const database = ["damaged", "database"];
  assert.deepEqual(verdictOf(...rest, table("c", 25, EMPTY), table("d", 25, GONE)), database);
  assert.deepEqual(verdictOf(...rest, table("c", 25, EMPTY), table("d", 24, GONE)), [
    "damaged",
    ["d"],
  ], "less than half of all rows");
  assert.deepEqual(
    verdictOf(...rest, table("e", 1), table("c", 26, EMPTY), table("d", 25, GONE)),
    ["damaged", ["d"]],
    "less than half of all tables, and one of them was emptied as queues are",
  );
  assert.deepEqual(
    verdictOf(...rest, table("e", 1), table("c", 26, GONE), table("d", 25, GONE)),
    ["damaged", ["c", "d"]],
  );
});

Deno.test("judgeTables() finds a table that is gone lost, and only that table", () => {
  assert.deepEqual(judge([table("a", 100), table("b", 1, GONE)]), {
    ...{ condition: "damaged", scope: "tables", remarks: [], lost: ["b"], remarked: [] },
    findings: ["b is gone (the backup has 1)"],
  });
  assert.deepEqual(verdictOf(table("a", 100), table("b", 0, GONE)), ["damaged", ["b"]]);
  assert.deepEqual(verdictOf(...REST, table("b", 1000, GONE)), ["damaged", ["b"]]);
});

Deno.test("judgeTables() finds emptied tables lost from half of all rows on", () => {
  assert.deepEqual(verdictOf(...REST, table("log", 60, EMPTY)), ["damaged", ["log"]]);
  assert.deepEqual(verdictOf(...REST, table("log", 59, EMPTY)), ["sound", null]);
  assert.deepEqual(
    verdictOf(...REST, table("log", 30, EMPTY), table("queue", 30, EMPTY)),
    ["damaged", ["log", "queue"]],
  );
  const { remarked, remarks } = judge([...REST, table("log", 59, EMPTY)]);
  assert.deepEqual([remarked, remarks], [["log"], [
    "log has no rows any more (the backup has 59)",
  ]]);
});

Deno.test("judgeTables() finds with a lost table what went with it, or what its rows refer to", () => {
  const emptied = (name: string, refersTo: string[] = [], facts: Partial<ComparedTable> = {}) =>
    table(name, 1, EMPTY, { refersTo, ...facts });
  const log = table("log", 100, EMPTY, { refersTo: ["kinds"] });
  const tied = [emptied("kinds"), emptied("lines", ["log"]), emptied("more", ["lines"])];
  assert.deepEqual(verdictOf(log, ...tied, emptied("queue"), ...REST), [
    "damaged",
    ["log", "kinds", "lines", "more", "queue"],
  ], "together they hold half of all rows");
  const gone = table("log", 1, GONE, { refersTo: ["kinds"] });
  assert.deepEqual(
    verdictOf(gone, ...tied, emptied("queue"), ...REST),
    ["damaged", ["log", "kinds"]],
    "to drop a table empties no other",
  );
  const users = table("users", 3, EMPTY, { holds: "users" });
  const profiles = emptied("profiles", ["users"]);
  const identities = emptied("identities", ["users"], { holds: "of-users" });
  const others = [profiles, identities, emptied("posts", ["profiles"]), emptied("queue")];
  assert.deepEqual(verdictOf(users, ...others, ...REST), [
    "damaged",
    ["users", "profiles", "identities", "posts"],
  ]);
  assert.deepEqual(judge([...others, ...REST]).remarked, ["profiles", "posts", "queue"]);
  assert.deepEqual(verdictOf(...REST, table("u", 1, GONE), emptied("f", [], { holds: "files" })), [
    "damaged",
    ["u"],
  ]);
  const parts = (look: typeof GONE) =>
    ["p1", "p2"].map((name) => table(name, 5, look, { partitionOf: "p" }));
  const parent = table("p", 0, { ...GONE }, { refersTo: ["kinds"] });
  assert.deepEqual(verdictOf(parent, ...parts(GONE), emptied("kinds"), ...REST), [
    "damaged",
    ["p", "p1", "p2", "kinds"],
  ]);
  const child = table("child", 1, GONE, { refersTo: ["p"] });
  const standing = table("p", 0, { hasRows: null });
  assert.deepEqual(verdictOf(child, standing, ...parts(EMPTY), ...REST), [
    "damaged",
    ["child", "p1", "p2"],
  ], "a key of a partitioned table leads to its partitions");
});

Deno.test("judgeTables() holds lost users for a loss, and lost files for a remark", () => {
  const users = table("users", 3, EMPTY, { holds: "users" });
  const own = [table("a", 1000)];
  const judged = judge([...own, users]);
  assert.deepEqual([judged.condition, judged.scope, judged.lost], ["damaged", "tables", ["users"]]);
  assert.deepEqual(judged.findings, ["users has no rows any more (the backup has 3)"]);
  assert.equal(conditionOf(...own, { ...users, rows: 0 }), "sound");
  const files = table("objects", 5000, EMPTY, { holds: "files" });
  const { condition, remarks, remarked } = judge([...own, files]);
  assert.deepEqual([condition, remarked], ["sound", []], "another type of backup brings them back");
  assert.deepEqual(remarks, ["objects has no rows any more (the backup has 5000)"]);
  const manyUsers = table("users", 9000, {}, { holds: "users" });
  assert.equal(
    conditionOf(table("a", 1, EMPTY), manyUsers),
    "empty",
    "users do not hide a loss",
  );
  assert.equal(conditionOf(...own, { ...manyUsers, look: UNSEEN }), "sound");
  const torn = table("objects", 5, { unreadable: "invalid page" }, { holds: "files" });
  assert.equal(conditionOf(table("a", 1, EMPTY), torn), "damaged");
});

Deno.test("judgeTables() only remarks what happens every day", () => {
  const queue = table("queue", 20, EMPTY);
  const old = table("events_2025", 20, GONE, { partitionOf: "events" });
  const unlogged = table("cache", 900, EMPTY, { isUnlogged: true });
  const locked = table("busy", 10, { hasRows: null, unknown: "canceling statement" });
  assert.deepEqual(judge([table("a", 100), queue, old, unlogged, locked]), {
    ...{ condition: "sound", scope: null, findings: [], lost: [] },
    remarks: [
      "queue has no rows any more (the backup has 20)",
      "events_2025 is gone (the backup has 20)",
      "cache has no rows any more (the backup has 900)",
      "busy is not known: canceling statement",
    ],
    remarked: ["queue", "events_2025"],
  });
});

Deno.test("judgeTables() takes lost partitions for old ones while others of their table hold rows", () => {
  const parts = (look: typeof GONE) =>
    ["p1", "p2", "p3"].map((name) => table(name, 90, look, { partitionOf: "p" }));
  const young = table("p4", 1, {}, { partitionOf: "p" });
  for (const look of [GONE, EMPTY]) {
    const { condition, remarked } = judge([...parts(look), young, ...REST]);
    assert.deepEqual([condition, remarked], ["sound", ["p1", "p2", "p3"]]);
    assert.deepEqual(verdictOf(...parts(look), ...REST), ["damaged", ["p1", "p2", "p3"]]);
    assert.equal(conditionOf(...parts(look).slice(0, 1), table("b", 31), ...REST), "sound");
  }
  const next = [{ sqlName: "p5", columns: ["id", "p1", "p2", "p3"] }];
  assert.equal(judge([...parts(GONE), ...REST], next).condition, "sound", "newer ones hold rows");
});

Deno.test("judgeTables() takes a table that is gone after a migration for dropped or renamed by it", () => {
  const after = (...tables: ComparedTable[]) => judge(tables, [], true);
  const { condition, remarked } = after(table("a", 100), table("old_name", 10, GONE));
  assert.deepEqual([condition, remarked], ["sound", ["old_name"]]);
  assert.equal(after(...REST, table("b", 1000, GONE)).condition, "sound");
  assert.equal(after(...REST, table("b", 1000, EMPTY)).condition, "damaged");
  assert.equal(after(table("a", 100), table("b", 100, GONE)).condition, "damaged");
  assert.equal(after(table("a", 100, GONE)).condition, "empty");
});

Deno.test("judgeTables() takes a new table with all columns of one that is gone for that one, renamed", () => {
  const like = (...names: string[]) => [{ sqlName: "new", columns: ["id", "since", ...names] }];
  const tables = [...REST, table("b", 1000, GONE)];
  const renamed = judge(tables, like("b"));
  assert.deepEqual([renamed.condition, renamed.scope, renamed.findings], ["sound", null, []]);
  assert.deepEqual(renamed.remarked, ["b"]);
  assert.deepEqual(renamed.remarks, [
    "new holds rows and is not in the backup: it may be one of those that are gone",
    "b is gone (the backup has 1000)",
  ]);
  assert.deepEqual(judge(tables, like("c")).lost, ["b"], "another table is no reason");
  assert.deepEqual(judge([...tables, table("c", 1, GONE)], like("b")).lost, ["c"]);
  const unnamed = table("d", 1, GONE, { columns: [] });
  assert.equal(judge([...REST, unnamed], like()).condition, "sound");

  const both = [table("a", 10, GONE), table("b", 10, GONE)];
  assert.equal(judge(both, like("a", "b")).condition, "sound");
  assert.equal(judge(both, like("b")).condition, "damaged");
  const halfEmptied = [table("a", 10, EMPTY), table("b", 10, GONE)];
  assert.deepEqual(judge(halfEmptied, like("b")).scope, "database");
  const emptied = [table("a", 10, EMPTY), table("b", 10, EMPTY)];
  assert.equal(judge(emptied, like("a")).condition, "empty");
});

Deno.test("judgeTables() does not know a database of which half of all rows could not be looked at", () => {
  const blind = judge([table("a", 10, UNSEEN), table("b", 10)]);
  assert.deepEqual([blind.condition, blind.scope], ["unknown", null]);
  assert.deepEqual(blind.findings, ["a is not known: permission denied"]);
  assert.equal(conditionOf(table("a", 10, UNSEEN), table("b", 11)), "sound");
  assert.deepEqual(
    verdictOf(table("a", 100, UNSEEN), table("b", 1, GONE)),
    ["damaged", ["b"]],
    "what is lost is lost, whatever the rest is",
  );
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
  const severityOf = (tables: ComparedTable[]) => {
    const { scope, lost } = judge(tables);
    return scope === "database" ? 1000 : lost.length;
  };
  for (let round = 0; round < 2000; round++) {
    const tables = Array.from(
      { length: 1 + Math.floor(random() * 6) },
      (_, at) =>
        table(`t${at}`, of([0, 1, 10, 100]), of([HERE, GONE, EMPTY]), {
          partitionOf: random() < 0.3 ? "p" : null,
          isUnlogged: random() < 0.2,
        }),
    );
    const before = severityOf(tables);
    const lost = of(tables.filter(({ look }) => look !== EMPTY));
    if (lost === undefined) continue;
    const after = tables.map((each) => each === lost ? { ...each, look: GONE } : each);
    assert.ok(severityOf(after) >= before, JSON.stringify([tables, lost.sqlName]));
  }
});
