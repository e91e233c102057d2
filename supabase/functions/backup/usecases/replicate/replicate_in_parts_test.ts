import assert from "node:assert/strict";
import {
  readSampleBackup,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../../../../../tests/support/repository_samples.ts";
import {
  bodies,
  damage,
  FIRST,
  pathOf,
  POINT,
  replicate,
  rowsOf,
  samples,
  SECOND,
} from "../../../../../tests/support/sample_copies.ts";
import { isCode } from "../../../../../tests/support/storage_suite.ts";
import { storedChunks } from "../../../../../tests/support/stored_chunks.ts";
import { BackupError } from "../../core/errors.ts";
import { openRepository } from "../../repository/mod.ts";
import { memoryStorage } from "../../storage/memory.ts";
import type { Storage } from "../../storage/storage.ts";
import { replicateInParts } from "./replicate_in_parts.ts";

for (const key of [SAMPLE_KEY, null]) {
  const how = key ? "encrypted" : "unencrypted";
  Deno.test(`a copy is the repository itself, byte for byte, ${how}`, async () => {
    const places = await samples(key);
    const { original, copy } = places;
    const report = await replicate(places);
    assert.deepEqual(bodies(copy), bodies(original));
    assert.deepEqual(report.problems, []);
    assert.deepEqual(report.backups.added.toSorted(), [FIRST, SECOND]);
    const alone = await openRepository({ storage: copy, key });
    assert.deepEqual(await readSampleBackup(alone, FIRST), rowsOf(1));
    assert.deepEqual((await alone.verify({ level: "full" })).problems, []);

    const again = await replicate(places);
    assert.deepEqual(again.copied, { count: 0, bytes: 0, replaced: 0 });
    assert.deepEqual(again.compared.missing, { count: 0, bytes: 0 });
    assert.deepEqual(again.backups, { there: 2, added: [], leftOut: [] });
  });
}

Deno.test("only what is new since the last time is copied", async () => {
  const places = await samples();
  await replicate(places);
  const writer = await openRepository({ storage: places.original, key: SAMPLE_KEY });
  const third = "backup_20260103T000000000Z_0000000004";
  await writeSampleBackup(writer, { backupId: third, parts: rowsOf(5), targetBytes: 1000 });
  const report = await replicate(places);
  assert.deepEqual(report.backups, { there: 2, added: [third], leftOut: [] });
  // One new chunk of rows, three lists of lines, a manifest; records are adopted, not counted.
  assert.ok(report.copied.count <= 5, String(report.copied.count));
  assert.deepEqual(bodies(places.copy), bodies(places.original));
});

Deno.test("wherever a replication dies, what the copy lists is whole, and the next one ends it", async () => {
  const places = await samples();
  for (let puts = 0;; puts++) {
    const copy = memoryStorage();
    const dying: Storage = {
      ...copy,
      put(name, body, signal) {
        if (copy.objects.size < puts) return copy.put(name, body, signal);
        throw new BackupError("storage_full", "Cannot store: no room");
      },
    };
    const died = await replicate({ ...places, copy: dying }).then(() => false, () => true);
    if (copy.objects.has("repository.json")) {
      const repository = await openRepository({ storage: copy, key: SAMPLE_KEY });
      const { problems, backups } = await repository.verify({ level: "full" });
      assert.deepEqual(problems, [], `after ${puts} objects, ${backups.length} backups`);
    }
    await replicate({ ...places, copy });
    assert.deepEqual(bodies(copy), bodies(places.original));
    if (died) continue;
    assert.ok(puts > 20, String(puts));
    return;
  }
});

Deno.test("backups of more chunks than a worker has room for are listed one by one", async () => {
  const places = await samples();
  const report = await replicate(places, { mostChunks: 1 });
  assert.deepEqual(report.backups.added.toSorted(), [FIRST, SECOND]);
  assert.deepEqual(report.problems, []);
  assert.deepEqual(bodies(places.copy), bodies(places.original));
});

Deno.test("more objects than a part compares are compared by more parts", async () => {
  const places = await samples();
  const { original, copy } = places;
  const report = await replicate(places, { mostCompared: 0 });
  assert.deepEqual(bodies(copy), bodies(original));
  const records = 3; // the two backups and the file that describes the repository, and keys beside
  const keys = [...original.objects.keys()].filter((name) => name.startsWith("keys/")).length;
  assert.equal(report.compared.missing.count, original.objects.size - records - keys);
  const again = await replicate(places, { level: "full", mostCompared: 0 });
  assert.deepEqual(again.compared.same, report.compared.missing);
  assert.deepEqual(again.compared.missing, { count: 0, bytes: 0 });
});

Deno.test("locks of a backup of many chunks are made longer by parts of which none makes them all", async () => {
  const places = await samples();
  await replicate(places);
  const { original, copy } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const chunks = await storedChunks(repository, [SECOND]);
  copy.objects.delete(`backups/${SECOND}`);
  const calls: string[][] = [];
  const locking: Storage = {
    ...copy,
    lock: { mode: "governance", days: 7, legalHold: false },
    extendLock(names) {
      calls.push(names.filter((name) => name.startsWith("chunks/")));
      return Promise.resolve();
    },
  };
  const report = await replicate({ ...places, copy: locking }, { mostChunks: 4 });
  assert.deepEqual([report.backups.added, report.problems], [[SECOND], []]);
  assert.ok(calls.every((names) => names.length <= 4));
  assert.deepEqual([...new Set(calls.flat())].toSorted(), chunks.map(pathOf).toSorted());
});

Deno.test("a recovery point follows its backups", async () => {
  const places = await samples();
  const { original, copy } = places;
  const writer = await openRepository({ storage: original, key: SAMPLE_KEY });
  const pointId = "point_20260103T000000000Z_0000000005";
  const component = {
    ...{ type: "database" as const, status: "completed" as const, backupId: FIRST },
    ...{ from: null, to: null, reason: null },
  };
  await writer.commitPoint({
    ...{ format: 1, pointId, reason: null, origin: "manual", createdBy: "test" },
    ...{ createdAt: "2026-01-03T00:00:00.000Z", completedAt: "2026-01-03T00:00:01.000Z" },
    ...{ status: "completed", components: [component], consistency: [], writtenBy: "test" },
  });
  const second = new Set(await storedChunks(writer, [SECOND]));
  const own = (await storedChunks(writer, [FIRST])).find((name) => !second.has(name))!;
  const chunk = original.objects.get(pathOf(own))!;
  damage(original, pathOf(own));
  await replicate(places);
  assert.ok(!copy.objects.has(`points/${pointId}`), "its backup could not be copied");
  assert.ok(copy.objects.has(`points/${POINT}`));
  original.objects.set(pathOf(own), chunk);
  await replicate(places);
  assert.deepEqual(bodies(copy), bodies(original));
});

Deno.test("a dry run says what the copy lacks and writes nothing", async () => {
  const places = await samples();
  const report = await replicate(places, { dryRun: true });
  assert.equal(places.copy.objects.size, 0);
  assert.deepEqual(report.backups.added.toSorted(), [FIRST, SECOND]);
  assert.ok(report.compared.missing.count > 10 && report.compared.missing.bytes > 9000);
  assert.deepEqual(report.copied, { count: 0, bytes: 0, replaced: 0 });
  await replicate(places);
  const after = await replicate(places, { dryRun: true });
  assert.deepEqual(after.compared.missing, { count: 0, bytes: 0 });
});

Deno.test("another repository is not written over, nor another key file of the same name", async () => {
  const places = await samples();
  const other = await samples();
  await replicate({ ...places, copy: other.copy });
  const whole = bodies(other.copy);
  const strange = await samples();
  const failed = replicate({ ...strange, copy: other.copy });
  await assert.rejects(failed, isCode("conflict"));
  assert.deepEqual(bodies(other.copy), whole);

  const [name] = [...other.copy.objects.keys()].filter((path) => path.startsWith("keys/"));
  const file = other.copy.objects.get(name!)!;
  const text = new TextDecoder().decode(file.body).replace(/"label": ?"first"/, '"label":"other"');
  other.copy.objects.set(name!, { ...file, body: new TextEncoder().encode(text) });
  const again = replicate({ ...places, copy: other.copy });
  await assert.rejects(again, isCode("object_altered"));
  assert.equal(new TextDecoder().decode(other.copy.objects.get(name!)!.body), text);
});

Deno.test("a backup that the copy's own cleanup has let go does not come back", async () => {
  const places = await samples();
  await replicate(places);
  const { copy } = places;
  const repository = await openRepository({ storage: copy, key: SAMPLE_KEY });
  await repository.freeing.expire([{ backupId: FIRST, why: "its days are over" }], {
    ...{ runId: "cleanup_20260301T000000000Z_0000000009", at: new Date("2026-03-01") },
  });
  const report = await replicate(places);
  assert.deepEqual(report.backups, { there: 1, added: [], leftOut: [FIRST] });
  assert.deepEqual(await repository.backupIds(), [SECOND]);
});

Deno.test("a backup that expires while it is copied is left out without a problem", async () => {
  const places = await samples();
  const { original } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const first = await storedChunks(repository, [FIRST]);
  const second = new Set(await storedChunks(repository, [SECOND]));
  const own = first.filter((name) => !second.has(name)).map(pathOf);
  // Retention strikes once everything has been compared: record and chunks go before they are read.
  const expiring: Storage = {
    ...original,
    get(name, options) {
      for (const path of [`backups/${FIRST}`, ...own]) original.objects.delete(path);
      return original.get(name, options);
    },
  };
  const reader = replicateInParts({
    ...{ level: "quick" as const, dryRun: false },
    original: {
      storage: original,
      repository: await openRepository({ storage: original, key: SAMPLE_KEY }),
    },
    copy: {
      storage: places.copy,
      open: () => openRepository({ storage: places.copy, key: SAMPLE_KEY }),
    },
    conclude: () => Promise.resolve({}),
  });
  assert.ok(reader.beginsAnew, "another release's parts are compared anew");
  const report = await replicate({ ...places, original: onceRead(expiring, original) });
  assert.deepEqual(report.problems, []);
  assert.deepEqual(report.backups.added, [SECOND]);
});

/** The storage whose objects can be read as they are until the first chunk is asked for. */
function onceRead(expiring: Storage, before: Storage): Storage {
  return {
    ...before,
    get: (name, options) =>
      name.startsWith("chunks/") ? expiring.get(name, options) : before.get(name, options),
  };
}

Deno.test("a backup is not listed while the copy's cleanup may delete what it needs", async () => {
  const places = await samples();
  await replicate(places);
  const { copy } = places;
  const repository = await openRepository({ storage: copy, key: SAMPLE_KEY });
  const chunks = await storedChunks(repository, [SECOND]);
  copy.objects.delete(`backups/${SECOND}`);
  const times = { graceMs: 0, lastsMs: 60_000, lockedMs: 0 };
  const [planned, deleting] = [1, 2].map((n) => `cleanup_2026030${n}T000000000Z_000000000${n}`);
  await repository.freeing.conclude({
    ...{ runId: planned!, done: [], candidates: { chunks, manifests: [] } },
  });
  await repository.freeing.begin({ runId: deleting!, times, dryRun: false });
  await assert.rejects(replicate(places), isCode("storage_busy"));
  assert.ok(!copy.objects.has(`backups/${SECOND}`));
});
