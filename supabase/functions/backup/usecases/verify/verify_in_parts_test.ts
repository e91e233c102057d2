import assert from "node:assert/strict";
import {
  noise,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../../../../../tests/support/repository_samples.ts";
import { systemClock } from "../../core/clock.ts";
import { runInProcess } from "../../jobs/run_in_process.ts";
import { createRepository, openRepository, type VerifyReport } from "../../repository/mod.ts";
import { memoryStorage } from "../../storage/memory.ts";
import { verifyInParts } from "./verify_in_parts.ts";

const FIRST = "backup_20260101T000000000Z_0000000001";
const SECOND = "backup_20260102T000000000Z_0000000002";

/** Two backups of 200 chunks each, half of them the same, opened by another process. */
async function samples() {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key: SAMPLE_KEY });
  const parts = (seed: number) => Array.from({ length: 200 }, (_, i) => noise(1000, seed + i));
  await writeSampleBackup(repository, { backupId: FIRST, parts: parts(1), targetBytes: 1000 });
  await writeSampleBackup(repository, { backupId: SECOND, parts: parts(101), targetBytes: 1000 });
  return { storage, repository: await openRepository({ storage, key: SAMPLE_KEY }) };
}

async function verify(
  repository: Awaited<ReturnType<typeof samples>>["repository"],
  options: { level: "quick" | "full"; backups: string[] },
): Promise<{ report: VerifyReport; parts: number }> {
  let parts = 0;
  const job = await runInProcess(verifyInParts({ repository, ...options }), {
    job: {
      ...{ jobId: "verify_1", kind: "verify", type: "database", backupId: null },
      ...{ reason: null, createdBy: null },
    },
    clock: systemClock,
    concurrency: 2,
    onProgress: ({ partsDone }) => parts = partsDone,
  });
  return { report: job.result as unknown as VerifyReport, parts };
}

Deno.test("verifyInParts() finds what a verification in one go finds", async () => {
  const { storage, repository } = await samples();
  const chunks = await repository.chunksToCheck();
  const both = new Set((await repository.chunksToCheck({ backups: [SECOND] })).map((c) => c.name));
  const shared = chunks.filter(({ name }) => both.has(name));
  assert.ok(shared.length >= 100);
  for (const backups of [[], [FIRST]]) {
    const { report, parts } = await verify(repository, { level: "full", backups });
    assert.ok(parts > 5, String(parts));
    assert.deepEqual(
      report,
      await repository.verify({ level: "full", ...(backups.length === 0 ? {} : { backups }) }),
    );
    assert.deepEqual(report.problems, []);
  }

  const path = (name: string) => [...storage.objects.keys()].find((key) => key.endsWith(name))!;
  storage.objects.get(path(shared[50]!.name))!.body[200]! ^= 1;
  await storage.delete(path(shared[60]!.name));
  await storage.delete(`backups/${FIRST}`);
  for (const level of ["quick", "full"] as const) {
    const backups = [FIRST, SECOND];
    const { report } = await verify(repository, { level, backups });
    const whole = await repository.verify({ level, backups });
    const sorted = ({ problems }: VerifyReport) => problems.map((p) => JSON.stringify(p)).sort();
    assert.deepEqual(sorted(report), sorted(whole));
    const codes = new Set(report.problems.map(({ code }) => code));
    assert.ok(codes.has("object_missing") && codes.has("backup_not_found"));
    assert.equal(codes.has("object_altered"), level === "full");
  }
});
