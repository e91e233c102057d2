/**
 * Copies in further destinations, as far as the tables and the clock of what runs by itself know them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { type Job, newJob } from "../../supabase/functions/backup/core/job.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { DEFAULT_SETTINGS } from "../../supabase/functions/backup/core/settings.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import type { Deps } from "../../supabase/functions/backup/usecases/deps.ts";
import { readStatus } from "../../supabase/functions/backup/usecases/service/read_status.ts";
import { startDue } from "../../supabase/functions/backup/usecases/service/start_due.ts";
import { whatIsDue } from "../../supabase/functions/backup/usecases/service/what_is_due.ts";
import { NOTHING_DUE, post, startServiceUnderTest } from "../support/service.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

async function open() {
  const database = await temporaryDatabase("ts_copies");
  const state = new State(new Secret(database.url));
  await state.migrate();
  return {
    state,
    url: database.url,
    async read(sql: string): Promise<Record<string, unknown>[]> {
      const rows = await state.database.run("read", (run) => run.unsafe(sql)) as unknown[];
      return rows.map((row) => ({ ...row as object }));
    },
    async [Symbol.asyncDispose]() {
      await state.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** A reference to a variable that nobody has set. */
const KEY = "env:BACKUP_STORAGE_LOST_KEY";

const MINUTE_MS = 60_000;
const NOW = Date.now();
const ago = (minutes: number) => new Date(NOW - minutes * MINUTE_MS);

/** A finished job. */
function ended(
  { jobId, kind, minutes, ...more }: Pick<Job, "jobId" | "kind"> & Partial<Job> & {
    minutes: number;
  },
): Job {
  return {
    ...newJob({
      ...{ jobId, kind, type: "database", backupId: jobId, reason: null, createdBy: "schedule" },
    }, ago(minutes)),
    ...{ status: "completed", completedAt: ago(minutes - 1).toISOString() },
    ...more,
  };
}

Deno.test("a backup's row says once in which copies it is, and no longer when it has left one", async () => {
  await using place = await open();
  const { jobs, backups } = place.state;
  const ids = ["backup_1", "backup_2", "backup_3"] as const;
  for (const jobId of ids) {
    const how = jobId === "backup_3" ? "failed" as const : "completed" as const;
    await jobs.finish(
      ended({ jobId, kind: "backup", minutes: 9, location: "s3://b", status: how }),
    );
  }
  const primary = { copy: "primary", location: "s3://b" };
  const near = { copy: "near", location: "file:/near" };
  const far = { copy: "far", location: "s3://far" };
  const record = async (destination: string, location: string, ...backupIds: string[]) => {
    await backups.recordCopies({ destination, location, backupIds });
    const rows = await place.read(
      "select locations from public.backup_jobs order by job_id",
    );
    return rows.map(({ locations }) => locations);
  };
  const given = [[primary, near], [primary], [primary]];
  assert.deepEqual(await record("near", "file:/near", "backup_1", "backup_3", "nobody"), given);
  const before = await place.read("select xmin::text from public.backup_jobs order by job_id");
  assert.deepEqual(await record("near", "file:/near", "backup_1", "backup_3"), given, "once");
  assert.deepEqual(
    await place.read("select xmin::text from public.backup_jobs order by job_id"),
    before,
    "what is as it was is not written",
  );
  assert.deepEqual(await record("far", "s3://far", "backup_1", "backup_2"), [
    ...[[primary, near, far], [primary, far], [primary]],
  ]);
  const moved = { copy: "near", location: "s3://near" };
  assert.deepEqual(await record("near", "s3://near", "backup_1", "backup_2"), [
    ...[[primary, far, moved], [primary, far, moved], [primary]],
  ]);
  assert.deepEqual(await record("far", "s3://far"), [
    ...[[primary, moved], [primary, moved], [primary]],
  ]);
});

Deno.test("the latest runs of replications are told by destination; those that only look are none", async () => {
  await using place = await open();
  const { jobs, latestRuns, parts } = place.state;
  assert.deepEqual(await latestRuns.lastCopies(), {});
  const nothing = await latestRuns.read();
  assert.deepEqual([nothing.replications, nothing.lastBackupEnd], [{}, null]);

  const copy = (jobId: string, backupId: string, minutes: number, more: Partial<Job> = {}) =>
    jobs.finish(ended({ ...{ jobId, kind: "replicate", backupId, minutes }, ...more }));
  const failed = { status: "failed", error: { code: "storage_full", message: "m" } } as const;
  const dry = { reason: "dry run", result: { dryRun: true } };
  await copy("replicate_1", "near", 50);
  await copy("replicate_2", "near", 40);
  await copy("replicate_3", "near", 30, failed);
  await copy("replicate_4", "near", 20, failed);
  await copy("replicate_5", "near", 10, dry);
  await copy("replicate_6", "near", 5, { ...failed, ...dry });
  await copy("replicate_7", "far", 60, failed);
  await copy("replicate_8", "looked-at", 5, dry);
  await jobs.finish(ended({ jobId: "backup_1", kind: "backup", minutes: 90 }));
  await jobs.finish(
    ended({ jobId: "backup_files_2", kind: "backup", type: "files", minutes: 80 }),
  );
  await jobs.finish(ended({ jobId: "backup_3", kind: "backup", minutes: 70, ...failed }));
  await jobs.finish(ended({ jobId: "backup_4", kind: "backup", minutes: -300 }));
  const running = newJob({
    ...{ jobId: "replicate_9", kind: "replicate", type: "database", backupId: "off-site" },
    ...{ reason: null, createdBy: "schedule" },
  }, ago(3));
  const bounds = { maxWorkers: 1, maxAttempts: 1, maxRounds: 1 };
  await parts.begin(running, { parts: [], bounds, request: {} });
  const other = { ...running, jobId: "replicate_10", backupId: "near" };
  await assert.rejects(parts.begin(other, { parts: [], bounds, request: {} }), {
    code: "conflict",
    message: /replicate job replicate_9 is running/,
  });

  const runs = await latestRuns.read();
  const none = { startedAt: null, running: false, failures: 0, failedStart: null, failedEnd: null };
  assert.deepEqual(runs.replications, {
    near: {
      ...none,
      ...{ startedAt: ago(40), failures: 2, failedStart: ago(20), failedEnd: ago(19) },
    },
    far: { ...none, failures: 1, failedStart: ago(60), failedEnd: ago(59) },
    "off-site": { ...none, startedAt: new Date(running.startedAt), running: true },
  });
  assert.deepEqual(runs.lastBackupEnd, ago(79), "the clock of another was five hours fast");
  assert.deepEqual(await latestRuns.lastCopies(), {
    near: { jobId: "replicate_2", at: ago(39).toISOString() },
  });
  assert.equal((await latestRuns.inUse()).replicating, "off-site");
  // A cleanup of a copy is none of the primary storage.
  await jobs.finish(ended({ jobId: "cleanup_1", kind: "cleanup", backupId: null, minutes: 9 }));
  await jobs.finish(ended({ jobId: "cleanup_2", kind: "cleanup", backupId: "near", minutes: 8 }));
  assert.deepEqual((await latestRuns.read()).cleanup.startedAt, ago(9));
});

for (const [clock, minutes] of [["slow", 20], ["fast", -90]] as const) {
  Deno.test(`a copy begun by a process whose clock is ${clock} is due again after the next backup, and not before`, async () => {
    await using place = await open();
    const { jobs, latestRuns, parts } = place.state;
    const settings = {
      ...DEFAULT_SETTINGS,
      destinations: [{ name: "near", type: "s3" as const, bucket: "b" }],
    };
    const isDue = async () => {
      const runs = await latestRuns.read();
      return whatIsDue(settings, runs, runs.now).copies.near!.isDue;
    };
    const backUp = async (jobId: string) => {
      await jobs.finish({ ...ended({ jobId, kind: "backup", minutes: 9 }), completedAt: null });
      return await isDue();
    };
    assert.equal(await backUp("backup_1"), true);
    const copy = newJob({
      ...{ jobId: "replicate_1", kind: "replicate", type: "database", backupId: "near" },
      ...{ reason: null, createdBy: "schedule" },
    }, ago(minutes));
    const bounds = { maxWorkers: 1, maxAttempts: 1, maxRounds: 1 };
    const first = [{ step: 0, name: "copy", payload: null, bytes: 0 }];
    await parts.begin(copy, { parts: first, bounds, request: {} });
    assert.equal((await jobs.get("replicate_1", "replicate"))?.startedAt, copy.startedAt);
    const lease = await parts.claim({ worker: "w", leaseMs: 60_000 });
    await parts.complete(lease!, { result: null, finish: { result: {} } });
    assert.equal(await isDue(), false);
    assert.equal(await backUp("backup_2"), true);
  });
}

for (const [clock, minutes] of [["slow", 20], ["fast", -90]] as const) {
  Deno.test(`a copy that cannot be begun by a process whose clock is ${clock} is tried again after a pause, not with each tick`, async () => {
    await using place = await open();
    await place.state.jobs.finish({
      ...ended({ jobId: "backup_1", kind: "backup", minutes: 9 }),
      completedAt: null,
    });
    const lost = { name: "lost", type: "s3", bucket: "b", accessKey: KEY, secretKey: KEY };
    const variables: Record<string, string> = {
      ...NOTHING_DUE,
      SUPABASE_DB_URL: place.url,
      BACKUP_ENABLE_VERIFICATION: "false",
      BACKUP_DESTINATIONS: JSON.stringify([lost]),
    };
    const made = createDeps({ environment: readEnvironment((name) => variables[name]) });
    const errors: string[] = [];
    const deps: Deps = {
      ...made,
      clock: { ...made.clock, now: () => new Date(Date.now() - minutes * MINUTE_MS) },
      reportError: (error) => errors.push(error.code),
    };
    try {
      await startDue(deps);
      await startDue(deps);
      assert.deepEqual(errors, ["invalid_config"]);
      const { replications, now } = await place.state.latestRuns.read();
      const { failures, failedStart } = replications.lost!;
      assert.equal(failures, 1);
      assert.ok(now.getTime() - failedStart!.getTime() < MINUTE_MS, String(failedStart));
    } finally {
      await deps.idle();
      await deps.state.close();
    }
  });
}

Deno.test("tick copies to one destination after the other, and again when a backup has ended", async () => {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-copies-" });
  const destinations = [
    // What has no key cannot be opened: the others are copied to all the same.
    { name: "lost", type: "s3", bucket: "b", accessKey: KEY, secretKey: KEY },
    { name: "near", type: "local", path: `${folder}/near` },
    { name: "far", type: "local", path: `${folder}/far` },
  ];
  const service = await startServiceUnderTest({
    ...NOTHING_DUE,
    BACKUP_ENABLE_DATABASE_BACKUP: "true",
    BACKUP_ENABLE_VERIFICATION: "false",
    BACKUP_DESTINATIONS: JSON.stringify(destinations),
  });
  const errors: string[] = [];
  const made = createDeps({ environment: readEnvironment((name) => service.variables[name]) });
  const deps: Deps = { ...made, reportError: (error) => errors.push(error.code) };
  const backup = async () => {
    const { body } = await post(service.service, "backup-database&wait=60");
    assert.equal(body.data?.status, "completed", JSON.stringify(body));
    return String(body.data.jobId);
  };
  /** Copies that a tick makes, waited for. */
  const tick = async () => {
    const report = await startDue(deps);
    const copies = report!.started.filter((id) => id.startsWith("replicate_"));
    const jobs = [];
    for (const jobId of copies) jobs.push((await deps.jobs.wait(jobId, 60_000))!);
    for (const { status, error } of jobs) assert.equal(status, "completed", JSON.stringify(error));
    return jobs.map(({ backupId }) => backupId);
  };
  try {
    await post(service.service, "init");
    assert.deepEqual(await tick(), [], "there is no backup yet");
    const first = await backup();
    assert.deepEqual([await tick(), await tick(), await tick()], [["near"], ["far"], []]);
    const locationsOf = async (jobId: string) => {
      await using admin = await service.admin();
      const [row] = await admin.query(
        `select jsonb_path_query_array(locations, '$[*].copy')::text as copies
         from public.backup_jobs where job_id = '${jobId}'`,
      );
      return JSON.parse(String(row?.copies));
    };
    assert.deepEqual(await locationsOf(first), ["primary", "near", "far"]);

    const { destinations: shown } = await readStatus(deps);
    assert.deepEqual(shown.map(({ name, type, failures, why }) => [name, type, failures, why]), [
      ["lost", "s3", 1, null],
      ["near", "local", 0, null],
      ["far", "local", 0, null],
    ]);
    const [lost, near, far] = shown;
    assert.equal(lost!.lastCopy, null);
    assert.match(near!.lastCopy!.jobId, /^replicate_/);
    assert.ok(near!.lastCopy!.at < far!.lastCopy!.at && far!.lastCopy!.at < near!.nextAt!);
    assert.deepEqual((await deps.state.alerts.open({ prefix: "replicate:" })).map((a) => a.key), [
      "replicate:lost",
    ]);
    assert.deepEqual(errors, ["invalid_config"], "tried once, and then after a pause");

    const second = await backup();
    assert.deepEqual(await tick(), ["near"], "the one that was first is the furthest behind");
    assert.deepEqual(await locationsOf(second), ["primary", "near"]);
    assert.equal((await deps.state.latestRuns.inUse()).replicating, null);
  } finally {
    await deps.idle();
    await deps.state.close();
    await service.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
