/** @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { typeOfJobId } from "../../core/ids.ts";
import { JOB_TYPES } from "../../core/job.ts";
import { DEFAULT_SETTINGS } from "../../core/settings.ts";
import type { BackupRecord, Repository, RetentionRules } from "../../repository/mod.ts";
import { decideRetention } from "../../repository/mod.ts";
import { toJson } from "../../core/json.ts";
import {
  applyRetention,
  findOld,
  lookAtBackups,
  type LookedBackup,
  type RetentionFacts,
  rulesOf,
  toRetained,
} from "./apply_retention.ts";

const DAY_MS = 86_400_000;
const NOW = new Date("2026-06-15T12:00:00.000Z");

/** A repository that has these records and nothing else, and counts which are read. */
function withRecords(records: readonly BackupRecord[], damaged: ReadonlySet<string> = new Set()) {
  const read: string[] = [];
  const byId = new Map(records.map((record) => [record.backupId, record]));
  const repository = {
    backupIds: () =>
      Promise.resolve([...byId.keys()].toSorted((a, b) => a.slice(7) < b.slice(7) ? 1 : -1)),
    listBackups({ ids = [] }: { ids?: readonly string[] }) {
      read.push(...ids);
      const broken = ids.filter((id) => damaged.has(id));
      return Promise.resolve({
        backups: ids.filter((id) => !damaged.has(id)).map((id) => byId.get(id)!),
        damaged: broken.map((backupId) => ({ backupId, code: "object_altered", message: "" })),
      });
    },
  };
  return { repository: repository as unknown as Repository, read };
}

const NO_FACTS: RetentionFacts = {
  ...{ now: NOW, damaged: new Set<string>(), inUse: new Set<string>() },
  ...{ withReason: new Set<string>(), givenUp: new Set<string>() },
};

const anyRecord = fc.record({
  age: fc.integer({ min: -10, max: 800 }),
  type: fc.constantFrom("", "files_"),
  origin: fc.constantFrom("manual" as const, "scheduled" as const, "safety" as const),
  reason: fc.constantFrom(null, "a reason"),
  good: fc.boolean(),
  damaged: fc.integer({ min: 0, max: 9 }).map((dice) => dice === 0),
});

function toRecord(
  { age, type, origin, reason, good }: { age: number } & Record<string, unknown>,
  index: number,
): BackupRecord {
  const moment = new Date(NOW.getTime() - age * DAY_MS).toISOString().replace(/[-:.]/g, "");
  const prefix = origin === "safety" ? "safety" : "backup";
  const backupId = `${prefix}_${moment}_${type}${String(index).padStart(10, "0")}`;
  return {
    ...{ backupId, type: typeOfJobId(backupId), origin, reason },
    ...{ consistency: { level: good ? "one-moment" : "none" }, partial: !good },
    totals: { newStoredBytes: 1 },
  } as unknown as BackupRecord;
}

const anyRules = fc.record({
  days: fc.constant({ database: 30, files: 60, function: 90, config: 90, secrets: 90 }),
  weekly: fc.integer({ min: 0, max: 4 }),
  monthly: fc.integer({ min: 0, max: 12 }),
  manualDays: fc.integer({ min: 1, max: 200 }),
  minimumKept: fc.integer({ min: 1, max: 3 }),
  lockedDays: fc.constantFrom(0, 40),
});

Deno.test("rulesOf() takes the days of each type from the setting of its name", () => {
  const usual = { database: 30, function: 90, config: 365, secrets: 365, files: 30 };
  assert.deepEqual(rulesOf(DEFAULT_SETTINGS, 0).days, usual, "the guide's");
  for (const type of JOB_TYPES) {
    const { days } = rulesOf({ ...DEFAULT_SETTINGS, [`${type}BackupRetention`]: 7 }, 0);
    assert.deepEqual(days, { ...usual, [type]: 7 });
  }
});

Deno.test("applyRetention() decides as if it had read every record", async () => {
  const list = fc.array(anyRecord, { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(list, anyRules, async (chosen, rules: RetentionRules) => {
      const records = chosen.map(toRecord);
      const damaged = new Set(
        records.filter((_, index) => chosen[index]!.damaged).map(({ backupId }) => backupId),
      );
      const { repository } = withRecords(records, damaged);
      const withReason = new Set(
        records.filter(({ reason }) => reason !== null).map(({ backupId }) => backupId),
      );
      const facts = { ...NO_FACTS, withReason };
      const plan = { runId: "cleanup_1", rules, dryRun: true, facts };
      const applied = await applyRetention(repository, plan);
      // The same when what is old was read before, by other workers.
      const ids = await findOld(repository, { rules, now: NOW });
      const looked = toJson(await lookAtBackups(repository, { ids, facts })) as unknown;
      const before = looked as LookedBackup[];
      assert.deepEqual(await applyRetention(repository, { ...plan, looked: before }), applied);
      const all = await repository.listBackups({ ids: await repository.backupIds() });
      const decided = decideRetention(toRetained(all, facts), { rules, now: NOW });
      const idsOf = (list: readonly { backupId: string }[]) =>
        list.map(({ backupId }) => backupId).toSorted();
      assert.deepEqual(idsOf(applied.expired), idsOf(decided.filter(({ keep }) => !keep)));
      assert.deepEqual(idsOf(applied.keptBackups), idsOf(decided.filter(({ keep }) => keep)));
      const untilOf = (list: readonly { backupId: string; until: string | Date | null }[]) =>
        list.filter(({ backupId }) => isUsual(backupId))
          .map(({ backupId, until }) => [backupId, until && new Date(until)]);
      const isUsual = (id: string) =>
        !damaged.has(id) && records.find(({ backupId }) => backupId === id)?.origin !== "scheduled";
      assert.deepEqual(
        untilOf(applied.keptBackups),
        untilOf(decided.filter(({ keep }) => keep)),
      );
    }),
    { numRuns: 200 },
  );
});

Deno.test("applyRetention() reads few records of a year of daily backups", async () => {
  const daily = { type: "", origin: "scheduled", reason: null, good: true };
  const records = Array.from({ length: 365 }, (_, age) => ({ ...daily, age, type: "files_" }))
    .map(toRecord);
  const { repository, read } = withRecords(records);
  const rules = {
    days: { database: 30, files: 360, function: 90, config: 365, secrets: 365 },
    ...{ weekly: 4, monthly: 12, manualDays: 90, minimumKept: 1, lockedDays: 0 },
  };
  const plan = { runId: "cleanup_1", dryRun: true, rules, facts: NO_FACTS };
  const applied = await applyRetention(repository, plan);
  assert.equal(applied.expired.length, 5);
  assert.equal(applied.keptBackups.length, 360);
  assert.equal(read.length, 6);
  const old = await findOld(repository, { rules, now: NOW });
  assert.deepEqual(old.toSorted(), applied.expired.map(({ backupId }) => backupId).toSorted());
});

Deno.test("applyRetention() says of every young backup with a reason that it has the days of one", async () => {
  const manual = { type: "", origin: "manual", good: true };
  const records = [1, 2, 3, 4].map((age) => ({
    ...{ ...manual, age, reason: age === 3 ? null : "before a change" },
  })).map(toRecord);
  const { repository, read } = withRecords(records);
  const withReason = new Set(
    records.filter(({ reason }) => reason !== null).map(({ backupId }) => backupId),
  );
  const applied = await applyRetention(repository, {
    runId: "cleanup_1",
    dryRun: true,
    rules: {
      days: { database: 30, files: 360, function: 90, config: 365, secrets: 365 },
      ...{ weekly: 4, monthly: 12, manualDays: 90, minimumKept: 1, lockedDays: 0 },
    },
    facts: { ...NO_FACTS, withReason },
  });
  assert.deepEqual(applied.keptBackups.map(({ why, until }) => [why, until?.slice(0, 10)]), [
    ["younger than 90 days", "2026-09-12"],
    ["younger than 90 days", "2026-09-11"],
    ["younger than 30 days", "2026-07-12"],
    ["younger than 90 days", "2026-09-09"],
  ]);
  assert.equal(read.length, 1, "the tables know of the others");
});

Deno.test("findOld() finds the same beside a name that tells no moment and sorts as the newest", async () => {
  const facts = { type: "", origin: "manual", reason: "a reason", good: true };
  const records = [1, 300].map((age, index) => toRecord({ ...facts, age }, index));
  const stray = { ...records[0]!, backupId: "backup_zzz" };
  const { repository } = withRecords([stray, ...records]);
  const rules = rulesOf(DEFAULT_SETTINGS, 0);
  assert.equal((await repository.backupIds())[0], stray.backupId);
  const old = await findOld(repository, { rules, now: NOW });
  assert.deepEqual(old, [stray.backupId, records[1]!.backupId]);
});

Deno.test("backups of a half restored database do not make the one before them expire", async () => {
  const facts = { type: "", origin: "scheduled", reason: null, good: true };
  const records = Array.from({ length: 40 }, (_, age) => toRecord({ ...facts, age }, age));
  const half = { unfinishedRestore: { jobId: "restore_1", backupId: "backup_1", since: "" } };
  const consist = (some: readonly BackupRecord[], more: object) => {
    for (const each of some) if (each.type === "database") Object.assign(each.consistency, more);
  };
  consist(records.slice(0, 35), half);
  const { repository } = withRecords(records);
  const rules = {
    days: { database: 30, files: 360, function: 90, config: 365, secrets: 365 },
    ...{ weekly: 0, monthly: 0, manualDays: 90, minimumKept: 1, lockedDays: 0 },
  };
  const plan = { runId: "cleanup_1", dryRun: true, rules, facts: NO_FACTS };
  assert.deepEqual((await applyRetention(repository, plan)).expired, []);
  consist(records, { unfinishedRestore: undefined });
  assert.equal((await applyRetention(repository, plan)).expired.length, 10);
});
