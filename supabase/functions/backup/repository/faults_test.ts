/**
 * What must hold whatever the storage does: a listed backup is whole, and the next run succeeds.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  noise,
  readSampleBackup,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../../../../tests/support/repository_samples.ts";
import { BackupError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import { type Fault, faultyStorage } from "../storage/faulty.ts";
import { type MemoryStorage, memoryStorage } from "../storage/memory.ts";
import { retryStorage } from "../storage/retry.ts";
import { createRepository, openRepository } from "./mod.ts";

const FIRST = "backup_20260101T000000000Z_0000000001";
const SECOND = "backup_20260102T000000000Z_0000000002";
const THIRD = "backup_20260103T000000000Z_0000000003";
const PARTS = Array.from({ length: 6 }, (_, i) => noise(2000 + i, i));
const CHANGED = [...PARTS.slice(0, 4), noise(2500, 90), noise(100, 91)];
const OWNER = { projectRef: null, systemIdentifier: "1", database: "db" };
const noWait: Clock = { now: () => new Date(0), sleep: () => Promise.resolve() };

/** A repository with one backup in it, before anything goes wrong. */
async function prepare(): Promise<MemoryStorage> {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: SAMPLE_KEY });
  await writeSampleBackup(repository, { backupId: FIRST, parts: PARTS, targetBytes: 1500 });
  return storage;
}

/** The whole life of a writer: open, claim, remember, write, commit. */
async function backUp(storage: Parameters<typeof openRepository>[0]["storage"], backupId: string) {
  const repository = await openRepository({ storage, key: SAMPLE_KEY });
  await repository.claimOwner(OWNER);
  await repository.rememberBackup("latest");
  await writeSampleBackup(repository, { backupId, parts: CHANGED, targetBytes: 1500 });
}

async function expectWhole(storage: MemoryStorage, what: string): Promise<string[]> {
  const repository = await openRepository({ storage, key: SAMPLE_KEY });
  const { backups, damaged } = await repository.listBackups();
  assert.deepEqual(damaged, [], what);
  const report = await repository.verify({ level: "full" });
  assert.deepEqual(report.problems, [], what);
  for (const { backupId } of backups) {
    const expected = backupId === FIRST ? PARTS : CHANGED;
    assert.deepEqual(await readSampleBackup(repository, backupId), expected, what);
  }
  return backups.map((record) => record.backupId);
}

async function countCalls(): Promise<number> {
  let calls = 0;
  await backUp(faultyStorage(await prepare(), () => (calls++, null)), SECOND);
  return calls;
}

for (const fault of ["death", "error", "lost-answer", "cut", "refused"] as const) {
  Deno.test(`no backup is listed that is not whole: ${fault} at every single call`, async () => {
    const calls = await countCalls();
    assert.ok(calls > 20, `only ${calls} calls`);
    for (let at = 0; at < calls; at++) {
      const storage = await prepare();
      const faulty = faultyStorage(storage, ({ index }) => index === at ? fault : null);
      const outcome = await backUp(faulty, SECOND).then(() => "done", (error: unknown) => error);
      const what = `${fault} at call ${at}`;
      const listed = await expectWhole(storage, what);
      assert.ok(listed.includes(FIRST), what);
      if (outcome === "done") assert.ok(listed.includes(SECOND), what);
      else assert.ok(outcome instanceof BackupError, `${what}: ${outcome}`);
      await backUp(storage, THIRD);
      assert.ok((await expectWhole(storage, what)).includes(THIRD), what);
    }
  });
}

Deno.test("a backup over a storage that fails at random succeeds with retries", async () => {
  const faults: (Fault | null)[] = ["error", "lost-answer", "cut", null, null, null, null];
  for (let seed = 1; seed <= 12; seed++) {
    const storage = await prepare();
    const dice = noise(2000, seed);
    const faulty = faultyStorage(storage, ({ index }) => {
      return faults[(dice[index % dice.length] ?? 0) % faults.length] ?? null;
    });
    await backUp(retryStorage(faulty, { tries: 12, clock: noWait }), SECOND);
    assert.deepEqual(await expectWhole(storage, `seed ${seed}`), [SECOND, FIRST]);
  }
});

Deno.test("createRepository() that dies at any call leaves a place that can be used", async () => {
  for (const fault of ["death", "lost-answer"] as const) {
    for (let at = 0; at < 8; at++) {
      const storage = memoryStorage();
      const faulty = faultyStorage(storage, ({ index }) => index === at ? fault : null);
      await createRepository({ storage: faulty, key: SAMPLE_KEY }).catch(() => {});
      const options = { storage, key: SAMPLE_KEY };
      const repository = await openRepository(options).catch(() => createRepository(options));
      await writeSampleBackup(repository, { backupId: FIRST, parts: PARTS });
      await expectWhole(storage, `${fault} at ${at}`);
    }
  }
});

Deno.test("two creators at once make one repository that both keys' owners agree on", async () => {
  const storage = memoryStorage();
  const options = { storage, key: SAMPLE_KEY };
  const results = await Promise.allSettled([createRepository(options), createRepository(options)]);
  const codes = results.map((r) => r.status === "rejected" ? r.reason.code : "made");
  assert.deepEqual(codes.toSorted(), ["made", "repository_exists"]);
  const made = results.find((result) => result.status === "fulfilled")?.value;
  assert.equal((await openRepository(options)).id, made?.id);
});

Deno.test("a chunk that the storage lost is stored again by the backup after the one that misses it", async () => {
  const whole = await prepare();
  const chunks = [...whole.objects.keys()].filter((name) => name.startsWith("chunks/"));
  for (const chunk of chunks) {
    const storage = memoryStorage();
    for (const [name, object] of whole.objects) storage.objects.set(name, object);
    storage.objects.delete(chunk);
    await backUp(storage, SECOND).catch((error) => assert.equal(error.code, "object_missing"));
    await backUp(storage, THIRD);
    const repository = await openRepository({ storage, key: SAMPLE_KEY });
    const { problems } = await repository.verify({ level: "full", backups: [THIRD] });
    assert.deepEqual(problems, [], chunk);
    assert.deepEqual(await readSampleBackup(repository, THIRD), CHANGED, chunk);
  }
});
