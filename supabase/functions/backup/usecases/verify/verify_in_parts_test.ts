import assert from "node:assert/strict";
import {
  noise,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../../../../../tests/support/repository_samples.ts";
import { storedChunks } from "../../../../../tests/support/stored_chunks.ts";
import { systemClock } from "../../core/clock.ts";
import type { DataPart } from "../../core/model.ts";
import { runInProcess } from "../../jobs/run_in_process.ts";
import {
  createRepository,
  openRepository,
  type Repository,
  type VerifyReport,
} from "../../repository/mod.ts";
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
  const chunks = await storedChunks(repository, [FIRST]);
  const both = new Set(await storedChunks(repository, [SECOND]));
  const shared = chunks.filter((name) => both.has(name));
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
  storage.objects.get(path(shared[50]!))!.body[200]! ^= 1;
  await storage.delete(path(shared[60]!));
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

Deno.test("verifyInParts() traces damaged lists and points that cannot be read", async () => {
  const { storage, repository } = await samples();
  const point = "point_20260102T000000000Z_0000000001";
  await storage.put(`points/${point}`, new Uint8Array(100));
  const { manifest } = await repository.readBackup(FIRST);
  const [list] = manifest.dataParts.chunks;
  const lostList = `chunks/${list!.name.slice(0, 2)}/${list!.name}`;
  await storage.delete(lostList);
  const { report } = await verify(repository, { level: "full", backups: [] });
  const found = new Set(report.problems.map(({ object, backups }) => `${object} ${backups}`));
  assert.deepEqual(
    found,
    new Set([`points/${point} `, `backups/${FIRST} ${FIRST}`, `${lostList} ${FIRST}`]),
  );
});

Deno.test("verifyInParts() names each backup however much of the storage is lost", async () => {
  const { storage, repository } = await samples();
  const lists = new Set<string>();
  for (const id of [FIRST, SECOND]) {
    const { manifest } = await repository.readBackup(id);
    for (const { chunks } of [manifest.entries, manifest.tableData, manifest.dataParts]) {
      for (const { name } of chunks) lists.add(name);
    }
  }
  const all = await storedChunks(repository);
  const lost = all.filter((name) => !lists.has(name));
  for (const name of lost) await storage.delete(`chunks/${name.slice(0, 2)}/${name}`);
  assert.ok(lost.length > 100);
  const { report } = await verify(repository, { level: "quick", backups: [] });
  const named = report.problems.filter(({ backups }) => backups.length > 0);
  assert.deepEqual(new Set(named.flatMap(({ backups }) => backups)), new Set([FIRST, SECOND]));
  assert.ok(named.every(({ code }) => code === "object_missing"));
  const rest = report.problems.filter(({ backups }) => backups.length === 0);
  const more = `${lost.length - named.length} more chunks are missing or damaged`;
  assert.deepEqual(rest.map(({ message }) => message), [more]);
});

Deno.test("lists that say what no list can say are damaged, whatever stands in them", async () => {
  const { repository } = await samples();
  const chunk = "0".repeat(64);
  const lines: unknown[] = [
    ...[null, "text", {}, { pieces: {} }, { pieces: [null] }, { contents: 1 }, {
      contents: [null],
    }],
    { pieces: [{ chunk, offset: -1, length: 1 }] },
    { pieces: [{ chunk, offset: "0", length: 1 }] },
    { pieces: [{ chunk: "../keys", offset: 0, length: 1 }] },
  ];
  for (const line of lines) {
    const { chunks } = await repository.writeLines([line]);
    const lists = chunks.map((list) => ({ ...list, refers: true }));
    const { findings } = await repository.checking.lists(lists);
    assert.equal(findings.length, 1, JSON.stringify(line));
    assert.equal(findings[0]!.code, "object_altered");
    assert.match(findings[0]!.message, /one names no pieces/);
  }
});

Deno.test("verifyInParts() tells of a piece that begins further than any chunk reaches", async () => {
  const repository = await createRepository({ storage: memoryStorage(), key: SAMPLE_KEY });
  const write: Repository["writeLines"] = repository.writeLines.bind(repository);
  repository.writeLines = async (lines, options) => {
    const written = await Array.fromAsync(lines as Iterable<DataPart>);
    for (const piece of written[0]?.pieces ?? []) piece.offset = 2 ** 32;
    return await write(written, options);
  };
  await writeSampleBackup(repository, { backupId: FIRST, parts: [noise(1000, 1)] });
  const { report } = await verify(repository, { level: "full", backups: [] });
  assert.deepEqual(report.problems.map(({ message, backups }) => [message, backups]), [
    ["A piece reaches past the end of the chunk", [FIRST]],
  ]);
});
