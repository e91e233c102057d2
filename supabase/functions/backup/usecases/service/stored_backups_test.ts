import assert from "node:assert/strict";
import { writeSampleBackup } from "../../../../../tests/support/repository_samples.ts";
import { newJobId } from "../../core/ids.ts";
import type { NotifyEvent } from "../../core/notify_event.ts";
import { createRepository } from "../../repository/mod.ts";
import type { StoredBackup } from "../../state/job_tables.ts";
import { memoryStorage } from "../../storage/memory.ts";
import type { Deps } from "../deps.ts";
import { syncBackups } from "./stored_backups.ts";
import { tellOfUnreadable } from "./unreadable_records.ts";

/** Tables that know nothing yet. */
function emptyTables() {
  const rows = new Set<string>();
  const noted = new Set<string>();
  const told: NotifyEvent[] = [];
  const state = {
    jobs: {
      unknown: (ids: string[]) => Promise.resolve(ids.filter((id) => !rows.has(id))),
      addFromStorage(backups: StoredBackup[]) {
        const ids = backups.map(({ backupId }) => backupId).filter((id) => !rows.has(id));
        for (const id of ids) rows.add(id);
        return Promise.resolve(ids);
      },
    },
    verifications: {
      unreadable: (ids: string[]) => Promise.resolve(new Set(ids.filter((id) => noted.has(id)))),
      noteUnreadable(records: { id: string }[]) {
        for (const { id } of records) noted.add(id);
        return Promise.resolve();
      },
    },
  };
  const notify = (event: NotifyEvent) => (told.push(event), Promise.resolve());
  return { deps: { state, notify } as unknown as Deps, told, noted };
}

Deno.test("records that cannot be read keep no other from the table, are remembered and told of", async () => {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: null });
  const at = (minutes: number) => newJobId("backup", new Date(Date.UTC(2026, 5, 1, 0, minutes)));
  const good = [at(0), at(1)];
  for (const backupId of good) await writeSampleBackup(repository, { backupId, parts: [] });
  for (let i = 0; i < 260; i++) {
    await storage.put(`backups/${at(10 + i)}`, new TextEncoder().encode("junk"));
  }
  const { deps, told, noted } = emptyTables();
  const first = await syncBackups(deps, repository);
  assert.deepEqual([first.added, first.left, first.unreadable.length], [[], 12, 250]);
  const second = await syncBackups(deps, repository);
  assert.deepEqual([second.added.toSorted(), second.left], [good, 0]);
  assert.equal(noted.size, 260);
  // Each of the others has its turn again, and is found once it is mended.
  const third = await syncBackups(deps, repository);
  assert.deepEqual([third.added, third.left, third.unreadable.length], [[], 0, 250]);
  await tellOfUnreadable(deps, third);
  const [event] = told;
  assert.deepEqual([event?.kind, event?.details?.recordsInAll], ["damage", 250]);
  assert.match(event!.message, /^250 records in the storage cannot be read: backup_.* \(object_/);
  await tellOfUnreadable(deps, { unreadable: [], left: 1 });
  assert.equal(told.length, 1); // nobody knows of the one that is left
  await tellOfUnreadable(deps, { unreadable: [], left: 0 });
  assert.equal(told[1]?.kind, "job-recovered");
});
