import assert from "node:assert/strict";
import type { BackupRecord } from "../../repository/mod.ts";
import { halfRestoredBackup } from "./unfinished_restores.ts";

const record = (day: number, more: Record<string, unknown> = {}, unfinished = false) => ({
  ...{ backupId: `backup_${day}`, type: "database", origin: "scheduled" },
  createdAt: `2026-01-0${day}T00:00:00.000Z`,
  consistency: unfinished
    ? { unfinishedRestore: { jobId: "restore_1", backupId: "backup_0", since: "…" } }
    : {},
  ...more,
} as unknown as BackupRecord);

Deno.test("halfRestoredBackup() tells of the newest backup of the database, and of no other", () => {
  const half = record(2, {}, true);
  assert.equal(
    halfRestoredBackup([record(1), half]),
    "backup_2 was made while restore restore_1 of backup_0 was not complete",
  );
  assert.equal(halfRestoredBackup([half, record(3)]), null, "a newer one is whole");
  const others = [record(3, { origin: "safety" }), record(4, { type: "files" })];
  assert.match(halfRestoredBackup([half, ...others])!, /^backup_2 /);
  assert.equal(halfRestoredBackup([]), null);
});
