/** @module */
import assert from "node:assert/strict";
import fc from "fast-check";
import { JOB_TYPES } from "../../core/job.ts";
import { DEFAULT_SETTINGS } from "../../core/settings.ts";
import { type AllRuns, dueAfter, type LatestRuns, NEVER_RAN, whatIsDue } from "./what_is_due.ts";

const NOW = new Date("2026-06-15T12:00:00.000Z");
const ago = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000);
const good = (minutes: number): LatestRuns => ({ ...NEVER_RAN, startedAt: ago(minutes) });
const failed = (runs: LatestRuns, failures: number, minutes: number): LatestRuns => ({
  ...runs,
  failures,
  failedStart: ago(minutes + 1),
  failedEnd: ago(minutes),
});
const NONE: AllRuns = {
  ...{ madeAt: ago(10), backups: {}, verification: NEVER_RAN, cleanup: NEVER_RAN },
  ...{ replications: {}, copyCleanups: {}, lastBackupEnd: null },
};

Deno.test("what never ran is due ten minutes after the tables were made, unless it was begun by hand", () => {
  const young = { ...NONE, madeAt: ago(9) };
  const due = whatIsDue(DEFAULT_SETTINGS, young, NOW);
  for (const type of JOB_TYPES) {
    const dueAt = new Date("2026-06-15T12:01:00.000Z");
    assert.deepEqual(due.backups[type], { dueAt, isDue: false, retry: 0, why: null });
  }
  const byHand = whatIsDue(DEFAULT_SETTINGS, { ...young, backups: { database: good(2) } }, NOW);
  assert.equal(byHand.backups.database.dueAt?.toISOString(), "2026-06-16T11:58:00.000Z");
  assert.deepEqual([byHand.verification.isDue, byHand.cleanup.isDue], [false, false]);
  const tried = { ...young, backups: { database: failed(NEVER_RAN, 1, 5) } };
  assert.equal(whatIsDue(DEFAULT_SETTINGS, tried, NOW).backups.database.isDue, true);
});

Deno.test("every enabled type is due where there is no backup, and nothing else", () => {
  const due = whatIsDue({ ...DEFAULT_SETTINGS, enableFilesBackup: false }, NONE, NOW);
  assert.deepEqual(JOB_TYPES.filter((type) => due.backups[type].isDue), [
    "database",
    "function",
    "config",
    "secrets",
  ]);
  assert.deepEqual(due.backups.files, {
    dueAt: null,
    isDue: false,
    retry: 0,
    why: "switched off by enableFilesBackup",
  });
  assert.equal(due.verification.isDue, false);
  assert.equal(due.cleanup.isDue, false);
});

Deno.test("each type is due when its own interval has passed since the start of the last one", () => {
  const runs = Object.fromEntries(JOB_TYPES.map((type) => [type, good(25 * 60)]));
  const due = whatIsDue(DEFAULT_SETTINGS, { ...NONE, backups: runs }, NOW);
  assert.deepEqual(JOB_TYPES.filter((type) => due.backups[type].isDue), [
    "database",
    "config",
    "files",
  ]);
  assert.equal(due.backups.function.dueAt?.toISOString(), "2026-06-21T11:00:00.000Z");
  assert.equal(due.verification.isDue, true);
  assert.equal(due.cleanup.isDue, true);
});

Deno.test("every type has a switch and an interval of its own", () => {
  const backups = Object.fromEntries(JOB_TYPES.map((type) => [type, good(120)]));
  const switches = {
    ...{ database: "enableDatabaseBackup", function: "enableFunctionBackup" },
    ...{ config: "enableConfigBackup", secrets: "enableSecretsBackup", files: "enableFilesBackup" },
  };
  const intervals = {
    ...{ database: "databaseBackupInterval", function: "functionBackupInterval" },
    ...{ config: "configBackupInterval", secrets: "secretsBackupInterval" },
    files: "filesBackupInterval",
  };
  for (const type of JOB_TYPES) {
    const settings = { ...DEFAULT_SETTINGS, [intervals[type]]: 1 };
    const isDue = (settings: typeof DEFAULT_SETTINGS) => {
      const due = whatIsDue(settings, { ...NONE, backups }, NOW).backups;
      return JOB_TYPES.filter((each) => due[each].isDue);
    };
    assert.deepEqual(isDue(settings), [type], intervals[type]);
    assert.deepEqual(isDue({ ...settings, [switches[type]]: false }), [], switches[type]);
  }
});

Deno.test("verification has its interval and its switch", () => {
  const runs = { ...NONE, backups: { database: good(10) }, verification: good(23 * 60) };
  assert.equal(whatIsDue(DEFAULT_SETTINGS, runs, NOW).verification.isDue, false);
  const often = { ...DEFAULT_SETTINGS, verificationInterval: 12 };
  assert.equal(whatIsDue(often, runs, NOW).verification.isDue, true);
  const off = { ...often, enableBackupVerification: false };
  assert.equal(
    whatIsDue(off, runs, NOW).verification.why,
    "switched off by enableBackupVerification",
  );
});

Deno.test("one that goes on is not due, however old it is", () => {
  const due = dueAfter({ ...good(10_000), running: true }, 24, NOW);
  assert.deepEqual([due.isDue, due.why], [false, "one goes on"]);
});

Deno.test("a failed run is tried again after 5, 15 and 45 minutes, then at the next interval", () => {
  const before = good(25 * 60);
  for (const [failures, pause] of [[1, 5], [2, 15], [3, 45]] as const) {
    assert.equal(
      dueAfter(failed(before, failures, pause - 1), 24, NOW).isDue,
      false,
      `${failures}`,
    );
    const due = dueAfter(failed(before, failures, pause), 24, NOW);
    assert.deepEqual([due.isDue, due.retry], [true, failures]);
  }
  assert.equal(dueAfter(failed(before, 4, 60), 24, NOW).isDue, false);
  assert.equal(dueAfter(failed(before, 4, 24 * 60), 24, NOW).isDue, true);
  assert.equal(dueAfter(failed(before, 5, 5), 24, NOW).isDue, true, "the next round of tries");
});

Deno.test("a run that failed by hand does not bring the next one forward", () => {
  assert.equal(dueAfter(failed(good(60), 1, 30), 24, NOW).isDue, false);
});

Deno.test("where the interval is shorter than a pause the interval counts", () => {
  const due = dueAfter(failed(good(31), 3, 29), 0.5, NOW);
  assert.equal(due.isDue, true);
});

Deno.test("what is due never runs twice within its interval unless it failed, and never stays behind", () => {
  const minutes = fc.integer({ min: 1, max: 20_000 });
  fc.assert(fc.property(minutes, fc.integer({ min: 1, max: 200 }), (age, hours) => {
    const due = dueAfter(good(age), hours, NOW);
    assert.equal(due.isDue, age >= hours * 60);
    assert.equal(dueAfter(good(0), hours, NOW).isDue, false);
  }));
});

const destination = (name: string) => ({ name, type: "s3" as const, bucket: name });
const copiesOf = (
  replications: AllRuns["replications"],
  backupEnded: number | null,
  names = ["offsite"],
) => {
  const settings = { ...DEFAULT_SETTINGS, destinations: names.map(destination) };
  const lastBackupEnd = backupEnded === null ? null : ago(backupEnded);
  return whatIsDue(settings, { ...NONE, replications, lastBackupEnd }, NOW).copies;
};

Deno.test("a copy is due when a backup has ended since the last one began, and daily in any case", () => {
  assert.deepEqual(copiesOf({}, null).offsite?.why, "there is no backup yet");
  assert.equal(copiesOf({}, 1).offsite?.isDue, true);
  assert.equal(copiesOf({ offsite: good(10) }, 9).offsite?.isDue, true);
  const none = copiesOf({ offsite: good(10) }, 11).offsite;
  assert.deepEqual([none?.isDue, none?.dueAt], [false, ago(10 - 24 * 60)]);
  assert.equal(copiesOf({ offsite: good(24 * 60) }, 2000).offsite?.isDue, true);
  assert.deepEqual(copiesOf({ offsite: good(10) }, 9, []), {}, "no destination");
});

Deno.test("a replication that failed is tried again after a pause, and at once when another backup has ended", () => {
  const runs = (failures: number, minutes: number) => ({
    offsite: failed(good(2000), failures, minutes),
  });
  for (const [failures, pause] of [[1, 5], [2, 15], [3, 45]] as const) {
    assert.equal(copiesOf(runs(failures, pause - 1), 60).offsite?.isDue, false);
    const due = copiesOf(runs(failures, pause), 60).offsite;
    assert.deepEqual([due?.isDue, due?.retry, due?.failures], [true, failures, failures]);
  }
  assert.equal(copiesOf(runs(4, 60), 120).offsite?.isDue, false);
  assert.equal(copiesOf(runs(4, 60), 30).offsite?.isDue, true);
  assert.equal(copiesOf(runs(4, 24 * 60), 2000).offsite?.isDue, true);
});

Deno.test("one replication at a time, and the copy that was tried the longest ago comes first", () => {
  const names = ["near", "far", "new"];
  const runs = { near: good(10), far: good(20) };
  assert.deepEqual(Object.keys(copiesOf(runs, 1, names)), ["new", "far", "near"]);
  const failing = { ...runs, far: failed(good(2000), 3, 5) };
  assert.deepEqual(Object.keys(copiesOf(failing, 1, names)), ["new", "near", "far"]);
  const busy = copiesOf({ ...runs, near: { ...good(10), running: true } }, 1, names);
  assert.deepEqual(Object.values(busy).map(({ isDue }) => isDue), [false, false, false]);
  assert.deepEqual([busy.far?.why, busy.near?.why], ["the one to near goes on", "one goes on"]);
  const removed = copiesOf({ ...runs, gone: { ...good(5), running: true } }, 1, names);
  assert.equal(removed.new?.isDue, false, "also while one to a former destination goes on");
});

Deno.test("a copy is cleaned up daily, once it is there and while nothing is copied to it", () => {
  const settings = { ...DEFAULT_SETTINGS, destinations: ["near", "far"].map(destination) };
  const dueOf = (runs: Partial<AllRuns>) => {
    const { near, far } = whatIsDue(settings, {
      ...{ ...NONE, lastBackupEnd: ago(100), replications: { near: good(90) } },
      ...runs,
    }, NOW).copyCleanups;
    assert.deepEqual([far?.isDue, far?.why], [false, "nothing was copied there yet"]);
    return [near?.isDue, near?.why];
  };
  assert.deepEqual(dueOf({}), [true, null]);
  assert.deepEqual(dueOf({ copyCleanups: { near: good(24 * 60) } }), [true, null]);
  assert.deepEqual(dueOf({ copyCleanups: { near: good(24 * 60 - 1) } }), [false, null]);
  assert.deepEqual(dueOf({ copyCleanups: { near: failed(NEVER_RAN, 1, 4) } }), [false, null]);
  assert.deepEqual(dueOf({ copyCleanups: { near: failed(NEVER_RAN, 1, 5) } }), [true, null]);
  const copying = [false, "it is being copied to"];
  assert.deepEqual(dueOf({ replications: { near: { ...good(90), running: true } } }), copying);
  assert.deepEqual(dueOf({ lastBackupEnd: ago(1) }), copying);
  const busy = [false, "another cleanup goes on"];
  assert.deepEqual(dueOf({ cleanup: { ...good(1), running: true } }), busy);
  assert.deepEqual(dueOf({ copyCleanups: { gone: { ...good(1), running: true } } }), busy);
});
