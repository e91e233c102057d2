import assert from "node:assert/strict";
import type { PointComponent, RecoveryPoint } from "../../repository/mod.ts";
import { toStoredPoint } from "./stored_points.ts";

const point = (...components: PointComponent[]): RecoveryPoint => ({
  format: 1,
  pointId: "point_20261121T120000000Z_0123456789",
  createdAt: "2026-11-21T12:00:00.000Z",
  completedAt: "2026-11-21T12:05:00.000Z",
  reason: "daily",
  origin: "scheduled",
  createdBy: "default",
  status: "completed",
  components,
  consistency: ["The database is of one moment."],
  writtenBy: "supabase-backup 0.0.0",
});

const database: PointComponent = {
  type: "database",
  status: "completed",
  backupId: "backup_20261121T120000000Z_0123456789",
  from: "2026-11-21T12:01:00.000Z",
  to: "2026-11-21T12:01:00.000Z",
  reason: null,
};

Deno.test("a point recovers the moment of its database", () => {
  const row = toStoredPoint(point(database), "s3://bucket");
  assert.equal(row.recoveryTimestamp, database.to);
  assert.equal(row.backupId, database.backupId);
  assert.equal(row.isConsistent, true);
  assert.equal(row.location, "s3://bucket");
});

Deno.test("a point whose database is not whole is not of one moment", () => {
  const row = toStoredPoint(point({ ...database, status: "partial" }), "s3://bucket");
  assert.equal(row.isConsistent, false);
  assert.equal(row.backupId, database.backupId);
});

Deno.test("a point without a database recovers the moment of its end", () => {
  const failed: PointComponent = {
    ...{ type: "database", status: "failed", backupId: null, from: null, to: null, reason: "why" },
  };
  for (const components of [[], [failed]]) {
    const row = toStoredPoint(point(...components), "s3://bucket");
    assert.equal(row.recoveryTimestamp, "2026-11-21T12:05:00.000Z");
    assert.equal(row.backupId, null);
    assert.equal(row.isConsistent, false);
  }
});
