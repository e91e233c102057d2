import assert from "node:assert/strict";
import {
  noise,
  readSampleBackup,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../../../../../tests/support/repository_samples.ts";
import { isCode } from "../../../../../tests/support/storage_suite.ts";
import { storedChunks } from "../../../../../tests/support/stored_chunks.ts";
import { systemClock } from "../../core/clock.ts";
import { BackupError } from "../../core/errors.ts";
import type { Job } from "../../core/job.ts";
import { Secret } from "../../core/secret.ts";
import { runInProcess } from "../../jobs/run_in_process.ts";
import { createRepository, openRepository, type Repository } from "../../repository/mod.ts";
import { type MemoryStorage, memoryStorage } from "../../storage/memory.ts";
import type { Storage } from "../../storage/storage.ts";
import { replicateInParts } from "./replicate_in_parts.ts";
import { type ReplicateReport, writeReport } from "./replicate_report.ts";

const FIRST = "backup_20260101T000000000Z_0000000001";
const SECOND = "backup_20260102T000000000Z_0000000002";
const POINT = "point_20260102T000000000Z_0000000003";

/** Rows of which both backups share some. */
const rowsOf = (seed: number) => Array.from({ length: 6 }, (_, i) => noise(1000, seed + i));

/** A repository with two backups, a point, a document and an owner; and an empty place for its copy. */
async function samples(key: Secret | null = SAMPLE_KEY) {
  const original = memoryStorage();
  const writer = await createRepository({ storage: original, key });
  await writeSampleBackup(writer, { backupId: FIRST, parts: rowsOf(1), targetBytes: 1000 });
  await writeSampleBackup(writer, { backupId: SECOND, parts: rowsOf(4), targetBytes: 1000 });
  await writer.commitPoint({
    ...{ format: 1, pointId: POINT, reason: null, origin: "manual", createdBy: "test" },
    ...{ createdAt: "2026-01-02T00:00:00.000Z", completedAt: "2026-01-02T00:00:01.000Z" },
    ...{ status: "completed", components: [], consistency: [], writtenBy: "test" },
  });
  await writer.writeDocument({ name: "plans/custom/000001", value: { id: "a" } });
  await writer.claimOwner({ projectRef: null, systemIdentifier: "7", database: "postgres" });
  return { original, copy: memoryStorage(), key };
}

interface Places {
  original: Storage;
  copy: Storage;
  key: Secret | null;
}

/** Runs a replication in this process, each time by newly opened repositories. */
async function replicate(
  { original, copy, key }: Places,
  options: { level?: "quick" | "full"; dryRun?: boolean; mostChunks?: number } = {},
): Promise<ReplicateReport> {
  const { level = "quick", dryRun = false } = options;
  const repository = await openRepository({ storage: original, key });
  if (options.mostChunks !== undefined) giveRoom(repository, options.mostChunks);
  const job: Job = await runInProcess(
    replicateInParts({
      ...{ level, dryRun },
      original: { storage: original, repository },
      copy: { storage: copy, open: () => openRepository({ storage: copy, key }) },
      async conclude(results) {
        const head = { destination: "offsite", location: copy.location, level, dryRun };
        return { ...await writeReport(head, results) };
      },
    }),
    {
      job: {
        ...{ jobId: "replicate_1", kind: "replicate", type: "database", backupId: "offsite" },
        ...{ reason: null, createdBy: null },
      },
      clock: systemClock,
      concurrency: 2,
    },
  );
  return job.result as unknown as ReplicateReport;
}

/** Lists backups as a worker does that has room for so many chunks. */
function giveRoom(repository: Repository, mostChunks: number) {
  const copyingTo = repository.copyingTo.bind(repository);
  repository.copyingTo = (copy) => {
    const copying = copyingTo(copy);
    return {
      ...copying,
      adopt: (ids, options) => copying.adopt(ids, { ...options, mostChunks }),
      lock: (id, options) => copying.lock(id, { ...options, most: mostChunks }),
    };
  };
}

function bodies({ objects }: MemoryStorage): Map<string, string> {
  return new Map(
    [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, { body }]) => [name, `${body}`]),
  );
}

/** Changes a byte in the middle, or takes the end away. */
function damage({ objects }: MemoryStorage, path: string, how: "altered" | "cut" = "altered") {
  const { body, modifiedAt } = objects.get(path)!;
  const damaged = how === "cut" ? body.slice(0, -3) : body.slice();
  if (how === "altered") damaged[body.length >> 1]! ^= 1;
  objects.set(path, { body: damaged, modifiedAt });
}

const pathOf = (name: string) => `chunks/${name.slice(0, 2)}/${name}`;

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

Deno.test("a full replication reads the copy back and mends what is damaged there", async () => {
  const places = await samples();
  await replicate(places);
  const { original, copy } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const [one, other] = await storedChunks(repository, [FIRST]);
  damage(copy, pathOf(one!));
  damage(copy, pathOf(other!), "cut");
  damage(copy, `backups/${FIRST}`);
  damage(copy, `backups/${SECOND}`, "cut");
  damage(copy, `points/${POINT}`);
  const quick = await replicate({ ...places, copy }, { dryRun: true });
  assert.equal(
    quick.compared.differing.count,
    1,
    "records are adopted, not compared like other objects",
  );
  const report = await replicate(places, { level: "full" });
  assert.deepEqual(report.problems, []);
  assert.equal(report.copied.replaced, 3);
  assert.deepEqual(report.backups.added.toSorted(), [FIRST, SECOND], "records are adopted again");
  assert.ok(report.readBack.bytes > 0);
  assert.deepEqual(bodies(copy), bodies(original));
});

Deno.test("backups of more chunks than a worker has room for are listed one by one", async () => {
  const places = await samples();
  const report = await replicate(places, { mostChunks: 1 });
  assert.deepEqual(report.backups.added.toSorted(), [FIRST, SECOND]);
  assert.deepEqual(report.problems, []);
  assert.deepEqual(bodies(places.copy), bodies(places.original));
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

Deno.test("a damaged record is mended only where all is there that its backup needs", async () => {
  const places = await samples();
  await replicate(places);
  const { original, copy } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const second = new Set(await storedChunks(repository, [SECOND]));
  const own = (await storedChunks(repository, [FIRST])).filter((name) => !second.has(name));
  for (const name of own) for (const { objects } of [original, copy]) objects.delete(pathOf(name));
  damage(copy, `backups/${FIRST}`);
  const before = bodies(copy);
  const report = await replicate(places, { level: "full" });
  assert.deepEqual(report.problems.map(({ object }) => object), [`backups/${FIRST}`]);
  assert.deepEqual(bodies(copy), before);
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

Deno.test("a quick replication replaces what has another length, and reads nothing back", async () => {
  const places = await samples();
  await replicate(places);
  const { original, copy } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const [one] = await storedChunks(repository, [FIRST]);
  damage(copy, pathOf(one!), "cut");
  const report = await replicate(places);
  assert.equal(report.copied.replaced, 1);
  assert.deepEqual(report.readBack, { count: 0, bytes: 0 });
  assert.deepEqual(bodies(copy), bodies(original));
});

Deno.test("what is whole in the copy stays there, though it has another length", async () => {
  const places = await samples();
  await replicate(places);
  const { copy } = places;
  // As another release, or another setting, has compressed the same content.
  const writer = await openRepository({
    ...{ storage: copy, key: SAMPLE_KEY },
    compression: { algorithm: "gzip", level: 1 },
  });
  const { manifest } = await writer.readBackup(FIRST);
  const [list] = manifest.dataParts.chunks;
  const lines = await Array.fromAsync(writer.readLines(manifest.dataParts));
  const lengthOf = () => copy.objects.get(pathOf(list!.name))!.body.length;
  const before = lengthOf();
  copy.objects.delete(pathOf(list!.name));
  await writer.writeLines(lines);
  assert.notEqual(lengthOf(), before);
  const whole = bodies(copy);
  for (const level of ["quick", "full"] as const) {
    const report = await replicate(places, { level });
    assert.equal(report.compared.differing.count, 1);
    assert.deepEqual([report.copied.replaced, report.problems], [0, []]);
    assert.deepEqual(bodies(copy), whole, level);
  }
});

Deno.test("damage does not spread: what is broken in the original reaches no copy, and lists nothing there", async () => {
  const places = await samples();
  const { original, copy } = places;
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const first = await storedChunks(repository, [FIRST]);
  const second = new Set(await storedChunks(repository, [SECOND]));
  const broken = first.find((name) => !second.has(name))!;
  damage(original, pathOf(broken));
  const report = await replicate(places);
  assert.deepEqual(report.backups.added, [SECOND]);
  const said = report.problems.map(({ object, code }) => [object, code]);
  assert.deepEqual(said.toSorted(), [
    [`backups/${FIRST}`, "object_missing"],
    [pathOf(broken), "object_altered"],
  ]);
  const alone = await openRepository({ storage: copy, key: SAMPLE_KEY });
  assert.deepEqual(await alone.backupIds(), [SECOND]);
  assert.deepEqual((await alone.verify({ level: "full" })).problems, []);
});

Deno.test("a good object of the copy is not replaced by a damaged one of the original", async () => {
  const places = await samples();
  await replicate(places);
  const { original, copy } = places;
  const whole = bodies(copy);
  const repository = await openRepository({ storage: original, key: SAMPLE_KEY });
  const [one, other] = await storedChunks(repository, [FIRST]);
  damage(original, pathOf(one!));
  damage(original, pathOf(other!), "cut");
  damage(original, `backups/${FIRST}`, "cut");
  for (const level of ["quick", "full"] as const) {
    const report = await replicate(places, { level });
    assert.ok(report.problems.length >= 2, JSON.stringify(report.problems));
    assert.deepEqual(bodies(copy), whole, level);
  }
});

Deno.test("what somebody takes away from the original stays in the copy", async () => {
  const places = await samples();
  const repository = await openRepository({ storage: places.original, key: SAMPLE_KEY });
  const more = new Secret("ff112233445566778899aabbccddeeff0123456789abcdef0123456789abcdee");
  const { id } = await repository.addKey(more);
  await replicate(places);
  const { original, copy } = places;
  const whole = bodies(copy);
  for (const name of [...original.objects.keys()]) {
    if (/^(chunks|backups|manifests|points|documents)\//.test(name)) original.objects.delete(name);
  }
  await repository.removeKey(id);
  const report = await replicate(places);
  assert.deepEqual(bodies(copy), whole);
  assert.deepEqual(
    report.keysOnlyInCopy,
    [id],
    "somebody has to know that it still opens the copy",
  );
  const alone = await openRepository({ storage: copy, key: more });
  assert.deepEqual(await readSampleBackup(alone, SECOND), rowsOf(4));
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

Deno.test("a key file that is damaged in the copy is brought back", async () => {
  const places = await samples();
  await replicate(places);
  const [name] = [...places.copy.objects.keys()].filter((path) => path.startsWith("keys/"));
  damage(places.copy, name!, "cut");
  await replicate(places);
  assert.deepEqual(bodies(places.copy), bodies(places.original));
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
