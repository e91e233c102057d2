import assert from "node:assert/strict";
import { freePort, startPostgres } from "../../scripts/embedded_postgres.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { MIGRATIONS, OWN_TABLES } from "../../supabase/functions/backup/state/migrations.ts";
import { call, post, type ServiceUnderTest, startServiceUnderTest } from "../support/service.ts";

// One service for the file; the tests follow each other as an operator's day does.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest> | undefined;
const start = () => starting ??= startServiceUnderTest();
let backupId = "";

Deno.test("init by two callers at once and again does no harm", shared, async () => {
  const { service, admin } = await start();
  const answers = await Promise.all([post(service, "init"), post(service, "init")]);
  answers.push(await post(service, "init"));
  for (const { status, body } of answers) {
    assert.equal(status, 200);
    const tables = body.data.steps.find((step: { step: string }) => step.step === "tables");
    assert.equal(tables.done, true, tables.found);
  }
  await using session = await admin();
  const versions = await session.query("select version from backup_internal.migrations");
  assert.equal(versions.length, MIGRATIONS.length);
});

Deno.test("nobody but service_role reads the tables, and nobody writes them", shared, async () => {
  const { admin } = await start();
  await using session = await admin();
  const tables = await session.query(
    `
    select c.oid::regclass::text as name, c.relrowsecurity as secured from pg_class c
    where c.relkind = 'r' and (c.relnamespace = 'backup_internal'::regnamespace
      or c.oid::regclass::text = any($1))`,
    [`{${OWN_TABLES.join(",")}}`],
  );
  assert.ok(tables.length > OWN_TABLES.length);
  for (const { name, secured } of tables) {
    assert.equal(secured, true, name);
    for (const role of ["anon", "authenticated", "service_role"]) {
      for (
        const right of ["select", "insert", "update", "delete", "truncate", "references", "trigger"]
      ) {
        const [found] = await session.query(
          "select has_table_privilege($1, $2, $3) as granted",
          [role, name, right],
        );
        const expected = role === "service_role" && right === "select" &&
          !name.startsWith("backup_internal");
        assert.equal(found?.granted, expected, `${role} ${right} ${name}`);
      }
    }
  }
});

Deno.test("backup-database with wait answers 200 with the finished job", shared, async () => {
  const { service, admin } = await start();
  await using session = await admin();
  await session.execute(`
    create table public.notes (id integer primary key, body text);
    alter table public.notes owner to postgres;
    insert into public.notes select i, 'note ' || i from generate_series(1, 1000) i`);
  const { status, body } = await post(service, "backup-database&wait=60", { reason: "first" });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.data.status, "completed");
  assert.equal(body.data.recorded, true);
  assert.equal(body.data.reason, "first");
  assert.equal(body.data.createdBy, "default");
  assert.equal(body.data.result.consistency.level, "one-moment");
  assert.ok(body.data.result.totals.rows >= 1000);
  backupId = body.data.jobId;
});

Deno.test("job and jobs show the backup", shared, async () => {
  const { service } = await start();
  const one = await call(service, `job&jobId=${backupId}&type=backup`);
  assert.equal(one.body.data.jobId, backupId);
  const list = await call(service, "jobs&status=completed&limit=1");
  assert.equal(list.body.data.jobs.length, 1);
  assert.equal(list.body.data.from, "tables");
  assert.equal((await call(service, "jobs&status=failed")).body.data.total, 0);
});

Deno.test("status names the last backup and when the next is due", shared, async () => {
  const { service } = await start();
  const { body } = await call(service, "status");
  assert.equal(body.data.backups.database.last.backupId, backupId);
  assert.equal(body.data.healthy, true);
  const { startedAt } = (await call(service, `job&jobId=${backupId}`)).body.data;
  const { nextDueAt, whyNotDue } = body.data.backups.database;
  assert.equal(Date.parse(nextDueAt) - Date.parse(startedAt), 24 * 3_600_000);
  assert.equal(whyNotDue, null);
  assert.match(body.data.backups.function.whyNotDue, /BACKUP_MANAGEMENT_TOKEN/);
  assert.equal(body.data.backups.function.nextDueAt, null);
  assert.ok(body.data.verification.nextDueAt !== null && body.data.cleanup.nextDueAt !== null);
});

Deno.test("test proves every link of the chain", shared, async () => {
  const { service } = await start();
  const { body } = await call(service, "test");
  assert.equal(body.data.ok, true, JSON.stringify(body.data.checks));
  assert.deepEqual(
    body.data.checks.map((check: { name: string }) => check.name),
    ["settings", "storage", "repository", "database", "tables", "notifications"],
  );
});

Deno.test(
  "a second backup while one runs is 409 and names it; cancel stops it",
  shared,
  async () => {
    const { service, admin } = await start();
    await using session = await admin();
    await session.execute("begin; lock table public.notes in access exclusive mode");
    const first = await post(service, "backup-database");
    assert.equal(first.status, 202);
    const { jobId } = first.body.data;
    const second = await post(service, "backup-database");
    assert.equal(second.status, 409);
    assert.equal(second.body.error.details.jobId, jobId);
    const waited = await post(service, "cancel", { jobId });
    assert.equal(waited.status, 200);
    await session.execute("rollback");
    const ended = await call(service, `job&jobId=${jobId}`);
    assert.equal(ended.body.data.status, "cancelled", JSON.stringify(ended.body.data.error));
    assert.equal((await post(service, "cancel", { jobId })).status, 409);

    const [asked] = await session.query("select public.create_manual_backup('why', 'Ada') as id");
    const pending = await call(service, `job&jobId=${asked?.id}`);
    assert.deepEqual([pending.body.data.status, pending.body.data.createdBy], ["pending", "Ada"]);
    const taken = await post(service, "cancel", { jobId: asked?.id });
    assert.deepEqual([taken.status, taken.body.data?.status], [200, "cancelled"]);
  },
);

Deno.test("a running job without a sign of life is marked interrupted", shared, async () => {
  const { service, admin } = await start();
  await using session = await admin();
  await session.execute(`
    insert into public.backup_jobs (job_id, type, status, updated_at)
    values ('backup_lost', 'database', 'running', now() - interval '2 minutes')`);
  await call(service, "status");
  const { body } = await call(service, "job&jobId=backup_lost");
  assert.equal(body.data.status, "failed");
  assert.equal(body.data.error.code, "interrupted");
});

Deno.test("an unknown backup, job or schema of ids is 404", shared, async () => {
  const { service } = await start();
  const restore = await post(service, "restore", { backupId: "backup_1", type: "database" });
  assert.equal(restore.status, 404);
  assert.equal(restore.body.error.code, "backup_not_found");
  assert.equal((await post(service, "verify", { backupId: "backup_1" })).status, 404);
  assert.equal((await call(service, "job&jobId=backup_1")).status, 404);
  assert.equal((await call(service, "job&jobId=../../etc/passwd")).status, 404);
  assert.equal((await post(service, "cancel", { jobId: "backup_1" })).status, 404);
});

Deno.test("verify reads the backup back", shared, async () => {
  const { service } = await start();
  const { status, body } = await post(service, "verify&wait=60", { level: "full", backupId });
  assert.equal(status, 200, JSON.stringify(body));
  assert.deepEqual(body.data.result.problems, []);
  assert.ok(body.data.result.bytesRead > 0);
});

Deno.test(
  "restore dryRun plans and changes nothing; restore brings the rows back",
  shared,
  async () => {
    const { service, admin } = await start();
    await using session = await admin();
    await session.execute("delete from public.notes where id > 10");
    const request = { backupId, type: "database" };
    const plan = await post(service, "restore&wait=60", { ...request, dryRun: true });
    assert.equal(plan.status, 200, JSON.stringify(plan.body));
    assert.equal(plan.body.data.result.dryRun, true);
    const count = async () =>
      (await session.query("select count(*)::integer as n from public.notes"))[0]?.n;
    assert.equal(await count(), 10);
    const done = await post(service, "restore&wait=60", request);
    assert.equal(done.status, 200, JSON.stringify(done.body));
    assert.equal(await count(), 1000);
    const { safetyBackupId } = done.body.data.result;
    assert.equal(
      (await call(service, `job&jobId=${safetyBackupId}`)).body.data.status,
      "completed",
    );
    assert.equal((await call(service, "jobs&type=restore")).body.data.total, 2);
  },
);

Deno.test(
  "a target that is too old is refused untouched; a waited-for job that fails is 500 with its error",
  shared,
  async () => {
    const { variant } = await start();
    const old = await startPostgres({ major: 15 });
    try {
      await using service = variant({ OLD_TARGET: old.url("postgres") });
      const { status, body } = await post(service, "restore&wait=60", {
        backupId,
        type: "database",
        targetDatabaseUrl: "env:OLD_TARGET",
      });
      assert.equal(status, 500);
      assert.equal(body.error.code, "target_unfit", JSON.stringify(body.error));
      assert.match(body.error.message, /older major version/);
      assert.equal(body.data.status, "failed");
      const target = await connect({ url: old.url("postgres") });
      const relations = await target.query(
        "select relname from pg_class where oid >= 16384 and relkind in ('r', 'p', 'v')",
      );
      await target.close();
      assert.deepEqual(relations, []);
    } finally {
      await old[Symbol.asyncDispose]();
    }
  },
);

Deno.test(
  "a wrong, a missing and a placeholder key each have their own error",
  shared,
  async () => {
    const { variant } = await start();
    const codeWith = async (key: string) => {
      await using service = variant({ BACKUP_ENCRYPTION_KEY: key });
      const { status, body } = await post(service, "verify", {});
      assert.equal(status, 400);
      return body.error.code;
    };
    assert.equal(await codeWith(btoa("0123456789abcdefghijklmnopqrstuv")), "key_wrong");
    assert.equal(await codeWith(""), "key_missing");
    assert.equal(await codeWith("your-encryption-key"), "key_weak");
  },
);

Deno.test("unreachable storage is an error of its own and leaves no backup", shared, async () => {
  const { variant, service: usual } = await start();
  const listed = async () => (await call(usual, "jobs&status=completed")).body.data.total;
  const before = await listed();
  await using service = variant({
    BACKUP_STORAGE_TYPE: "s3",
    BACKUP_STORAGE_BUCKET: "backups",
    BACKUP_STORAGE_ENDPOINT: `http://127.0.0.1:${freePort()}`,
    BACKUP_STORAGE_ACCESS_KEY: "access",
    BACKUP_STORAGE_SECRET_KEY: "secret",
  });
  const { status, body } = await post(service, "verify", {});
  assert.equal(status, 503, JSON.stringify(body));
  assert.equal(body.error.code, "storage_unreachable");
  const backup = await post(service, "backup-database&wait=60");
  assert.ok(backup.status >= 500, JSON.stringify(backup.body));
  assert.equal(backup.body.error.code, "storage_unreachable");
  assert.equal(await listed(), before);
});

Deno.test("the hosted runtime refuses local storage and says what to set", shared, async () => {
  const { variant } = await start();
  await using service = variant({ SB_EXECUTION_ID: "hosted" });
  const { status, body } = await post(service, "verify", {});
  assert.equal(status, 400);
  assert.equal(body.error.code, "invalid_config");
  assert.match(body.error.hint, /BACKUP_STORAGE_TYPE=s3/);
});

Deno.test("with the database down status, jobs and verify still answer", shared, async () => {
  const { variant } = await start();
  await using service = variant({
    SUPABASE_DB_URL: `postgres://postgres@127.0.0.1:${freePort()}/postgres`,
  });
  const status = await call(service, "status");
  assert.equal(status.status, 200);
  assert.equal(status.body.data.healthy, false);
  assert.equal(status.body.data.database.ok, false);
  assert.equal(status.body.data.storage.ok, true);
  const jobs = await call(service, "jobs");
  assert.equal(jobs.body.data.from, "storage");
  assert.ok(jobs.body.data.jobs.some((job: { jobId: string }) => job.jobId === backupId));
  const backup = await post(service, "backup-database&wait=60");
  assert.equal(backup.status, 500);
  assert.equal(backup.body.error.code, "database_unreachable");
  assert.equal(backup.body.data.recorded, false);
  assert.equal((await post(service, "verify&wait=60", { backupId })).status, 200);
});

Deno.test(
  "with the tables dropped init rebuilds the list of backups from storage",
  shared,
  async () => {
    const { service, admin } = await start();
    await using session = await admin();
    await session.execute(`
    drop schema backup_internal cascade;
    drop table public.backup_jobs, public.restore_jobs, public.backup_config, public.backup_audit_log`);
    assert.equal((await call(service, `job&jobId=${backupId}`)).status, 200);
    assert.equal((await post(service, "init")).status, 200);
    const { body } = await call(service, "jobs");
    assert.equal(body.data.from, "tables");
    assert.ok(body.data.jobs.some((job: { jobId: string }) => job.jobId === backupId));
  },
);

Deno.test("the audit log names who asked for what, and no secrets", shared, async () => {
  const { service, admin, variables } = await start();
  await post(service, "backup-database&wait=60");
  await using session = await admin();
  const rows = await session.query("select * from public.backup_audit_log order by occurred_at");
  const outcomes = rows.filter((row) => row.action === "backup-database").map((row) => row.outcome);
  assert.deepEqual(outcomes.sort(), ["accepted", "completed"]);
  assert.ok(rows.every((row) => row.actor === "default"));
  assert.ok(!JSON.stringify(rows).includes(variables.BACKUP_ENCRYPTION_KEY as string));
});

Deno.test("the service stops cleanly", shared, async () => {
  const { service, stop } = await start();
  await stop();
  await assert.rejects(fetch(service.url));
});
