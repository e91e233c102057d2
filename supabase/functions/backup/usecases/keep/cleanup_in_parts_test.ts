/**
 * What must hold whatever happens to a cleanup: every kept backup can be read, and space is freed in the end.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  noise,
  readSampleBackup,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../../../../../tests/support/repository_samples.ts";
import { type Clock, systemClock } from "../../core/clock.ts";
import { BackupError } from "../../core/errors.ts";
import { runInProcess } from "../../jobs/run_in_process.ts";
import { createRepository, openRepository, type RetentionRules } from "../../repository/mod.ts";
import { faultyStorage } from "../../storage/faulty.ts";
import { type MemoryStorage, memoryStorage } from "../../storage/memory.ts";
import type { Storage } from "../../storage/storage.ts";
import { cleanupInParts, type CleanupReport } from "./cleanup_in_parts.ts";
import { presentPoints } from "../points/present_point.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const RULES: RetentionRules = {
  days: { database: 3, function: 3, config: 3, secrets: 3, files: 3 },
  ...{ weekly: 0, monthly: 0, manualDays: 3, minimumKept: 1, lockedDays: 0 },
};
const TIMES = { graceMs: 12 * HOUR_MS, lastsMs: 15 * 60_000, lockedMs: 0 };

/** A clock that moves when it is told to; waiting takes no time. */
function setClock(): Clock & { at: number } {
  return {
    at: Date.parse("2026-06-01T00:00:00Z"),
    now() {
      return new Date(this.at);
    },
    sleep: () => Promise.resolve(),
  };
}

type Place = { storage: Storage; clock: Clock & { at: number } };

const open = ({ storage, clock }: Place) => openRepository({ storage, key: SAMPLE_KEY, clock });

/** Parts of a day's backup: some of every day, some of this one only. */
function partsOf(day: number): Uint8Array[] {
  const same = Array.from({ length: 3 }, (_, i) => noise(3000, i + 1));
  return [...same, noise(3000, 100 + day), noise(2000, 200 + day)];
}

function idOf(day: number): string {
  const moment = new Date(Date.parse("2026-06-01T00:00:00Z") + day * DAY_MS).toISOString();
  return `backup_${moment.replace(/[-:.]/g, "")}_000000${String(day).padStart(4, "0")}`;
}

async function backUp(place: Place, day: number, { parts = partsOf(day) } = {}): Promise<void> {
  const repository = await open(place);
  await repository.rememberBackup("latest");
  await writeSampleBackup(repository, { backupId: idOf(day), parts, targetBytes: 1500 });
}

/** A backup a day for so many days. */
async function days(count: number): Promise<Place & { storage: MemoryStorage }> {
  const clock = setClock();
  const storage = memoryStorage(clock);
  await createRepository({ storage, key: SAMPLE_KEY, clock });
  for (let day = 0; day < count; day++) {
    await backUp({ storage, clock }, day);
    clock.at += DAY_MS;
  }
  return { storage, clock };
}

let runs = 0;

async function cleanUp(
  place: Place,
  { dryRun = false, rules = RULES, whyNot = null as string | null, expired = [] as string[] } = {},
): Promise<CleanupReport> {
  const { clock } = place;
  const runId = `cleanup_20260601T000000000Z_${String(runs++).padStart(10, "0")}`;
  const definition = cleanupInParts({
    plan: { runId, dryRun, rules, times: TIMES },
    repository: await open(place),
    clock,
    facts: () =>
      Promise.resolve({
        ...{ now: clock.now(), damaged: new Set(), inUse: new Set(), withReason: new Set() },
      }),
    whyNotFree: () => Promise.resolve(whyNot),
    expired: ({ backupIds }) => Promise.resolve(void expired.push(...backupIds)),
    decided: () => Promise.resolve(),
    prune: () => Promise.resolve({ rows: 1 }),
  });
  const job = await runInProcess(definition, {
    job: {
      ...{ jobId: runId, kind: "verify", type: "database", backupId: null },
      ...{ reason: null, createdBy: null },
    },
    ...{ clock: systemClock, concurrency: 2 },
  });
  return job.result as unknown as CleanupReport;
}

/** Everything that is listed can be read and is what was saved; returns the days. */
async function expectWhole(place: Place, what = ""): Promise<number[]> {
  const repository = await open(place);
  const { backups, damaged } = await repository.listBackups();
  assert.deepEqual(damaged, [], what);
  const { problems } = await repository.verify({ level: "full" });
  assert.deepEqual(problems, [], what);
  const found = backups.map(({ backupId }) => Number(backupId.slice(-4)));
  for (const day of found) {
    assert.deepEqual(await readSampleBackup(repository, idOf(day)), partsOf(day), what);
  }
  return found;
}

function countOf(storage: MemoryStorage, prefix: string): number {
  return [...storage.objects.keys()].filter((name) => name.startsWith(prefix)).length;
}

Deno.test("what nothing refers to is freed by a cleanup after the grace period, and nothing else", async () => {
  const place = await days(8);
  const { storage, clock } = place;
  const before = countOf(storage, "chunks/");
  const expired: string[] = [];
  const first = await cleanUp(place, { expired });
  assert.deepEqual(expired, [0, 1, 2, 3, 4].map(idOf));
  assert.deepEqual(first.expired.map(({ backupId }) => backupId), expired);
  assert.equal(first.freed.count, 0);
  assert.ok(first.planned.count > 10, String(first.planned.count));
  assert.deepEqual(first.pruned, { rows: 1 });
  assert.equal(countOf(storage, "chunks/"), before);
  assert.deepEqual(await expectWhole(place), [7, 6, 5]);

  clock.at += HOUR_MS;
  const early = await cleanUp(place);
  assert.deepEqual([early.freed.count, early.planned.count], [0, 0]);
  assert.equal(early.nextFreeAt, "2026-06-09T12:00:00.000Z");

  clock.at += 11 * HOUR_MS;
  const second = await cleanUp(place);
  assert.deepEqual(second.freed, { ...first.planned, refused: 0, left: 0 });
  assert.equal(countOf(storage, "manifests/"), 3);
  assert.equal(countOf(storage, "chunks/"), second.kept.count - 3);
  assert.deepEqual(await expectWhole(place), [7, 6, 5]);

  clock.at += DAY_MS;
  await cleanUp(place);
  const left = [...storage.objects.keys()].filter((name) => name.startsWith("freed/"));
  assert.deepEqual(left.map((name) => name.replace(/.*\//, "")), ["expired"]);
  const known = await (await open(place)).freeing.expired();
  assert.deepEqual([...known.keys()], expired);
});

Deno.test("a dry run says what expires and what that frees, and changes nothing", async () => {
  const place = await days(8);
  const before = [...place.storage.objects.keys()];
  const dry = await cleanUp(place, { dryRun: true });
  assert.deepEqual([...place.storage.objects.keys()], before);
  const real = await cleanUp(place);
  assert.deepEqual(dry.expired, real.expired);
  assert.deepEqual(dry.planned, real.planned);
  assert.deepEqual(dry.keptBackups, real.keptBackups);
  assert.deepEqual(dry.pruned, {});
  place.clock.at += DAY_MS;
  const dryAgain = await cleanUp(place, { dryRun: true });
  assert.deepEqual(dryAgain.freed, (await cleanUp(place)).freed);
});

Deno.test("while a backup runs nothing is deleted, and the plan stays", async () => {
  const place = await days(8);
  await cleanUp(place);
  place.clock.at += DAY_MS;
  const held = await cleanUp(place, { whyNot: "backup_x runs" });
  assert.deepEqual([held.freed.count, held.notFreed], [0, "backup_x runs"]);
  assert.ok((await cleanUp(place)).freed.count > 10);
  assert.deepEqual(await expectWhole(place), [7, 6, 5]);
});

Deno.test("a backup that began before the sweep keeps what it uses again", async () => {
  const place = await days(8);
  const { storage, clock } = place;
  // It remembers the chunks of a backup that expires while it works, and stores none of them again.
  const writer = await open(place);
  await writer.rememberBackup(idOf(2));
  await cleanUp(place);
  await writeSampleBackup(writer, { backupId: idOf(8), parts: partsOf(2), targetBytes: 1500 });
  clock.at += DAY_MS;
  const { freed } = await cleanUp(place);
  assert.ok(freed.count > 10);
  const repository = await open(place);
  assert.deepEqual((await repository.verify({ level: "full" })).problems, []);
  assert.deepEqual(await readSampleBackup(repository, idOf(8)), partsOf(2));
  assert.ok([...storage.objects.keys()].some((name) => name.endsWith("/done")));
});

Deno.test("a backup that says what it needs after the sweep has begun waits, and fails when it is gone", async () => {
  const place = await days(8);
  const { clock } = place;
  const writer = await open(place);
  await writer.rememberBackup(idOf(2));
  const commit = () =>
    writeSampleBackup(writer, { backupId: idOf(8), parts: partsOf(2), targetBytes: 1500 });
  const needed = await writer.chunksToCheck({ backups: [idOf(2)] });
  const isNeeded = (path: string) => needed.some(({ name }) => path.endsWith(name));
  await cleanUp(place);
  clock.at += DAY_MS;
  let met: Promise<void> | undefined;
  const storage = faultyStorage(place.storage, async ({ method, name }) => {
    if (method === "delete" && isNeeded(name)) {
      met ??= assert.rejects(commit(), { code: "storage_busy" });
      await met;
    }
    return null;
  });
  assert.ok((await cleanUp({ storage, clock })).freed.count > 10);
  await met!;
  clock.at += 20 * 60_000;
  await assert.rejects(commit(), { code: "object_missing" });
  assert.deepEqual(await expectWhole(place), [7, 6, 5]);
  // Another process knows nothing of what is gone and stores it.
  await backUp(place, 8, { parts: partsOf(2) });
  assert.deepEqual(await readSampleBackup(await open(place), idOf(8)), partsOf(2));
});

Deno.test("a run that lasts too long stops deleting, and the next one goes on", async () => {
  const place = await days(8);
  const { clock } = place;
  await cleanUp(place);
  clock.at += DAY_MS;
  let deletions = 0;
  const slow = faultyStorage(place.storage, ({ method, name }) => {
    if (method === "delete" && name.startsWith("chunks/") && ++deletions === 5) {
      clock.at += HOUR_MS;
    }
    return null;
  });
  const cut = await cleanUp({ storage: slow, clock });
  assert.ok(cut.freed.left > 0 && cut.freed.count > 0);
  assert.ok((await cleanUp(place)).freed.count >= cut.freed.left);
  assert.deepEqual(await expectWhole(place), [7, 6, 5]);
});

Deno.test("nothing is freed while a kept backup cannot be read", async () => {
  const place = await days(8);
  await cleanUp(place);
  place.clock.at += DAY_MS;
  const chunks = countOf(place.storage, "chunks/");
  const record = place.storage.objects.get(`backups/${idOf(7)}`)!;
  record.body[100]! ^= 1;
  await assert.rejects(cleanUp(place), (error: BackupError) => {
    assert.equal(error.code, "object_altered");
    assert.match(error.hint ?? "", /Nothing was freed/);
    return true;
  });
  assert.equal(countOf(place.storage, "chunks/"), chunks);
});

Deno.test("what a lock of the storage holds stays, is told, and is tried again", async () => {
  const place = await days(8);
  const { clock } = place;
  const locked = faultyStorage(place.storage, ({ method, name }) => {
    return method === "delete" && !name.startsWith("freed/") ? "refused" : null;
  });
  const first = await cleanUp({ storage: locked, clock });
  assert.deepEqual(first.expired, []);
  assert.equal(first.refused.length, 5);
  assert.equal((await expectWhole(place)).length, 8);
  await cleanUp(place);
  clock.at += DAY_MS;
  const held = await cleanUp({ storage: locked, clock });
  assert.ok(held.freed.refused > 10 && held.freed.count === 0);
  clock.at += DAY_MS;
  await cleanUp(place);
  clock.at += DAY_MS;
  assert.equal((await cleanUp(place)).freed.count, held.freed.refused);
  assert.deepEqual(await expectWhole(place), [7, 6, 5]);
});

Deno.test("several cleanups at once, as of several machines, do no harm to each other", async () => {
  const place = await days(8);
  for (let round = 0; round < 4; round++) {
    const three = [cleanUp(place), cleanUp(place), cleanUp(place), backUp(place, 8 + round)];
    await Promise.all(three.map((each) =>
      each.catch((error) => {
        assert.ok(["storage_busy", "object_missing"].includes(error.code), String(error));
      })
    ));
    await expectWhole(place, `round ${round}`);
    place.clock.at += DAY_MS;
  }
  await cleanUp(place);
  const chunks = await (await open(place)).chunksToCheck();
  place.clock.at += DAY_MS;
  await cleanUp(place);
  assert.deepEqual(await (await open(place)).chunksToCheck(), chunks);
});

/**
 * A backup that uses the chunks of an expired one again, and the cleanup that would delete these: one of them
 * does all of its work while the other one waits before a call.
 */
async function meet(
  { before, at }: { before: "cleanup" | "backup"; at: number },
  { copy, expired }: { copy: () => Place & { storage: MemoryStorage }; expired: string[] },
): Promise<{ outcome: string; calls: number }> {
  const place = copy();
  const { clock } = place;
  let calls = 0;
  let other: Promise<unknown> | undefined;
  const waiting = faultyStorage(place.storage, async ({ index }) => {
    calls++;
    if (index === at) {
      await (other = before === "cleanup" ? write(place.storage) : clean(place.storage));
    }
    return null;
  });
  let outcome = "not met";
  const write = async (storage: Storage) => {
    const writer = await open({ storage, clock });
    writer.rememberChunks(expired);
    const backup = { backupId: idOf(8), parts: partsOf(2), targetBytes: 1500 };
    outcome = await writeSampleBackup(writer, backup)
      .then(() => "stored", (error) => String(error.code));
  };
  const clean = (storage: Storage) => cleanUp({ storage, clock });
  await (before === "cleanup" ? clean(waiting) : write(waiting));
  await other;
  const repository = await open(place);
  const what = `${before} waits before call ${at}: ${outcome}`;
  assert.deepEqual((await repository.verify({ level: "full" })).problems, [], what);
  if (outcome === "stored") {
    assert.deepEqual(await readSampleBackup(repository, idOf(8)), partsOf(2), what);
  }
  return { outcome, calls };
}

for (const before of ["cleanup", "backup"] as const) {
  Deno.test(`a backup and a cleanup never miss each other, at whatever call the ${before} waits`, async () => {
    const first = await days(6);
    const chunks = await (await open(first)).chunksToCheck({ backups: [idOf(2)] });
    const expired = chunks.map(({ name }) => name);
    await cleanUp(first);
    first.clock.at += DAY_MS;
    const copy = copies(first);
    const outcomes = new Set<string>();
    const { calls } = await meet({ before, at: -1 }, { copy, expired });
    for (let at = 0; at < calls; at++) {
      outcomes.add((await meet({ before, at }, { copy, expired })).outcome);
    }
    assert.deepEqual([...outcomes].toSorted(), ["object_missing", "storage_busy", "stored"]);
  });
}

/** A clock that is wrong by so much. */
function wrong(clock: Clock, byMs: number): Clock & { at: number } {
  return { at: 0, now: () => new Date(clock.now().getTime() + byMs), sleep: clock.sleep };
}

Deno.test("a backup whose host's clock is hours ahead still waits for a run that deletes", async () => {
  const place = await days(8);
  const { clock } = place;
  const writer = await open({ storage: place.storage, clock: wrong(clock, 3 * HOUR_MS) });
  await writer.rememberBackup(idOf(2));
  const backup = { backupId: idOf(8), parts: partsOf(2), targetBytes: 1500 };
  await cleanUp(place);
  clock.at += DAY_MS;
  let met: Promise<void> | undefined;
  const storage = faultyStorage(place.storage, async ({ method, name }) => {
    if (method === "delete" && name.startsWith("chunks/")) {
      await (met ??= assert.rejects(writeSampleBackup(writer, backup), { code: "storage_busy" }));
    }
    return null;
  });
  assert.ok((await cleanUp({ storage, clock })).freed.count > 10);
  await met!;
  assert.deepEqual(await expectWhole(place), [7, 6, 5]);
});

Deno.test("what a backup says that it needs after the sweep stays, whatever its clock lets it do", async () => {
  const place = await days(8);
  const { clock } = place;
  const writer = await open({ storage: place.storage, clock: wrong(clock, 3 * HOUR_MS) });
  await writer.rememberBackup(idOf(2));
  const backup = { backupId: idOf(8), parts: partsOf(2), targetBytes: 1500 };
  await cleanUp(place);
  clock.at += DAY_MS;
  let sweeps = 0;
  let outcome = "not met";
  const storage = faultyStorage(place.storage, async ({ method, name }) => {
    // The last part of the sweep; nothing is deleted yet.
    if (method === "list" && name === "manifests/" && ++sweeps === 1) {
      const commit = () =>
        writeSampleBackup(writer, backup).then(() => "stored", (error) => String(error.code));
      assert.equal(await commit(), "storage_busy");
      outcome = await commit(); // tried again, by a clock that stands behind the run's end
    }
    return null;
  });
  await cleanUp({ storage, clock });
  assert.equal(outcome, "stored");
  const repository = await open(place);
  assert.deepEqual((await repository.verify({ level: "full" })).problems, []);
  assert.deepEqual(await readSampleBackup(repository, idOf(8)), partsOf(2));
});

Deno.test("a plan has to be old by the storage's clock, whatever the clocks of hosts say", async () => {
  for (const [planner, deleter] of [[-13, 0], [0, 13]] as const) {
    const place = await days(8);
    const { storage, clock } = place;
    const planned = await cleanUp({ storage, clock: wrong(clock, planner * HOUR_MS) });
    assert.ok(planned.planned.count > 10);
    clock.at += 60_000;
    const early = await cleanUp({ storage, clock: wrong(clock, deleter * HOUR_MS) });
    assert.deepEqual([early.freed.count, early.freed.left], [0, 0]);
    assert.equal(early.nextFreeAt, "2026-06-09T12:00:00.000Z");
    clock.at += DAY_MS;
    assert.equal((await cleanUp(place)).freed.count, planned.planned.count);
    assert.deepEqual(await expectWhole(place), [7, 6, 5]);
  }
});

Deno.test("where no backup is listed nothing is freed or planned: somebody took the records away", async () => {
  const place = await days(8);
  await cleanUp(place);
  place.clock.at += DAY_MS;
  for (const name of [...place.storage.objects.keys()]) {
    if (name.startsWith("backups/")) place.storage.objects.delete(name);
  }
  const before = [...place.storage.objects.keys()];
  const { notFreed, freed, planned } = await cleanUp(place);
  assert.deepEqual([notFreed, freed.count, planned.count], ["no backup is listed", 0, 0]);
  assert.deepEqual([...place.storage.objects.keys()], before);
});

Deno.test("a storage that lists a backup and then does not know it frees nothing", async () => {
  const place = await days(8);
  await cleanUp(place);
  place.clock.at += DAY_MS;
  const chunks = countOf(place.storage, "chunks/");
  let asked = 0;
  const storage: Storage = {
    ...place.storage,
    head(name) {
      if (name !== `backups/${idOf(7)}`) return place.storage.head(name);
      asked++;
      return Promise.resolve(null);
    },
  };
  await assert.rejects(cleanUp({ storage, clock: place.clock }), { code: "backup_not_found" });
  assert.ok(asked > 0);
  assert.equal(countOf(place.storage, "chunks/"), chunks);
  assert.deepEqual(await expectWhole(place), [7, 6, 5]);
});

Deno.test("a recovery point goes with the last of its backups", async () => {
  const place = await days(8);
  const repository = await open(place);
  const pointOf = (id: string, backups: number[]) =>
    repository.commitPoint({
      format: 1,
      pointId: `point_20260601T000000000Z_${id}`,
      ...{ createdAt: "2026-06-01T00:00:00.000Z", completedAt: "2026-06-01T00:00:01.000Z" },
      ...{ reason: null, origin: "manual", createdBy: null, status: "completed" },
      components: backups.map((day) => ({
        ...{ type: "database", status: "completed", backupId: idOf(day) },
        ...{ from: null, to: null, reason: null },
      })),
      ...{ consistency: [], writtenBy: "test" },
    });
  await pointOf("0000000001", [0]);
  await pointOf("0000000002", [0, 7]);
  const report = await cleanUp(place);
  assert.deepEqual(report.removedPoints, ["point_20260601T000000000Z_0000000001"]);
  const { points } = await repository.listPoints();
  assert.deepEqual(points.map(({ pointId }) => pointId.slice(-1)), ["2"]);
  const [point] = await presentPoints(repository, points);
  assert.equal(point!.status, "partial");
  assert.deepEqual(point!.components.map(({ status, backupId }) => [status, backupId]), [
    ["expired", null],
    ["completed", idOf(7)],
  ]);
  assert.match(point!.components[0]!.reason!, /^retention let it go on 2026-06-09: it was older/);
});

/** Makes the same place again and again. */
function copies(first: Place & { storage: MemoryStorage }): () => typeof first {
  const { at } = first.clock;
  const objects = new Map(first.storage.objects);
  return () => {
    const clock = setClock();
    clock.at = at;
    const storage = memoryStorage(clock);
    for (const [name, { body, modifiedAt }] of objects) {
      storage.objects.set(name, { body, modifiedAt });
    }
    return { storage, clock };
  };
}

/** Six days, and a plan if `planned`; made once and copied, because it is made often. */
async function prepared(planned: boolean): Promise<() => Place & { storage: MemoryStorage }> {
  const first = await days(6);
  if (planned) {
    await cleanUp(first);
    first.clock.at += DAY_MS;
  }
  return copies(first);
}

for (const planned of [false, true]) {
  const what = planned ? "one that frees space" : "one that expires and plans";
  Deno.test(`a cleanup that ends while it writes loses nothing: ${what}`, async () => {
    const copy = await prepared(planned);
    const writes: number[] = [];
    let deletions = 0;
    const place = copy();
    const counting = faultyStorage(place.storage, ({ method, index }) => {
      if (method === "put" || (method === "delete" && ++deletions % 4 === 1)) writes.push(index);
      return null;
    });
    await cleanUp({ storage: counting, clock: place.clock });
    assert.ok(writes.length >= 3, String(writes.length));
    for (const at of writes) {
      for (const fault of ["death", "lost-answer"] as const) {
        await expectRecovery(copy(), { at, fault });
      }
    }
  });
}

/** A cleanup struck at a call, then a backup and two cleanups that nothing strikes. */
async function expectRecovery(
  place: Place & { storage: MemoryStorage },
  { at, fault }: { at: number; fault: "death" | "lost-answer" },
): Promise<void> {
  const { clock } = place;
  const what = `${fault} at call ${at}`;
  const storage = faultyStorage(place.storage, ({ index }) => index === at ? fault : null);
  await cleanUp({ storage, clock }).catch((error) => assert.ok(error instanceof BackupError));
  assert.ok((await expectWhole(place, what)).length >= 3, what);
  clock.at += DAY_MS;
  await backUp(place, 7);
  await cleanUp(place);
  clock.at += DAY_MS;
  await cleanUp(place);
  assert.deepEqual(await expectWhole(place, what), [7, 5], what);
  assert.equal(countOf(place.storage, "manifests/"), 2, what);
}
