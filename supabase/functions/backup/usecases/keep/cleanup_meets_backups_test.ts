/**
 * What must hold whenever cleanups and backups meet, whatever their clocks say: each backup that is stored can be read.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  backUp,
  cleanUp,
  copies,
  DAY_MS,
  days,
  expectWhole,
  HOUR_MS,
  idOf,
  open,
  partsOf,
  type Place,
  wrong,
} from "../../../../../tests/support/cleanup_samples.ts";
import {
  readSampleBackup,
  writeSampleBackup,
} from "../../../../../tests/support/repository_samples.ts";
import { storedChunks } from "../../../../../tests/support/stored_chunks.ts";
import { faultyStorage } from "../../storage/faulty.ts";
import type { MemoryStorage } from "../../storage/memory.ts";
import type { Storage } from "../../storage/storage.ts";

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
  const needed = await storedChunks(writer, [idOf(2)]);
  const isNeeded = (path: string) => needed.some((name) => path.endsWith(name));
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

Deno.test("a storage so slow that plans made meanwhile are of use refuses a backup, which goes through when it is quicker", async () => {
  const place = await days(8);
  const { clock } = place;
  let isSlow = true;
  const storage = faultyStorage(place.storage, ({ method, name }) => {
    // The backup has said what it needs, has found it there, and is not listed yet.
    if (isSlow && method === "put" && name.startsWith("manifests/")) clock.at += 31 * 60_000;
    return null;
  });
  await assert.rejects(backUp({ storage, clock }, 8), { code: "storage_busy" });
  assert.deepEqual(await expectWhole(place), [7, 6, 5, 4, 3, 2, 1, 0]);
  isSlow = false;
  await backUp({ storage, clock }, 8);
  assert.deepEqual(await expectWhole(place), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
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
  const chunks = await storedChunks(await open(place));
  place.clock.at += DAY_MS;
  await cleanUp(place);
  assert.deepEqual(await storedChunks(await open(place)), chunks);
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
    const expired = await storedChunks(await open(first), [idOf(2)]);
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

for (const byDays of [3, -3]) {
  const how = byDays > 0 ? "ahead" : "behind";
  Deno.test(`a worker whose clock is days ${how} cleans up by the server's clock`, async () => {
    const { storage: stored, clock: server } = await days(8);
    const clock = wrong(server, byDays * DAY_MS);
    const { planned } = await cleanUp({ storage: stored, clock }, { server });
    assert.ok(planned.count > 10);
    const early = await cleanUp({ storage: stored, clock }, { server });
    assert.deepEqual([early.freed.count, early.nextFreeAt !== null], [0, true]);

    // What a backup has just stored looks old to a clock that is ahead.
    const writer = await open({ storage: stored, clock: server });
    const { name } = await writer.writeChunk(new Uint8Array(100).fill(7));
    server.at += 13 * HOUR_MS;
    const { name: young } = await writer.writeChunk(new Uint8Array(100).fill(8));
    let deleted = 0;
    const storage = faultyStorage(stored, ({ method, name }) => {
      // The run's time ends after the first deletions; a clock that is behind does not see it.
      if (method === "delete" && name.startsWith("chunks/") && ++deleted === 3) {
        server.at += 16 * 60_000;
      }
      return Promise.resolve(null);
    });
    const { freed, planned: next, waiting } = await cleanUp({ storage, clock }, { server });
    assert.ok(freed.count >= 3 && freed.left > 0, JSON.stringify(freed));
    assert.deepEqual([next.count, waiting.count], [1, 1], `${name} is old enough, ${young} is not`);
    assert.deepEqual(await expectWhole({ storage: stored, clock: server }), [7, 6, 5]);
  });
}
