/**
 * What the rows of backups, recovery points, tests and verifications say.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Job, JOB_KINDS, newJob } from "../../supabase/functions/backup/core/job.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import type { StoredPoint } from "../../supabase/functions/backup/state/recovery_points.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

async function open() {
  const database = await temporaryDatabase("ts_rows");
  const state = new State(new Secret(database.url));
  await state.migrate();
  const read = async (sql: string) =>
    await state.database.run("read", (run) => run.unsafe(`select * from (${sql}) t`)) as unknown[];
  return {
    state,
    read: async (sql: string) => (await read(sql)).map((row) => ({ ...row as object })),
    async [Symbol.asyncDispose]() {
      await state.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

const backup = (jobId: string, reason: string | null = null): Job =>
  newJob({
    ...{ jobId, kind: "backup", type: "database", backupId: jobId, reason, createdBy: "key" },
  }, new Date("2026-11-21T12:00:00Z"));

Deno.test("a pending backup runs under its own id and keeps who asked for it and why", async () => {
  await using place = await open();
  const [asked] = await place.read("select public.create_manual_backup('why', 'Ada') as id");
  const jobId = (asked as { id: string }).id;
  const bounds = { maxWorkers: 1, maxAttempts: 1, maxRounds: 1 };
  const start = (job: Job) => place.state.parts.begin(job, { parts: [], bounds, request: {} });
  const job = backup(jobId);
  await start(job);
  const shown = `select job_id = '${jobId}' as same, status, reason, created_by,
    started_at = '${job.startedAt}' and started_at > now() - interval '1 minute' as begun
    from public.backup_jobs`;
  const running = { same: true, status: "running", reason: "why", created_by: "Ada", begun: true };
  assert.deepEqual(await place.read(shown), [running]);
  await assert.rejects(start(backup("backup_2")), { code: "conflict" });
});

Deno.test("a finished backup's row says what is known of it, and init writes the same from storage", async () => {
  await using place = await open();
  const totals = { rawBytes: 1000, newStoredBytes: 10, tables: 3 };
  await place.state.jobs.finish({
    ...backup("backup_1"),
    status: "completed",
    completedAt: "2026-11-21T12:01:00Z",
    ...{ sizeBytes: 1000, checksum: "c", location: "s3://b", result: { totals } },
  });
  await place.state.jobs.addFromStorage([{
    ...{ backupId: "backup_2", type: "database", createdAt: "2026-11-21T12:00:00Z" },
    ...{ completedAt: "2026-11-21T12:01:00Z", reason: null, rawBytes: 1000, newStoredBytes: 10 },
    ...{ tables: 3, checksum: "c", location: "s3://b", result: { totals } },
  }]);
  const rows = await place.read(`
    select status, size_bytes::int, compressed_size_bytes::int, tables_included, checksum, location,
      locations, components from public.backup_jobs`);
  const known = {
    ...{ status: "completed", size_bytes: 1000, compressed_size_bytes: 10, tables_included: 3 },
    ...{ checksum: "c", location: "s3://b", components: ["database"] },
    locations: [{ copy: "primary", location: "s3://b" }],
  };
  assert.deepEqual(rows, [known, known]);
  await place.state.jobs.finish({ ...backup("backup_3"), status: "failed" });
  const [failed] = await place.read(`
    select tables_included, locations from public.backup_jobs where job_id = 'backup_3'`);
  assert.deepEqual(failed, { tables_included: null, locations: [] });
});

Deno.test("a backup that was taken back stays so, whatever is then said of its start; what was completed shows", async () => {
  await using place = await open();
  const [asked] = await place.read("select public.create_manual_backup('why', 'Ada') as id");
  const { id } = asked as { id: string };
  assert.equal(await place.state.pendingBackups.takeBack(id), true);
  const error = { code: "conflict", message: "it cannot be started" };
  const ended = await place.state.jobs.finish({ ...backup(id), status: "failed", error });
  assert.deepEqual([ended.status, ended.error], ["cancelled", null]);
  const shown = "select status, error_message from public.backup_jobs";
  assert.deepEqual(await place.read(shown), [{ status: "cancelled", error_message: null }]);
  // Done without the tables by somebody who could not see that it was taken back: it is there.
  await place.state.jobs.finish({ ...backup(id), status: "completed", location: "s3://b" });
  assert.deepEqual(await place.read(shown), [{ status: "completed", error_message: null }]);
  assert.deepEqual(await place.state.backups.givenUp(), []);
  assert.deepEqual(await place.state.backups.giveUp([id]), [id]);
  assert.deepEqual(await place.state.backups.givenUp(), [id]);
});

const POINT: StoredPoint = {
  ...{ pointId: "point_1", backupId: "backup_1", isConsistent: true, status: "completed" },
  recoveryTimestamp: "2026-11-21T12:00:30Z",
  ...{ createdAt: "2026-11-21T12:00:00Z", completedAt: "2026-11-21T12:01:00Z" },
  ...{ reason: "daily", createdBy: "key", consistency: ["of one moment"], location: "s3://b" },
  components: [{ type: "database", status: "completed", backupId: "backup_1" }],
};

Deno.test("a list of jobs leaves long fields of results and of errors out and names them; the job has all", async () => {
  await using place = await open();
  const { jobs } = place.state;
  const kept = Array.from({ length: 400 }, (_, at) => ({ backupId: `backup_${at}`, why: "young" }));
  const cleanup = newJob({
    ...{ jobId: "cleanup_1", kind: "cleanup", type: "database", backupId: null },
    ...{ reason: null, createdBy: "key" },
  }, new Date("2026-11-21T12:00:00Z"));
  const result = { dryRun: false, freed: { count: 3 }, keptBackups: kept, expired: kept };
  const details = { level: "full", problems: kept };
  const error = {
    code: "object_missing",
    message: "Cannot vouch",
    hint: "Look.",
    details,
  } as const;
  await jobs.finish({ ...cleanup, status: "completed", result });
  await jobs.finish({ ...cleanup, jobId: "cleanup_2", status: "failed", error });
  await jobs.finish({ ...cleanup, jobId: "cleanup_3", status: "completed", result: { kept: [1] } });
  const filter = { kind: "cleanup", limit: 10, offset: 0 } as const;
  const listed = new Map((await jobs.list(filter)).jobs.map((job) => [job.jobId, job]));
  const short = { dryRun: false, freed: { count: 3 }, shortened: ["expired", "keptBackups"] };
  assert.deepEqual(listed.get("cleanup_1")?.result, short);
  const shortDetails = { level: "full", shortened: ["problems"] };
  assert.deepEqual(listed.get("cleanup_2")?.error, { ...error, details: shortDetails });
  assert.deepEqual(listed.get("cleanup_3"), await jobs.get("cleanup_3", "cleanup"));
  assert.deepEqual((await jobs.get("cleanup_1", "cleanup"))?.result, result);
  assert.deepEqual((await jobs.get("cleanup_2", "cleanup"))?.error, error);
  for (const kind of JOB_KINDS) assert.ok((await jobs.list({ ...filter, kind })).total >= 0);
});

Deno.test("recovery points are added once, and a point that was being made becomes one", async () => {
  await using place = await open();
  const { recoveryPoints } = place.state;
  await place.state.runningPoints().begin({
    ...{ pointId: "point_1", createdAt: POINT.createdAt, reason: "daily", createdBy: "key" },
  });
  assert.deepEqual(await recoveryPoints.addFromStorage([POINT]), ["point_1"]);
  assert.deepEqual(await recoveryPoints.addFromStorage([POINT]), []);
  assert.deepEqual(await place.state.runningPoints().list({ limit: 10 }), []);
  assert.deepEqual(
    await place.read(`
      select backup_id, status, is_consistent, components, consistency, location,
        recovery_timestamp = '2026-11-21 12:00:30Z' as moment from public.recovery_points`),
    [{
      ...{ backup_id: "backup_1", status: "completed", is_consistent: true, location: "s3://b" },
      ...{ components: POINT.components, consistency: POINT.consistency, moment: true },
    }],
  );
});

Deno.test("a test that was asked for is taken over by the job that does it", async () => {
  await using place = await open();
  const { tests, jobs } = place.state;
  await jobs.finish({ ...backup("backup_1"), status: "completed", location: "s3://b" });
  const ask = async () =>
    (await place.read("select public.test_backup_restoration('backup_1') as found"))[0];
  assert.deepEqual(await ask(), { found: null });
  const [pending] = await tests.pending();
  assert.deepEqual([pending?.backupId, pending?.testType], ["backup_1", "restore_test"]);
  const begin = (jobId: string) =>
    tests.begin({
      ...{ jobId, backupId: "backup_1", testType: "restore_test" },
      ...{ environment: "scratch", testedBy: "key" },
    });
  await begin("restore_1");
  await begin("restore_1");
  assert.deepEqual(await tests.pending(), []);
  await tests.finish({
    ...{ jobId: "restore_1", success: true, samplesVerified: 7, restoreSeconds: 1.5 },
    dataVerified: { rows: 20 },
  });
  await tests.finish({ jobId: "restore_1", success: false });
  assert.deepEqual(await ask(), { found: true });
  await begin("restore_2");
  await tests.finish({
    ...{ jobId: "restore_2", success: false, errors: [{ code: "object_altered", message: "m" }] },
  });
  await begin("restore_3"); // nobody asked for this one
  assert.deepEqual(
    await place.read(`
      select job_id, success, errors_found, data_samples_verified, data_verified,
        restore_duration::text, test_environment, completed_at is not null as over
      from public.backup_tests order by job_id`),
    [
      {
        ...{ job_id: "restore_1", success: true, errors_found: [], data_samples_verified: 7 },
        ...{ data_verified: { rows: 20 }, restore_duration: "00:00:01.5" },
        ...{ test_environment: "scratch", over: true },
      },
      {
        ...{ job_id: "restore_2", success: false, data_samples_verified: null },
        errors_found: [{ code: "object_altered", message: "m" }],
        ...{ data_verified: null, restore_duration: null, test_environment: "scratch", over: true },
      },
      {
        ...{ job_id: "restore_3", success: null, errors_found: null, data_samples_verified: null },
        ...{
          data_verified: null,
          restore_duration: null,
          test_environment: "scratch",
          over: false,
        },
      },
    ],
  );
});

Deno.test("a test of a backup that cannot be tested is refused in its row", async () => {
  await using place = await open();
  const { tests, jobs } = place.state;
  await jobs.finish({ ...backup("backup_1"), status: "completed", location: "s3://b" });
  await place.read("select public.test_backup_restoration('backup_1') as found");
  await tests.refuse({
    ...{ backupId: "backup_1", testType: "restore_test" },
    ...{ code: "backup_not_found", message: "Cannot open the backup: there is none of this id" },
  });
  assert.deepEqual(await tests.pending(), []);
  assert.deepEqual(
    await place.read("select success, errors_found->0->>'code' as code from public.backup_tests"),
    [{ success: false, code: "backup_not_found" }],
  );
});

Deno.test("a verification marks backups: damage always, soundness when all was read", async () => {
  await using place = await open();
  const { verifications, jobs } = place.state;
  const ids = ["backup_1", "backup_2"];
  for (const id of ids) {
    await jobs.finish({ ...backup(id), status: "completed", location: "s3://b" });
  }
  const verify = async (
    jobId: string,
    verificationType: "existence" | "integrity_check",
    ...success: boolean[]
  ) => {
    await verifications.add(
      success.map((each, at) => ({
        ...{ backupId: ids[at]!, verificationType, success: each, details: { problems: [] } },
      })),
      { jobId, location: "s3://b", verifiedBy: "key" },
    );
    return (await place.read(
      "select integrity_verified as i from public.backup_jobs order by job_id",
    ))
      .map((row) => (row as { i: boolean | null }).i);
  };
  assert.deepEqual(await verify("v1", "existence", true, true), [null, null]);
  assert.deepEqual(await verify("v2", "integrity_check", true, false), [true, false]);
  assert.deepEqual(await verify("v3", "existence", false, true), [false, false]);
  assert.deepEqual(await verify("v4", "integrity_check", true, true), [true, true]);
  assert.deepEqual(await verify("v4", "integrity_check", false, false), [true, true], "again");
  const [count] = await place.read("select count(*)::int as rows from public.backup_verification");
  assert.deepEqual(count, { rows: 8 });
  const dates = await verifications.lastDates([...ids, "backup_3"], {
    ...{ location: "s3://b", complete: true },
  });
  assert.deepEqual([...dates.keys()].sort(), ids);
  const { lastAt, damaged } = await verifications.integrityAt("s3://b");
  assert.deepEqual([lastAt, damaged], [dates.get("backup_2"), []]);
  const unreadable = [{ id: "backup_9", code: "object_altered" }];
  for (let i = 0; i < 2; i++) {
    await verifications.noteUnreadable(unreadable, { location: "s3://b" });
  }
  assert.deepEqual([...await verifications.unreadable([...ids, "backup_9"])], ["backup_9"]);
});

Deno.test("what was verified in a copy marks no backup, and tells of the copy alone", async () => {
  await using place = await open();
  const { verifications, jobs, backups } = place.state;
  const ids = ["backup_1", "backup_2"];
  const [primary, copy] = ["s3://b", "file:///copy/"];
  for (const id of ids) {
    await jobs.finish({ ...backup(id), status: "completed", location: primary });
  }
  const verify = async (
    jobId: string,
    { type = "integrity_check", location = copy, found }: {
      type?: "existence" | "integrity_check";
      location?: string;
      found: boolean[];
    },
  ) => {
    await verifications.add(
      found.map((success, at) => ({
        ...{ backupId: ids[at]!, verificationType: type, success, details: {} },
      })),
      { jobId, location, verifiedBy: "key", ofCopy: location === copy },
    );
    const dates = await Promise.all(
      [primary, copy].map(async (each) =>
        (await verifications.lastDates(ids, { location: each!, complete: true })).size
      ),
    );
    return { damaged: await verifications.damagedAt(copy), marked: await backups.damaged(), dates };
  };
  const nothing = { damaged: [], marked: [], dates: [0, 0] };
  assert.deepEqual(await verify("v1", { type: "existence", found: [true, true] }), nothing);
  assert.deepEqual(await verify("v2", { found: [true, false] }), {
    ...{ damaged: ["backup_2"], marked: [], dates: [0, 2] },
  });
  const missing = await verify("v3", { type: "existence", found: [false, true] });
  assert.deepEqual(missing.damaged, ids, "that everything is there does not make it sound");
  assert.deepEqual(await verify("v4", { location: primary, found: [true, false] }), {
    ...{ damaged: ids, marked: ["backup_2"], dates: [2, 2] },
  });
  assert.deepEqual(await verify("v5", { found: [true, true] }), {
    ...{ damaged: [], marked: ["backup_2"], dates: [2, 2] },
  });
});

Deno.test("what is known of a place's integrity tells of its backups that are there still", async () => {
  await using place = await open();
  const { verifications, jobs, backups } = place.state;
  const ids = ["backup_1", "backup_2", "backup_3"];
  for (const id of ids) {
    await jobs.finish({ ...backup(id), status: "completed", location: "s3://b" });
  }
  await verifications.noteUnreadable([{ id: "backup_9", code: "object_altered" }], {
    location: "s3://b",
  });
  const never = { lastAt: null, damaged: [] };
  assert.deepEqual(await verifications.integrityAt("s3://b"), never, "nobody has verified it");
  await verifications.add(
    ids.map((backupId) => ({
      ...{ backupId, verificationType: "existence", success: false, details: {} },
    })),
    { jobId: "v1", location: "s3://b", verifiedBy: "key" },
  );
  assert.deepEqual((await verifications.integrityAt("s3://b")).damaged, ids);
  await backups.markFreed({ backupIds: ["backup_1"], pointIds: [] });
  await backups.giveUp(["backup_2"]);
  const { lastAt, damaged } = await verifications.integrityAt("s3://b");
  assert.deepEqual(damaged, ["backup_3"]);
  assert.ok(Math.abs(Date.parse(lastAt!) - Date.now()) < 600_000, String(lastAt));
  assert.deepEqual(await verifications.integrityAt("s3://other"), never);
});
