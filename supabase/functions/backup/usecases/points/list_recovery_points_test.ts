import assert from "node:assert/strict";
import { systemClock } from "../../core/clock.ts";
import { newPointId } from "../../core/ids.ts";
import {
  createRepository,
  type PointComponent,
  type RecoveryPoint,
  type Repository,
} from "../../repository/mod.ts";
import { memoryStorage } from "../../storage/memory.ts";
import type { Deps } from "../deps.ts";
import { listRecoveryPoints } from "./list_recovery_points.ts";

const NONE: PointComponent = {
  ...{ type: "database", status: "failed", backupId: null, from: null, to: null, reason: "why" },
};

/** A point whose id tells one moment, and whose database shows another. */
function pointOf(planned: string, shown: string | null): RecoveryPoint {
  const component = { ...NONE, status: "completed" as const, from: shown, to: shown };
  return {
    ...{ format: 1, pointId: newPointId(new Date(planned)), reason: null, origin: "manual" },
    ...{ createdAt: planned, completedAt: shown ?? planned, createdBy: null, status: "completed" },
    components: [shown === null ? NONE : component],
    ...{ consistency: [], writtenBy: "test" },
  };
}

async function listing(points: readonly RecoveryPoint[]) {
  const repository: Repository = await createRepository({
    ...{ storage: memoryStorage(), key: null, clock: systemClock },
  });
  for (const point of points) await repository.commitPoint(point);
  const deps = {
    settings: () => Promise.resolve({ settings: {} }),
    openRepository: () => Promise.resolve(repository),
  } as unknown as Deps;
  return async (from: string | null, to: string | null, limit = 10) =>
    (await listRecoveryPoints(deps, { from, to, limit })).points.map(({ pointId }) => pointId);
}

Deno.test("a point that was planned and began late is listed, found and cut off by what it shows", async () => {
  const late = pointOf("2026-06-01T12:00:00.000Z", "2026-06-03T09:00:00.000Z");
  const between = pointOf("2026-06-02T12:00:00.000Z", "2026-06-02T12:00:01.000Z");
  const failed = pointOf("2026-06-01T13:00:00.000Z", null);
  const list = await listing([late, between, failed]);
  assert.deepEqual(await list(null, null), [late.pointId, between.pointId, failed.pointId]);
  assert.deepEqual(await list(null, null, 1), [late.pointId]);
  assert.deepEqual(await list("2026-06-03T00:00:00Z", null), [late.pointId]);
  assert.deepEqual(await list("2026-06-01T11:00:00Z", "2026-06-01T12:30:00Z"), []);
  assert.deepEqual(await list("2026-06-01T12:45:00Z", "2026-06-01T13:30:00Z"), [failed.pointId]);
});
