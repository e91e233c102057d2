import assert from "node:assert/strict";
import type { BackupRecord } from "../../repository/mod.ts";
import { findResized, findShrunk } from "./find_shrunk.ts";

/** Backups of the database with so many rows, oldest first. */
function backupsOf(...rows: number[]): BackupRecord[] {
  return rows.map((count, at) => {
    const totals = { rows: count, rawBytes: count * 10 };
    const createdAt = `2026-01-0${at + 1}T00:00:00.000Z`;
    const head = { backupId: `backup_${at}`, type: "database", origin: "manual", createdAt };
    return { ...head, totals } as unknown as BackupRecord;
  });
}

Deno.test("a backup with less than half of the rows of the one before it has shrunk", () => {
  const shrunk = findShrunk(backupsOf(379_515, 45_010), "database");
  assert.equal(shrunk?.found, "backup_1 holds 45010 rows, and backup_0 before it holds 379515");
  assert.equal(findShrunk(backupsOf(1000, 500), "database"), null);
  assert.equal(findShrunk(backupsOf(379_515, 45_010, 45_010), "database"), null, "until the next");
  assert.equal(findShrunk(backupsOf(1000), "database"), null);
  assert.equal(findShrunk(backupsOf(379_515, 45_010), "files"), null);
});

Deno.test("a small backup has shrunk when nothing is left of it", () => {
  assert.equal(findShrunk(backupsOf(99, 1), "database"), null);
  assert.notEqual(findShrunk(backupsOf(99, 0), "database"), null);
  assert.equal(findShrunk(backupsOf(0, 0), "database"), null);
});

Deno.test("a way back of a restore is not what people compare with", () => {
  const [first, way, last] = backupsOf(1000, 100_000, 900);
  const backups = [first!, { ...way!, origin: "safety" } as BackupRecord, last!];
  assert.equal(findShrunk(backups, "database"), null);
});

Deno.test("a backup is of another size when a fifth of the one before it was gained or lost", () => {
  for (const [rows, isTold] of [[1200, false], [1201, true], [800, false], [799, true]] as const) {
    assert.equal(findResized(backupsOf(1000, rows), "database") !== null, isTold, String(rows));
  }
  assert.equal(findResized(backupsOf(1000, 499), "database"), null, "that is told as a loss");
  assert.equal(findResized(backupsOf(99, 200), "database"), null, "small ones grow fast");
});
