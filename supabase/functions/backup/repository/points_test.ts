import assert from "node:assert/strict";
import type { BackupError } from "../core/errors.ts";
import { newPointId } from "../core/ids.ts";
import { Secret } from "../core/secret.ts";
import { memoryStorage } from "../storage/memory.ts";
import { createRepository, type RecoveryPoint } from "./mod.ts";

const KEY = new Secret("00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef");

function point(at: number, reason = "nightly"): RecoveryPoint {
  return {
    format: 1,
    pointId: newPointId(new Date(at)),
    createdAt: new Date(at).toISOString(),
    completedAt: new Date(at + 1000).toISOString(),
    ...{ reason, origin: "manual", createdBy: "default", status: "completed" },
    components: [],
    consistency: [],
    writtenBy: "test",
  };
}

Deno.test("commitPoint() makes a point once; listPoints() and readPoint() find it, newest first", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: KEY });
  const [old, young] = [point(0), point(10_000)];
  await repository.commitPoint(young);
  await repository.commitPoint(old);
  assert.deepEqual(await repository.commitPoint({ ...old, reason: "other words" }), old);
  assert.deepEqual(await repository.listPoints(), { points: [young, old], damaged: [] });
  assert.deepEqual((await repository.listPoints({ limit: 1 })).points, [young]);
  assert.deepEqual(await repository.readPoint("latest"), young);
  assert.deepEqual(await repository.readPoint(old.pointId), old);
});

Deno.test("readPoint() takes the latest point that has backups, and no failed one", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: KEY });
  const failed = { ...point(20_000), status: "failed" as const };
  await repository.commitPoint(failed);
  await assert.rejects(
    repository.readPoint("latest"),
    (error: BackupError) => error.code === "backup_not_found",
  );
  const partial = { ...point(10_000), status: "partial" as const };
  for (const each of [point(0), partial]) await repository.commitPoint(each);
  assert.deepEqual(await repository.readPoint("latest"), partial);
  assert.deepEqual(await repository.readPoint(failed.pointId), failed);
});

Deno.test("readPoint() and commitPoint() refuse ids that are none", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: KEY });
  for (const id of ["latest", "point_1", "../keys/x", newPointId(new Date())]) {
    const reading = repository.readPoint(id);
    await assert.rejects(reading, (error: BackupError) => error.code === "backup_not_found", id);
  }
  const writing = repository.commitPoint({ ...point(0), pointId: "point_../../x" });
  await assert.rejects(writing, (error: BackupError) => error.code === "invalid_request");
});

Deno.test("listPoints() names points that cannot be read, and gives the others", async () => {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: KEY });
  const [good, bad] = [point(0), point(10_000)];
  await repository.commitPoint(good);
  await storage.put(`points/${bad.pointId}`, new Uint8Array(200));
  const { points, damaged } = await repository.listPoints();
  assert.deepEqual(points, [good]);
  assert.deepEqual(damaged.map(({ pointId }) => pointId), [bad.pointId]);
  const { problems } = await repository.verify({ level: "quick" });
  assert.deepEqual(problems.map(({ object }) => object), [`points/${bad.pointId}`]);
  assert.deepEqual((await repository.verify({ level: "quick", backups: [] })).problems, []);
});
