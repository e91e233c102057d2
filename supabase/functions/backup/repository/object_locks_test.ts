import assert from "node:assert/strict";
import {
  noise,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../../../../tests/support/repository_samples.ts";
import { bytes, isCode } from "../../../../tests/support/storage_suite.ts";
import type { Clock } from "../core/clock.ts";
import { countedStorage } from "../storage/counted.ts";
import { lockedUntil } from "../storage/locks.ts";
import { memoryStorage } from "../storage/memory.ts";
import { retryStorage } from "../storage/retry.ts";
import type { ObjectLock, Storage } from "../storage/storage.ts";
import { createRepository, openRepository } from "./mod.ts";

const DAY_MS = 86_400_000;
const IDS = [1, 2, 3].map((day) => `backup_2026010${day}T000000000Z_000000000${day}`);

/** A storage in memory that locks for 30 days, and a clock that is set by hand. */
function locking(lock: ObjectLock = { mode: "compliance", days: 30, legalHold: false }) {
  let now = Date.parse("2026-01-01T00:00:00Z");
  const clock: Clock = { now: () => new Date(now), sleep: () => Promise.resolve() };
  const inner = memoryStorage(clock);
  const ends = new Map<string, number>();
  let extensions = 0;
  const storage: Storage = {
    ...inner,
    lock,
    async put(name, body, signal) {
      const result = await inner.put(name, body, signal);
      if (result.created) ends.set(name, lockedUntil(lock, clock).getTime());
      return result;
    },
    async extendLock(names, until) {
      extensions += names.length;
      for (const name of names) {
        if (await inner.head(name) === null) {
          await inner.get(name); // throws
        }
        ends.set(name, Math.max(ends.get(name) ?? 0, until.getTime()));
      }
    },
  };
  return {
    inner,
    // As the service has it: wrapped twice.
    storage: countedStorage(retryStorage(storage)),
    ends,
    clock,
    days: (count: number) => now += count * DAY_MS,
    extensions: () => extensions,
    /** Objects that could be deleted before so many days have gone. */
    loose: (count: number) => [...ends].filter(([, end]) => end < now + count * DAY_MS),
  };
}

Deno.test("Repository keeps what a new backup uses again locked as long as what is new", async () => {
  const { storage, clock, days, loose, ends } = locking();
  const parts = [noise(50_000, 1), noise(50_000, 2)];
  await createRepository({ storage, key: SAMPLE_KEY, clock });
  for (const [at, backupId] of IDS.entries()) {
    const repository = await openRepository({ storage, key: SAMPLE_KEY, clock });
    if (at > 0) await repository.rememberBackup("latest");
    await writeSampleBackup(repository, { backupId, parts });
    const older = [...ends.keys()].filter((name) =>
      IDS.slice(0, at).some((id) => name.endsWith(id))
    );
    const left = loose(30).map(([name]) => name).filter((name) => !name.startsWith("manifests/"));
    assert.deepEqual(left.sort(), older.sort(), "only records of older backups end earlier");
    days(10);
  }
});

Deno.test("Repository asks for a lock once for many uses at one time", async () => {
  const { storage, clock, extensions, days } = locking();
  await createRepository({ storage, key: SAMPLE_KEY, clock });
  const first = await openRepository({ storage, key: SAMPLE_KEY, clock });
  await first.writeChunk(bytes(5000));
  const repository = await openRepository({ storage, key: SAMPLE_KEY, clock });
  const { name } = await repository.writeChunk(bytes(5000));
  assert.equal(extensions(), 1);
  await repository.writeChunk(bytes(5000));
  await repository.extendLocks([name, name]);
  assert.equal(extensions(), 1);
  days(1);
  await repository.extendLocks([name]);
  assert.equal(extensions(), 2);
  await repository.writeChunk(noise(5000, 9));
  await repository.writeChunk(noise(5000, 9));
  assert.equal(extensions(), 2, "what it has just stored is locked");
});

Deno.test("Repository gives a legal hold once to what it uses again", async () => {
  const { storage, clock, extensions, days } = locking({ mode: null, days: 0, legalHold: true });
  await createRepository({ storage, key: SAMPLE_KEY, clock });
  await (await openRepository({ storage, key: SAMPLE_KEY, clock })).writeChunk(bytes(5000));
  const repository = await openRepository({ storage, key: SAMPLE_KEY, clock });
  for (let use = 0; use < 3; use++) {
    await repository.writeChunk(bytes(5000));
    days(1);
  }
  assert.equal(extensions(), 1);
});

Deno.test("Repository does not take a chunk for kept that is gone, and does nothing without locks", async () => {
  const { storage, inner, clock } = locking();
  await createRepository({ storage, key: SAMPLE_KEY, clock });
  const repository = await openRepository({ storage, key: SAMPLE_KEY, clock });
  const { name } = await repository.writeChunk(bytes(5000));
  for (const path of inner.objects.keys()) if (path.endsWith(name)) inner.objects.delete(path);
  const other = await openRepository({ storage, key: SAMPLE_KEY, clock });
  await assert.rejects(other.extendLocks([name]), isCode("object_missing"));
  await (await openRepository({ storage: inner, key: SAMPLE_KEY })).extendLocks([name]);
});
