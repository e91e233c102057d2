/**
 * What runs by itself, on a real database and storage: backups by their intervals, what was asked for in
 * SQL, verification, retention. Longer than usual: the tests are one story of one service, each goes on from the
 * one before, so the file is run as a whole.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { DEFAULT_PLANS } from "../../supabase/functions/backup/recovery/default_plans.ts";
import { openRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import type { Deps } from "../../supabase/functions/backup/usecases/deps.ts";
import {
  type DueReport,
  startDue,
} from "../../supabase/functions/backup/usecases/service/start_due.ts";
import { noise, writeSampleBackup } from "../support/repository_samples.ts";
import { call, post, type ServiceUnderTest, startServiceUnderTest } from "../support/service.ts";

// One service for the file; the tests follow each other in the life of an installation.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest> | undefined;
const start = () => starting ??= startServiceUnderTest();

/** The service's use-cases in this process, with other variables if need be. */
async function withDeps<T>(
  work: (deps: Deps) => Promise<T>,
  variables: Record<string, string> = {},
): Promise<T> {
  const all = { ...(await start()).variables, ...variables } as Record<string, string>;
  const deps = createDeps({ environment: readEnvironment((name) => all[name] || undefined) });
  try {
    return await work(deps);
  } finally {
    await deps.idle();
    await deps.state.close();
  }
}

/** Journals of old executions, three more than are always kept, and of one whose worker was lost 100 days ago. */
async function writeJournals(): Promise<string> {
  const repository = await openSampled();
  const write = async (at: Date, number: number) => {
    const executionId = `recovery_${at.toISOString().replace(/[-:.]/g, "")}_${
      String(number).padStart(10, "0")
    }`;
    const request = {
      ...{ trigger: "config_corruption", mode: "live", force: false, rotate: [] },
      ...{ idempotencyKey: null, caller: { name: "ada", requestId: "req_1" } },
    };
    const plan = DEFAULT_PLANS.find(({ id }) => id === "config_corruption");
    const value = { format: 1, executionId, plan, request, startedAt: at.toISOString() };
    await repository.writeDocument({ name: `executions/${executionId}/begin`, value });
    return executionId;
  };
  for (let number = 0; number < 22; number++) await write(new Date(Date.UTC(2020, number)), number);
  return await write(new Date(Date.now() - 100 * 24 * 3_600_000), 22);
}

/** Starts what is due and waits for its end; null when another one did. */
function runDue(variables: Record<string, string> = {}): Promise<DueReport | null> {
  return withDeps(async (deps) => {
    const report = await startDue(deps);
    for (const jobId of report?.started ?? []) {
      const job = await deps.jobs.wait(jobId, 60_000);
      assert.equal(job?.status, "completed", `${jobId}: ${JSON.stringify(job?.error)}`);
    }
    return report;
  }, variables);
}

/** Moves everything that has run so far into the past. */
async function age(hours: number): Promise<void> {
  const { admin } = await start();
  await using session = await admin();
  for (
    const table of [
      "public.backup_jobs",
      "backup_internal.verify_jobs",
      "backup_internal.cleanup_jobs",
    ]
  ) {
    await session.execute(
      `update ${table} set started_at = started_at - interval '${hours} hours',
         completed_at = completed_at - interval '${hours} hours'`,
    );
  }
}

async function rows(query: string): Promise<Record<string, unknown>[]> {
  const { admin } = await start();
  await using session = await admin();
  return await session.query(query) as Record<string, unknown>[];
}

const typesOf = (report: DueReport | null) =>
  report?.started.map((id) => id.replace(/_\d{8}T\d{9}Z_/, " ").replace(/[0-9a-z]{10}$/, ""))
    .toSorted();

Deno.test(
  "everything that can be saved is due ten minutes after init, and two ticks start it once",
  shared,
  async () => {
    const { service } = await start();
    await post(service, "init");
    assert.deepEqual(await runDue(), { started: [], skipped: [] });
    const first = (await call(service, "status")).body.data.backups.database.nextDueAt;
    assert.deepEqual(
      await rows(`select abs(extract(epoch from min(applied_at) + interval '10 minutes'
        - '${first}'::timestamptz)) < 0.002 as same from backup_internal.migrations`),
      [{ same: true }],
    );
    // As ten minutes later.
    await rows(`update backup_internal.migrations
      set applied_at = applied_at - interval '10 minutes' returning 1`);
    const reports = await Promise.all([runDue(), runDue()]);
    const [mine] = reports.filter((report) => report !== null && report.started.length > 0);
    assert.deepEqual(typesOf(mine ?? null), ["backup ", "backup config_"]);
    assert.deepEqual(mine!.skipped.map(({ what }) => what), ["function", "secrets", "files"]);
    assert.match(mine!.skipped[0]!.reason, /BACKUP_MANAGEMENT_TOKEN/);
    assert.equal((await rows("select from public.backup_jobs")).length, 2);
    const { body } = await call(service, "recovery-points");
    assert.equal(body.data.points.length, 1);
    assert.equal(body.data.points[0].origin, "scheduled");
    assert.deepEqual(body.data.backups.map((each: { origin: string }) => each.origin), [
      "scheduled",
      "scheduled",
    ]);
  },
);

Deno.test(
  "verification and cleanup follow, and then nothing until an interval has passed",
  shared,
  async () => {
    assert.deepEqual(typesOf(await runDue()), ["cleanup ", "verify "]);
    const found = await rows(`select v.verification_type, v.success, j.integrity_verified, j.type
    from public.backup_verification v join public.backup_jobs j on j.job_id = v.backup_id order by 4`);
    const verified = {
      verification_type: "integrity_check",
      success: true,
      integrity_verified: true,
    };
    assert.deepEqual(found, ["config", "database"].map((type) => ({ ...verified, type })));
    assert.deepEqual(typesOf(await runDue()), []);
  },
);

Deno.test(
  "a backup of each type is due by its own interval, unless it is switched off",
  shared,
  async () => {
    await age(13);
    const often = { BACKUP_DATABASE_INTERVAL: "12", BACKUP_ENABLE_VERIFICATION: "false" };
    const off = { ...often, BACKUP_ENABLE_DATABASE_BACKUP: "false" };
    assert.deepEqual(typesOf(await runDue(off)), []);
    assert.deepEqual(typesOf(await runDue(often)), ["backup "]);
    assert.deepEqual(typesOf(await runDue(often)), []);
  },
);

Deno.test(
  "what is switched off is not backed up by hand either, and the setting is named",
  shared,
  async () => {
    const switches = {
      ...{ database: "enableDatabaseBackup", function: "enableFunctionBackup" },
      ...{
        config: "enableConfigBackup",
        secrets: "enableSecretsBackup",
        files: "enableFilesBackup",
      },
    };
    const off = Object.keys(switches).map((type) => [
      ...[`BACKUP_ENABLE_${type.toUpperCase()}_BACKUP`, "false"],
    ]);
    await using service = (await start()).variant(Object.fromEntries(off));
    const before = (await rows("select from public.backup_jobs")).length;
    for (const [type, setting] of Object.entries(switches)) {
      const { status, body } = await post(service, `backup-${type}`);
      assert.deepEqual([status, body.error.code], [400, "invalid_config"], type);
      assert.equal(body.error.hint, `Set ${setting} to true.`);
    }
    const all = await post(service, "backup-all");
    assert.equal(all.status, 400, JSON.stringify(all.body));
    for (const setting of Object.values(switches)) {
      assert.ok(
        all.body.error.message.includes(setting),
      );
    }
    assert.equal((await rows("select from public.backup_jobs")).length, before);
  },
);

Deno.test(
  "a backup that cannot begin is recorded as failed and tried again after a pause",
  shared,
  async () => {
    await age(40);
    const broken = {
      BACKUP_ENCRYPTION_KEY: "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdee",
      BACKUP_ENABLE_VERIFICATION: "false",
      BACKUP_ENABLE_CONFIG_BACKUP: "false",
    };
    const first = await withDeps((deps) => startDue(deps), broken);
    assert.deepEqual(first!.skipped.map(({ what }) => what).slice(-2), ["database", "cleanup"]);
    const failed =
      "select metadata->'error'->>'code' as code from public.backup_jobs where status = 'failed'";
    assert.deepEqual(await rows(failed), [{ code: "key_wrong" }]);
    await withDeps((deps) => startDue(deps), broken);
    assert.equal((await rows(failed)).length, 1, "not with every tick");
    const missed = await rows("select alert_key, state from backup_internal.alerts order by 1");
    assert.deepEqual(
      missed.map(({ alert_key }) => alert_key).filter((key) => /missed/.test(String(key))),
      [
        "missed:database",
      ],
    );
    const late = { BACKUP_ENABLE_VERIFICATION: "false", BACKUP_ENABLE_CONFIG_BACKUP: "false" };
    assert.deepEqual(typesOf(await runDue(late)), []);
    await rows(`update public.backup_jobs set started_at = started_at - interval '6 minutes',
    completed_at = completed_at - interval '6 minutes' where status = 'failed' returning 1`);
    assert.deepEqual(typesOf(await runDue(late)), ["backup "]);
    await rows(
      `update backup_internal.cleanup_jobs set started_at = started_at - interval '6 minutes',
    completed_at = completed_at - interval '6 minutes' where status = 'failed' returning 1`,
    );
    assert.deepEqual(typesOf(await runDue(late)), ["cleanup "]);
  },
);

Deno.test("nothing is started while a recovery works on the live project", shared, async () => {
  await age(2000);
  await rows(`insert into public.disaster_recovery_executions
      (execution_id, plan_id, trigger, status, started_at, steps_executed, mode)
    values ('recovery_20260101T000000000Z_0000000000', 'database_failure', 'database_unavailable',
      'running', now(), '[]', 'live') returning 1`);
  const report = await withDeps((deps) => startDue(deps));
  assert.deepEqual(report!.started, []);
  assert.match(report!.skipped[0]!.reason, /recovery_2026\S+ runs/);
  await age(-2000);

  // One whose job is gone is at its end with the next look, and in nobody's way any more.
  await rows(`update public.disaster_recovery_executions
    set updated_at = now() - interval '2 minutes' returning 1`);
  const [next] = (await withDeps((deps) => startDue(deps)))!.skipped;
  assert.doesNotMatch(next?.reason ?? "", /recovery/);
  assert.deepEqual(
    await rows(
      "select status, metadata->'error'->>'code' as code " +
        "from public.disaster_recovery_executions",
    ),
    [{ status: "failed", code: "interrupted" }],
  );
  await rows("delete from public.disaster_recovery_executions returning 1");
});

Deno.test("what was asked for in SQL is begun under its id", shared, async () => {
  const quiet = { BACKUP_ENABLE_VERIFICATION: "false", BACKUP_ENABLE_CONFIG_BACKUP: "false" };
  const [asked] = await rows("select public.create_manual_backup('before the move', 'ada') as id");
  assert.deepEqual((await runDue(quiet))!.started, [asked!.id]);
  const [row] = await rows(`select status, reason, created_by from public.backup_jobs
    where job_id = '${asked!.id}'`);
  assert.deepEqual(row, { status: "completed", reason: "before the move", created_by: "ada" });

  const ask = `select public.test_backup_restoration('${asked!.id}') as result`;
  assert.deepEqual(await rows(ask), [{ result: null }]);
  assert.deepEqual(typesOf(await runDue(quiet)), ["restore "]);
  assert.deepEqual(await rows(ask), [{ result: true }]);
});

/** As if the time of what waits had come. */
const letTimeCome = () =>
  rows(`update public.backup_jobs set started_at = now() - interval '1 second'
    where status = 'pending' returning 1`);

Deno.test(
  "a recovery point with a time waits for it, can be taken back in part, and is begun as one",
  shared,
  async () => {
    const { service } = await start();
    const quiet = { BACKUP_ENABLE_VERIFICATION: "false", BACKUP_ENABLE_CONFIG_BACKUP: "true" };
    await runDue(quiet);
    const at = new Date(Date.now() + 600_000).toISOString();
    const wish = { type: "full", includeComponents: ["database", "config"], scheduleAt: at };
    const { status, body } = await post(service, "create", wish);
    assert.equal(status, 202, JSON.stringify(body));
    const { backupId, scheduledComponents } = body.data;
    const shown = scheduledComponents.map((one: { type: string; status: string }) => [
      ...[one.type, one.status],
    ]);
    assert.deepEqual(shown, [["database", "pending"], ["config", "pending"]]);
    const listed = (await call(service, "jobs&status=pending")).body.data;
    assert.equal(listed.total, 2);
    const of = { startedAt: at, recoveryPointId: backupId, createdBy: "default" };
    const [{ startedAt, recoveryPointId, createdBy }] = listed.jobs;
    assert.deepEqual({ startedAt, recoveryPointId, createdBy }, of);
    assert.deepEqual(typesOf(await runDue(quiet)), [], "its time has not come");
    await age(25);
    const later =
      (await rows(`update public.backup_jobs set started_at = now() + interval '10 minutes'
      where status = 'pending' returning 1`)).length;
    assert.equal(later, 2);
    assert.deepEqual(typesOf(await runDue(quiet)), ["backup ", "backup config_", "cleanup "]);

    const [database, config] = scheduledComponents.map(({ jobId }: { jobId: string }) => jobId);
    const cancelled = await post(service, "cancel", { jobId: config });
    assert.equal(cancelled.body.data.status, "cancelled");
    await letTimeCome();
    assert.deepEqual((await runDue(quiet))!.started, [database]);
    const { points } = (await call(service, "recovery-points")).body.data;
    const point = points.find(({ pointId }: { pointId: string }) => pointId === backupId);
    assert.deepEqual([point.status, point.reason], ["partial", "full"]);
    assert.deepEqual(await rows("select from public.backup_jobs where status = 'pending'"), []);
  },
);

Deno.test("of what waits a point of high priority is begun first", shared, async () => {
  const { service } = await start();
  const asked: string[] = [];
  for (const priorityLevel of ["normal", "high"]) {
    const wish = { type: "manual", includeComponents: ["database"], priorityLevel };
    const scheduleAt = new Date(Date.now() + 600_000).toISOString();
    const { body } = await post(service, "create", { ...wish, scheduleAt });
    asked.push(body.data.scheduledComponents[0].jobId);
  }
  await letTimeCome();
  const quiet = { BACKUP_ENABLE_VERIFICATION: "false", BACKUP_ENABLE_CONFIG_BACKUP: "false" };
  const report = await withDeps(async (deps) => {
    const report = await startDue(deps);
    const priority = "select priority from backup_internal.job_runs";
    assert.deepEqual(await rows(priority), [{ priority: 1 }]);
    await deps.jobs.wait(asked[1]!, 60_000);
    return report;
  }, quiet);
  assert.deepEqual(report!.started, [asked[1]]);
  const second = await runDue(quiet);
  assert.deepEqual(second!.started, [asked[0]], JSON.stringify([report, second]));
});

Deno.test(
  "create refuses a time that is no time, past or far, and writes nothing down",
  shared,
  async () => {
    const { service } = await start();
    const far = new Date(Date.now() + 400 * 86_400_000).toISOString();
    for (const scheduleAt of ["soon", "2020-01-01T00:00:00Z", "2030-01-01", far, 5, null, ""]) {
      const { status, body } = await post(service, "create", { type: "manual", scheduleAt });
      assert.equal(status, 400, JSON.stringify(body));
      assert.equal(body.error.details.issues[0].path, "scheduleAt");
    }
    const scheduleAt = new Date(Date.now() + 600_000).toISOString();
    await rows(`insert into public.backup_jobs (job_id, type, status, started_at)
    select 'backup_x' || i, 'database', 'pending', now() + interval '1 day'
    from generate_series(1, 99) i returning 1`);
    const many = await post(service, "create", { type: "manual", scheduleAt });
    assert.deepEqual([many.status, many.body.error.code], [409, "conflict"]);
    assert.equal(
      (await rows("delete from public.backup_jobs where status = 'pending' returning 1")).length,
      99,
    );
  },
);

/** The service's repository, in this process. */
async function openSampled() {
  const { variables } = await start();
  return await openRepository({
    storage: localStorage(variables.BACKUP_STORAGE_PATH!),
    key: new Secret(variables.BACKUP_ENCRYPTION_KEY!),
  });
}

/** Adds a backup of a day in the past, as if it had been made then. */
async function backUpInThePast(days: number): Promise<string> {
  const { variables } = await start();
  const repository = await openSampled();
  const at = new Date(Date.now() - days * 86_400_000);
  const backupId = `backup_${at.toISOString().replace(/[-:.]/g, "")}_${
    String(days).padStart(10, "0")
  }`;
  await writeSampleBackup(repository, { backupId, parts: [noise(5000, days)] });
  const chunks = `${variables.BACKUP_STORAGE_PATH}/chunks`;
  for await (const folder of Deno.readDir(chunks)) {
    for await (const { name } of Deno.readDir(`${chunks}/${folder.name}`)) {
      await Deno.utime(`${chunks}/${folder.name}/${name}`, at, at);
    }
  }
  return backupId;
}

Deno.test(
  "cleanup expires by the days, says why, and neither storage nor tables call it lost",
  shared,
  async () => {
    const { service } = await start();
    const rules = {
      BACKUP_WEEKLY_KEPT: "0",
      BACKUP_MONTHLY_KEPT: "0",
      BACKUP_CLEANUP_GRACE_HOURS: "1",
    };
    await using strict = (await start()).variant(rules);
    const [young, old, older] = [
      await backUpInThePast(20),
      await backUpInThePast(31),
      await backUpInThePast(400),
    ];
    await post(service, "init");
    await using guarded = (await start()).variant({
      BACKUP_ADMIN_KEY: "an-administrator-s-key-0123456789",
    });
    assert.equal((await post(guarded, "cleanup")).status, 403);
    const told = await post(strict, "cleanup&wait=30", { dryRun: true });
    assert.equal(told.status, 200, JSON.stringify(told.body));
    const expired = [older, old].map((backupId) => ({ backupId, why: "older than 30 days" }));
    const withoutBytes = ({ backupId, why }: { backupId: string; why: string }) => ({
      backupId,
      why,
    });
    assert.deepEqual(told.body.data.result.expired.map(withoutBytes), expired);
    assert.equal(told.body.data.result.planned.count > 0, true);
    assert.deepEqual(await rows("select from public.backup_jobs where freed_at is not null"), []);

    // Pruning records before the cleanup takes no row of a backup that exists, however old it is.
    const prune =
      "select sum(removed_rows) as removed from public.cleanup_backup_data(30, 30, 30, 30)";
    await rows(prune);
    assert.equal(
      (await rows(`select from public.backup_jobs where job_id = '${older}'`)).length,
      1,
    );

    const lost = await writeJournals();
    // As the guide asks for it: without a body.
    const done = await call(strict, "cleanup&wait=30", { method: "POST" });
    assert.equal(done.body.data.result.pruned.journals, 3);
    assert.deepEqual(
      await rows("select execution_id, status from public.disaster_recovery_executions"),
      [{ execution_id: lost, status: "failed" }],
    );
    assert.deepEqual(done.body.data.result.expired.map(withoutBytes), expired);
    const [kept] = done.body.data.result.keptBackups
      .filter(({ backupId }: { backupId: string }) => backupId === young);
    assert.deepEqual(
      await rows(`select to_char(retention_until at time zone 'UTC', 'YYYY-MM-DD') as until
        from public.backup_jobs where job_id = '${young}'`),
      [{ until: kept.until.slice(0, 10) }],
    );
    const freed = await rows(
      "select job_id from public.backup_jobs where freed_at is not null order by 1",
    );
    assert.deepEqual(freed, [older, old].map((job_id) => ({ job_id })));
    const { body } = await call(service, "status");
    assert.deepEqual(body.data.backups.database.lost, { missing: [], replaced: [] });
    const left = (await call(service, "recovery-points")).body.data.backups;
    const ids = left.map((each: { backupId: string }) => each.backupId);
    assert.ok(ids.includes(young) && !ids.includes(old) && !ids.includes(older));

    // While the storage does not list what the tables know, its chunks only look useless.
    const record = `${(await start()).variables.BACKUP_STORAGE_PATH}/backups/${young}`;
    await Deno.rename(record, `${record}.away`);
    const unsure = await post(strict, "cleanup&wait=30", { dryRun: true });
    await Deno.rename(`${record}.away`, record);
    assert.match(unsure.body.data.result.notFreed, new RegExp(`does not list ${young}, which`));

    // Another project that is pointed at this storage lets nothing go by its own rules.
    const repository = await openSampled();
    const owner = (await repository.owner())!;
    const other = { projectRef: "elsewhere", systemIdentifier: "1", database: "postgres" };
    await repository.claimOwner(other, { takeOver: true });
    const foreign = await post(strict, "cleanup&wait=30");
    await repository.claimOwner(owner, { takeOver: true });
    assert.equal(foreign.body.error.code, "repository_foreign");

    // Tables that know nothing of the cleanup learn from storage what it did.
    await rows("update public.backup_jobs set freed_at = null returning 1");
    await call(service, "status");
    assert.equal(
      (await rows("select from public.backup_jobs where freed_at is not null")).length,
      2,
    );
    // And after the cleanup their rows go with time.
    await rows(`update public.backup_jobs set freed_at = now() - interval '40 days',
    completed_at = now() - interval '40 days' where freed_at is not null returning 1`);
    await rows(prune);
    assert.equal(
      (await rows("select from public.backup_jobs where freed_at is not null")).length,
      0,
    );
    const again = await call(service, "status");
    assert.equal(again.body.data.storage.ok, true, JSON.stringify(again.body.data.storage));
  },
);

Deno.test("a kept backup can still be verified and restored", shared, async () => {
  const { service } = await start();
  const verified = await post(service, "verify&wait=60", { level: "full" });
  assert.equal(verified.status, 200, JSON.stringify(verified.body));
  const restored = await post(service, "restore&wait=60", {
    backupId: "test_backup",
    type: "database",
  });
  assert.equal(restored.status, 200, JSON.stringify(restored.body));
});

Deno.test(
  "damage that the verification finds is recorded, and the damaged backup protects no other",
  shared,
  async () => {
    const { variables } = await start();
    const [newest] = await rows(`select job_id, checksum from public.backup_jobs
    where type = 'config' and status = 'completed' order by started_at desc limit 1`);
    const path = `${variables.BACKUP_STORAGE_PATH}/manifests/${newest!.checksum}`;
    const bytes = await Deno.readFile(path);
    bytes[100]! ^= 1;
    await Deno.chmod(path, 0o644);
    await Deno.writeFile(path, bytes);
    await rows("delete from public.backup_verification returning 1");
    await age(25);
    await withDeps(async (deps) => {
      const report = await startDue(deps);
      for (const jobId of report!.started) await deps.jobs.wait(jobId, 60_000);
    });
    const [found] = await rows(`select v.success, v.details, j.integrity_verified
    from public.backup_verification v join public.backup_jobs j on j.job_id = v.backup_id
    where v.backup_id = '${newest!.job_id}'`);
    assert.equal(found!.success, false);
    assert.equal(found!.integrity_verified, false);
    assert.match(JSON.stringify(found!.details), /object_altered/);
  },
);

Deno.test("the service stops", shared, async () => {
  await (await start()).stop();
});
