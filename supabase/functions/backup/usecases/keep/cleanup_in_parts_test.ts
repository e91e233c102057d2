/**
 * What a cleanup frees, and that one that is struck anywhere loses nothing and is made good by the next.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  backUp,
  cleanUp,
  copies,
  countOf,
  DAY_MS,
  days,
  expectWhole,
  HOUR_MS,
  idOf,
  open,
  type Place,
  wrong,
} from "../../../../../tests/support/cleanup_samples.ts";
import { BackupError } from "../../core/errors.ts";
import { faultyStorage } from "../../storage/faulty.ts";
import type { MemoryStorage } from "../../storage/memory.ts";
import type { Storage } from "../../storage/storage.ts";
import { presentPoints } from "../points/present_point.ts";

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

Deno.test("a part deletes for no longer than a run may, though the clock was set back since it began", async () => {
  const place = await days(8);
  const { clock } = place;
  const repository = await open({
    ...place,
    storage: faultyStorage(place.storage, ({ method }) => {
      if (method === "delete") clock.at += HOUR_MS;
      return null;
    }),
  });
  const chunks = [...place.storage.objects.keys()].filter((name) => name.startsWith("chunks/"))
    .map((name) => ({ name: name.replace(/.*\//, ""), sizeBytes: 1 }));
  const many = Array.from({ length: 10 }, () => chunks).flat();
  const freed = await repository.freeing.free(many, {
    ...{ of: "chunks", times: { graceMs: 0, lastsMs: HOUR_MS, lockedMs: 0 } },
    until: new Date(clock.at + 10_000 * HOUR_MS).toISOString(),
  });
  assert.ok(freed.count > 0 && freed.count < chunks.length, String(freed.count));
  assert.equal(freed.count + freed.left, many.length);
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

/** Commits a recovery point of backups of these days. */
async function pointOf(place: Place, id: string, backups: number[]): Promise<void> {
  await (await open(place)).commitPoint({
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
}

Deno.test("where no backup is listed nothing is freed, planned or removed: somebody took the records away", async () => {
  const place = await days(8);
  await pointOf(place, "0000000001", [7]);
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

Deno.test("a listing that is cut off takes no recovery point away, and what somebody took away stays named", async () => {
  const place = await days(8);
  const points = ["0000000001", "0000000002", "0000000003"];
  await pointOf(place, points[0]!, [7]);
  await pointOf(place, points[1]!, [6]);
  await pointOf(place, points[2]!, [0]);
  const cut: Storage = {
    ...place.storage,
    async *list(prefix, signal) {
      for await (const object of place.storage.list(prefix, signal)) {
        if (object.name !== `backups/${idOf(7)}`) yield object;
      }
    },
  };
  const removedBy = async (storage: Storage, givenUp: string[] = [], dryRun = false) =>
    (await cleanUp({ storage, clock: place.clock }, { givenUp, dryRun })).removedPoints
      .map((id) => id.slice(-10)).sort();
  assert.deepEqual(await removedBy(cut, [idOf(7)], true), [points[0], points[2]]);
  // The record of day 7 is there, whatever the list and the tables say.
  assert.deepEqual(await removedBy(cut, [idOf(7)]), [points[2]]);
  await place.storage.delete(`backups/${idOf(6)}`);
  assert.deepEqual(await removedBy(place.storage), []);
  assert.deepEqual(await removedBy(place.storage, [idOf(6)]), [points[1]]);
});

Deno.test("a recovery point goes with the last of its backups", async () => {
  const place = await days(8);
  const repository = await open(place);
  await pointOf(place, "0000000001", [0]);
  await pointOf(place, "0000000002", [0, 7]);
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
