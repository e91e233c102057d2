/** @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decideRetention, type RetainedBackup, type RetentionRules } from "./retention.ts";

const DAY_MS = 86_400_000;
const NOW = new Date("2026-06-15T12:00:00.000Z");
const RULES: RetentionRules = {
  days: { database: 30, function: 90, config: 365, secrets: 365, files: 30 },
  weekly: 4,
  monthly: 12,
  manualDays: 90,
  minimumKept: 1,
  lockedDays: 0,
};

function backup(ageDays: number, more: Partial<RetainedBackup> = {}): RetainedBackup {
  const createdAt = new Date(NOW.getTime() - ageDays * DAY_MS);
  const moment = createdAt.toISOString().replace(/[-:.]/g, "");
  return {
    backupId: `backup_${moment}_${String(ageDays).padStart(10, "0")}`,
    type: "database",
    createdAt,
    origin: "scheduled",
    hasReason: false,
    good: true,
    ...more,
  };
}

function kept(backups: RetainedBackup[], rules: Partial<RetentionRules> = {}, now = NOW) {
  return decideRetention(backups, { rules: { ...RULES, ...rules }, now })
    .filter(({ keep }) => keep).map(({ backupId }) => backupId);
}

Deno.test("a year of daily backups leaves 30 days, 4 weeks and 12 months", () => {
  const daily = Array.from({ length: 500 }, (_, age) => backup(age));
  const decided = decideRetention(daily, { rules: RULES, now: NOW });
  const left = decided.filter(({ keep }) => keep);
  const reasons = Map.groupBy(left, ({ why }) => why.replace(/ \d.*/, ""));
  assert.deepEqual(
    Object.fromEntries([...reasons].map(([why, list]) => [why, list.length])),
    { "younger than": 30, "the newest of the week": 4, "the newest of the month": 12 - 1 },
  );
  const spread = left.slice(30).map(({ backupId, why }) => [backupId.slice(7, 15), why]);
  assert.deepEqual(spread.slice(0, 6), [
    ["20260516", "the newest of the week 2026-W20"],
    ["20260510", "the newest of the week 2026-W19"],
    ["20260503", "the newest of the week 2026-W18"],
    ["20260430", "the newest of the month 2026-04"],
    ["20260426", "the newest of the week 2026-W17"],
    ["20260331", "the newest of the month 2026-03"],
  ]);
});

Deno.test("weeks of New Year belong to the year of their Thursday", () => {
  const of = (day: string) => ({
    ...backup(0),
    backupId: `backup_${day}`,
    createdAt: new Date(`${day}T10:00:00Z`),
  });
  const backups = ["2026-12-31", "2027-01-03", "2027-01-04", "2027-12-01"].map(of);
  const decided = decideRetention(backups, {
    rules: { ...RULES, weekly: 10, monthly: 0 },
    now: new Date("2027-12-01T11:00:00Z"),
  });
  assert.deepEqual(decided.map(({ why }) => why), [
    "younger than 30 days",
    "the newest of the week 2027-W01",
    "the newest of the week 2026-W53",
    "older than 30 days",
  ]);
});

Deno.test("types have their own days, and only databases weeks and months", () => {
  const files = [backup(0, { type: "files" }), backup(31, { type: "files" })];
  const config = [backup(1, { type: "config" }), backup(300, { type: "config" })];
  assert.deepEqual(kept([...files, ...config]).length, 3);
});

Deno.test("what somebody made with a reason, and ways back, stay 90 days", () => {
  const young = backup(0);
  const manual = backup(80, { origin: "manual", hasReason: true });
  const bare = backup(80.1, { origin: "manual" });
  const safety = backup(80.2, { origin: "safety" });
  const old = backup(91, { origin: "manual", hasReason: true });
  const rules = { weekly: 0, monthly: 0 };
  assert.deepEqual(
    kept([young, manual, bare, safety, old], rules),
    [young, manual, safety].map(
      ({ backupId }) => backupId,
    ),
  );
});

Deno.test("where backups have stopped nothing expires, whatever the clock says", () => {
  const backups = [backup(40), backup(41), backup(60)];
  assert.equal(kept(backups, { weekly: 0, monthly: 0 }).length, 3);
  const later = new Date("2099-01-01T00:00:00Z");
  assert.equal(kept(backups, { weekly: 0, monthly: 0 }, later).length, 3);
});

Deno.test("a backup from the future neither expires nor counts as the last good one", () => {
  const future = backup(-1000);
  const backups = [future, backup(31), backup(70)];
  const rules = { weekly: 0, monthly: 0 };
  assert.deepEqual(kept(backups, rules), [future.backupId, backup(31).backupId]);
});

Deno.test("a way back, a partial or a damaged backup is not the last good one", () => {
  const good = backup(70);
  const backups = [
    backup(1, { good: false }),
    backup(2, { origin: "safety" }),
    good,
    backup(200),
  ];
  const decided = decideRetention(backups, {
    rules: { ...RULES, weekly: 0, monthly: 0 },
    now: NOW,
  });
  assert.equal(decided.find(({ backupId }) => backupId === good.backupId)?.keep, true);
  assert.deepEqual(decided.filter(({ keep }) => !keep).map(({ why }) => why), [
    "older than 30 days",
  ]);
});

Deno.test("what a running job reads and what the storage locks is kept, and says so", () => {
  const [young, read, locked] = [backup(0), backup(50), backup(99)];
  const options = {
    rules: { ...RULES, weekly: 0, monthly: 0, lockedDays: 100 },
    now: NOW,
    inUse: new Set([read.backupId]),
  };
  assert.deepEqual(
    decideRetention([young, read, locked], options).map(({ why }) => why),
    [
      "younger than 30 days",
      "a running job reads it",
      "the storage locks it until 2026-06-16T12:00:00.000Z",
    ],
  );
});

const anyBackup = fc.record({
  age: fc.integer({ min: -100, max: 1500 }),
  type: fc.constantFrom("database" as const, "files" as const),
  origin: fc.constantFrom("manual" as const, "scheduled" as const, "safety" as const, null),
  hasReason: fc.boolean(),
  good: fc.boolean(),
});
const anyBackups = fc.array(anyBackup, { maxLength: 60 }).map((list) =>
  list.map(({ age, ...more }, index) => ({
    ...backup(age, more),
    backupId: `${backup(age).backupId.slice(0, 27)}${String(index).padStart(10, "0")}`,
  }))
);
const anyRules = fc.record({
  days: fc.record({
    database: fc.integer({ min: 1, max: 400 }),
    files: fc.integer({ min: 1, max: 400 }),
    function: fc.constant(90),
    config: fc.constant(90),
    secrets: fc.constant(90),
  }),
  weekly: fc.integer({ min: 0, max: 8 }),
  monthly: fc.integer({ min: 0, max: 24 }),
  manualDays: fc.integer({ min: 1, max: 400 }),
  minimumKept: fc.integer({ min: 0, max: 5 }),
  lockedDays: fc.integer({ min: 0, max: 50 }),
});

Deno.test("the newest good backup of every type is kept, by any rules", () => {
  fc.assert(
    fc.property(anyBackups, anyRules, (backups, rules) => {
      const left = new Set(kept(backups, rules));
      for (const type of ["database", "files"] as const) {
        const good = backups.filter((each) =>
          each.type === type && each.good && each.origin !== "safety" && each.createdAt <= NOW
        ).toSorted((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
        if (good[0] === undefined) {
          assert.ok(backups.every((each) => each.type !== type || left.has(each.backupId)));
        } else {
          const same = good.filter(({ createdAt }) =>
            createdAt.getTime() === good[0]!.createdAt.getTime()
          );
          assert.ok(same.some(({ backupId }) => left.has(backupId)));
        }
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("deciding again over what was kept expires nothing more", () => {
  fc.assert(
    fc.property(anyBackups, anyRules, (backups, rules) => {
      const left = new Set(kept(backups, rules));
      const again = kept(backups.filter(({ backupId }) => left.has(backupId)), rules);
      assert.deepEqual(again.toSorted(), [...left].toSorted());
    }),
    { numRuns: 300 },
  );
});

Deno.test("longer and more rules never expire more", () => {
  fc.assert(
    fc.property(anyBackups, anyRules, anyRules, (backups, a, b) => {
      const more: RetentionRules = {
        days: {
          ...a.days,
          database: Math.max(a.days.database, b.days.database),
          files: Math.max(a.days.files, b.days.files),
        },
        weekly: Math.max(a.weekly, b.weekly),
        monthly: Math.max(a.monthly, b.monthly),
        manualDays: Math.max(a.manualDays, b.manualDays),
        minimumKept: Math.max(a.minimumKept, b.minimumKept),
        lockedDays: Math.max(a.lockedDays, b.lockedDays),
      };
      const left = new Set(kept(backups, more));
      assert.deepEqual(kept(backups, a).filter((id) => !left.has(id)), []);
    }),
    { numRuns: 300 },
  );
});

Deno.test("the order in which backups are listed does not matter", () => {
  fc.assert(
    fc.property(anyBackups, anyRules, (backups, rules) => {
      assert.deepEqual(kept(backups.toReversed(), rules), kept(backups, rules));
    }),
    { numRuns: 100 },
  );
});
