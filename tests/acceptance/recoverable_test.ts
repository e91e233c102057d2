import assert from "node:assert/strict";
import { keyFingerprint } from "../../supabase/functions/backup/repository/mod.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import {
  type Answer,
  call,
  post,
  type ServiceUnderTest,
  startServiceUnderTest,
} from "../support/service.ts";

// One service for the file; the tests follow each other on the way from deployed to recoverable and back.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<ServiceUnderTest> | undefined;
const start = () => starting ??= startServiceUnderTest();
let first = "";
let second = "";

function stepOf(answer: Answer, name: string): { done: boolean; found: string; next: string } {
  return answer.body.data.steps.find((one: { step: string }) => one.step === name);
}

Deno.test("init proposes a key once, and none where one is in use", shared, async () => {
  const { variant, variables, admin } = await start();
  await using session = await admin();
  const place = { BACKUP_STORAGE_PATH: `${variables.BACKUP_STORAGE_PATH}-without-key` };
  await using without = variant({ ...place, BACKUP_ENCRYPTION_KEY: "" });
  const once = await post(without, "init");
  const proposed = once.body.data.proposedEncryptionKey;
  assert.equal(atob(proposed).length, 32);
  assert.equal(once.body.data.recoverable, false);
  assert.equal(stepOf(once, "repository").done, false);
  const again = await post(without, "init");
  assert.equal(again.body.data.proposedEncryptionKey, null);
  assert.match(stepOf(again, "repository").next, /proposed before/);
  const log = JSON.stringify(await session.query("select * from public.backup_audit_log"));
  assert.ok(!log.includes(proposed), "the key is stored nowhere");
  await using withKey = variant({ ...place, BACKUP_ENCRYPTION_KEY: proposed });
  const opened = await post(withKey, "init");
  assert.equal(stepOf(opened, "repository").done, true);
  assert.equal(opened.body.data.proposedEncryptionKey, null);
  assert.ok(!JSON.stringify(opened.body).includes(proposed));
  await session.execute("delete from public.backup_audit_log");
  const lost = await post(without, "init");
  assert.equal(lost.body.data.proposedEncryptionKey, null, "a key is in use there");
  assert.match(stepOf(lost, "repository").next, /made with/);
  await using placeholder = variant({ ...place, BACKUP_ENCRYPTION_KEY: "your-encryption-key" });
  assert.match(
    stepOf(await post(placeholder, "init"), "repository").found,
    /key_weak.*placeholder/,
  );
});

Deno.test(
  "init and status say in order what is missing until it is recoverable",
  shared,
  async () => {
    const { service } = await start();
    const report = await post(service, "init");
    assert.deepEqual(report.body.data.steps.map((one: { step: string }) => one.step), [
      "deployed",
      "tables",
      "scratch-databases",
      "settings",
      "storage",
      "repository",
      "key-saved",
      "list-of-backups",
      "nothing-lost",
      "recovery-plans",
      "schedule",
      "first-backup",
      "first-restore-test",
      "channels",
    ]);
    const open = report.body.data.steps.filter((one: { done: boolean }) => !one.done)
      .map((one: { step: string }) => one.step);
    assert.deepEqual(open, [
      "key-saved",
      "schedule",
      "first-backup",
      "first-restore-test",
      "channels",
    ]);
    for (const name of open) assert.ok(stepOf(report, name).next, `${name} has a line to copy`);
    const status = await call(service, "status");
    assert.equal(status.body.data.recoverable.ok, false);
    assert.match(
      status.body.data.recoverable.found,
      /not recoverable yet.*no backup of the database yet/,
    );
  },
);

Deno.test("the key counts as kept when the fingerprint of the copy is told", shared, async () => {
  const { service, variables, variant } = await start();
  const wrong = await post(service, "init", { confirmKeyFingerprint: "0123456789abcdef" });
  assert.equal(wrong.status, 400);
  assert.equal(wrong.body.error.code, "key_wrong");
  assert.equal((await post(service, "init", { confirmKeyFingerprint: "short" })).status, 400);
  const key = variables.BACKUP_ENCRYPTION_KEY as string;
  const confirmKeyFingerprint = await keyFingerprint(new Secret(key));
  assert.ok(
    !JSON.stringify(wrong.body).includes(confirmKeyFingerprint),
    "never told by the service",
  );
  await using guarded = variant({ BACKUP_ADMIN_KEY: "only-for-two-people" });
  assert.equal((await post(guarded, "init", { confirmKeyFingerprint })).status, 403);
  const right = await post(service, "init", { confirmKeyFingerprint });
  assert.equal(stepOf(right, "key-saved").done, true);
  assert.equal(stepOf(await post(service, "init"), "key-saved").done, true, "and stays so");
});

Deno.test("the printed command works the fingerprint out of a file", shared, async () => {
  const { service, variables } = await start();
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/backup.key`, `${variables.BACKUP_ENCRYPTION_KEY}\n`);
  const hint = (await post(service, "init", { confirmKeyFingerprint: "0123456789abcdef" })).body
    .error.hint as string;
  const command = hint.slice(hint.indexOf("("));
  const output = await new Deno.Command("sh", { args: ["-c", command], cwd: folder }).output();
  const expected = await keyFingerprint(new Secret(variables.BACKUP_ENCRYPTION_KEY as string));
  assert.equal(new TextDecoder().decode(output.stdout).trim(), expected);
  await Deno.remove(folder, { recursive: true });
});

Deno.test(
  "restore of test_backup tries the newest backup and leaves nothing behind",
  shared,
  async () => {
    const { service, admin, variant } = await start();
    await using session = await admin();
    await session.execute(`
    create role b_scratch_owner;
    create table public.notes (id integer primary key, body text);
    alter table public.notes owner to postgres;
    insert into public.notes select i, 'note ' || i from generate_series(1, 1000) i;
    create table public.fired (at timestamptz);
    grant insert on public.fired to postgres;
    create function public.fire() returns event_trigger language plpgsql as
      $$ begin insert into public.fired values (now()); end $$;
    create event trigger on_ddl on ddl_command_end execute function public.fire()`);
    assert.equal(
      (await post(service, "restore", { backupId: "test_backup", type: "database" })).status,
      404,
    );
    first = (await post(service, "backup-database&wait=60")).body.data.jobId;
    second = (await post(service, "backup-database&wait=60")).body.data.jobId;
    const cluster = () =>
      session.query(`
      select (select array_agg(datname order by 1) from pg_database) as databases,
        (select array_agg(r::text order by 1) from pg_roles r) as roles,
        (select array_agg(format('%s %s', roleid, member) order by 1) from pg_auth_members) as members,
        (select count(*) from public.notes) as notes, (select count(*) from public.fired) as fired`);
    for (const field of [{ dryRun: true }, { mode: "over" }, { tables: ["public.notes"] }]) {
      const body = { backupId: "test_backup", type: "database", ...field };
      assert.equal(
        (await post(service, "restore", body)).status,
        400,
        "nothing is ignored in silence",
      );
    }
    const before = await cluster();
    await using guarded = variant({ BACKUP_ADMIN_KEY: "only-for-two-people" });
    const tried = await post(guarded, "restore&wait=60", {
      backupId: "test_backup",
      type: "database",
    });
    assert.equal(tried.status, 200, JSON.stringify(tried.body));
    const { backupId, result } = tried.body.data;
    assert.equal(backupId, second);
    assert.ok(result.rowsLoaded >= 1000);
    assert.ok(result.comparison, "it was compared");
    assert.equal(result.test.room.freeBytes, null, "SQL cannot see the disk");
    assert.deepEqual(await cluster(), before);
    const [test] = await session.query(`
      select t.success, t.backup_id, t.data_samples_verified, (t.data_verified->>'rows')::int as rows,
        t.errors_found::text as errors, j.integrity_verified, j.last_tested >= t.started_at as tested
      from public.backup_tests t join public.backup_jobs j on j.job_id = t.backup_id`);
    assert.deepEqual({ ...test }, {
      ...{ success: true, backup_id: second, errors: "[]", integrity_verified: true, tested: true },
      ...{ data_samples_verified: result.comparison.objects, rows: result.rowsLoaded },
    });
    const report = await post(service, "init");
    assert.equal(stepOf(report, "first-restore-test").done, true);
    assert.equal(report.body.data.recoverable, true, JSON.stringify(report.body.data.steps));
    assert.equal((await call(service, "status")).body.data.recoverable.ok, true);
  },
);

Deno.test(
  "a restore test is refused where twice the room is known not to be free",
  shared,
  async () => {
    const { variant, admin } = await start();
    await using small = variant({ BACKUP_DATABASE_DISK_BYTES: "1000000" });
    const tried = await post(small, "restore&wait=60", {
      backupId: "test_backup",
      type: "database",
    });
    assert.equal(tried.status, 500);
    assert.equal(tried.body.error.code, "target_unfit");
    await using session = await admin();
    const left = await session.query("select datname from pg_database where datname ~ 'scratch'");
    assert.deepEqual(left, []);
    for (;;) { // the row is written after the answer
      const [test] = await session.query(
        `select success, errors_found->0->>'code' as code from public.backup_tests
         order by requested_at desc limit 1`,
      );
      if (test?.success === null) continue;
      assert.deepEqual({ ...test }, { success: false, code: "target_unfit" });
      break;
    }
  },
);

Deno.test("a scratch database whose worker died is dropped by the next init", shared, async () => {
  const { service, admin } = await start();
  await using session = await admin();
  await session.execute(`
    insert into public.restore_jobs (job_id, backup_id, type, status, updated_at) values
      ('restore_dead', 'x', 'database', 'running', now() - interval '2 minutes'),
      ('restore_alive', 'x', 'database', 'running', now())`);
  for (const name of ["restore_dead", "restore_alive", "of_another_service"]) {
    await session.execute(`create database backup_scratch_${name} owner postgres`);
  }
  await post(service, "init");
  const left = await session.query(
    "select datname as name from pg_database where datname ~ 'scratch' order by 1",
  );
  assert.deepEqual(left.map((row) => row.name), [
    "backup_scratch_of_another_service",
    "backup_scratch_restore_alive",
  ]);
  await session.execute(
    "update public.restore_jobs set status = 'failed' where status = 'running'",
  );
  await session.execute("drop database backup_scratch_of_another_service");
  await post(service, "init");
});

Deno.test(
  "a newest backup that vanished is named, and latest is refused unless accepted",
  shared,
  async () => {
    const { service, variables } = await start();
    const record = `${variables.BACKUP_STORAGE_PATH}/backups/${second}`;
    const kept = await Deno.readFile(record);
    await Deno.remove(record);
    const status = (await call(service, "status")).body.data;
    assert.equal(status.healthy, false);
    assert.match(status.storage.found, new RegExp(`backups_lost.*${second}`));
    assert.deepEqual(status.backups.database.lost, { missing: [second], replaced: [] });
    assert.equal(status.recoverable.ok, false);
    const chain = (await call(service, "test")).body.data;
    assert.equal(chain.ok, false);
    const found = chain.checks.find((one: { name: string }) => one.name === "repository");
    assert.equal(found.error.code, "backups_lost");
    assert.match(stepOf(await post(service, "init"), "nothing-lost").found, new RegExp(second));
    const verified = await post(service, "verify&wait=60");
    assert.equal(verified.status, 500);
    assert.equal(verified.body.error.code, "backups_lost");
    assert.deepEqual(verified.body.error.details.problems[0].backups, [second]);
    const verifiedOne = await post(service, "verify", { backupId: second });
    assert.deepEqual([verifiedOne.status, verifiedOne.body.error.code], [409, "backups_lost"]);
    const latest = { backupId: "latest", type: "database", dryRun: true };
    const refused = await post(service, "restore&wait=60", latest);
    assert.equal(refused.status, 409);
    assert.equal(refused.body.error.code, "backups_lost");
    assert.deepEqual(refused.body.error.details, {
      missing: [second],
      replaced: [],
      chosen: first,
    });
    const acceptHazards = ["backups-lost"];
    const accepted = await post(service, "restore&wait=60", { ...latest, acceptHazards });
    assert.equal(accepted.status, 200, JSON.stringify(accepted.body));
    const byId = await post(service, "restore&wait=60", { ...latest, backupId: first });
    assert.equal(byId.status, 200, "a backup that is there is restored by its id");
    await Deno.writeFile(record, kept);
    assert.equal((await call(service, "status")).body.data.healthy, true);
  },
);

Deno.test(
  "a backup in another's place and a bucket that was emptied are noticed",
  shared,
  async () => {
    const { service, variables } = await start();
    const path = variables.BACKUP_STORAGE_PATH as string;
    const record = `${path}/backups/${second}`;
    const kept = await Deno.readFile(record);
    await Deno.remove(record);
    await Deno.copyFile(`${path}/backups/${first}`, record);
    const swapped = (await call(service, "status")).body.data;
    assert.deepEqual(swapped.backups.database.lost, { missing: [], replaced: [second] });
    await Deno.writeFile(record, kept);
    await Deno.rename(path, `${path}-away`);
    const emptied = (await call(service, "status")).body.data;
    assert.deepEqual(emptied.backups.database.lost.missing, [first, second]);
    const chain = (await call(service, "test")).body.data;
    assert.equal(chain.ok, false);
    await Deno.remove(path, { recursive: true });
    await Deno.rename(`${path}-away`, path);
    assert.equal((await call(service, "status")).body.data.storage.ok, true);
  },
);

Deno.test("backups that are lost on purpose are given up by their ids", shared, async () => {
  const { service, variables, variant } = await start();
  await Deno.remove(`${variables.BACKUP_STORAGE_PATH}/backups/${second}`);
  await using guarded = variant({ BACKUP_ADMIN_KEY: "only-for-two-people" });
  assert.equal((await post(guarded, "init", { giveUpBackups: [second] })).status, 403);
  const report = await post(service, "init", { giveUpBackups: [second] });
  assert.match(stepOf(report, "list-of-backups").found, new RegExp(`given up: ${second}`));
  assert.equal(stepOf(report, "nothing-lost").done, true);
  const latest = { backupId: "latest", type: "database", dryRun: true };
  assert.equal((await post(service, "restore&wait=60", latest)).status, 200);
});

Deno.test("uninstall wants the words and the administrator's key, and no job", shared, async () => {
  const { service, variant, admin } = await start();
  assert.equal((await post(service, "uninstall")).status, 400);
  assert.equal((await post(service, "uninstall", { confirm: "yes" })).status, 400);
  const confirm = "remove everything but the backups";
  await using guarded = variant({ BACKUP_ADMIN_KEY: "only-for-two-people" });
  assert.equal((await post(guarded, "uninstall", { confirm })).status, 403);
  await using session = await admin();
  await session.execute(`insert into public.backup_jobs (job_id, type, status)
    values ('backup_elsewhere', 'database', 'running')`);
  const busy = await post(service, "uninstall", { confirm });
  assert.deepEqual([busy.status, busy.body.error?.details.jobId], [409, "backup_elsewhere"]);
  await session.execute("delete from public.backup_jobs where job_id = 'backup_elsewhere'");
});

Deno.test(
  "uninstall removes everything but the backups, and init brings all back",
  shared,
  async () => {
    const { service, admin } = await start();
    await using session = await admin();
    const own = () =>
      session.query(`
      select oid::regclass::text as name from pg_class
      where relnamespace = to_regnamespace('backup_internal') or relname in
        ('backup_config', 'backup_jobs', 'restore_jobs', 'backup_audit_log')
      union all select nspname from pg_namespace where nspname = 'backup_internal'`);
    assert.ok((await own()).length > 5);
    const confirm = "remove everything but the backups";
    const done = await post(service, "uninstall", { confirm });
    assert.equal(done.status, 200, JSON.stringify(done.body));
    assert.ok(done.body.data.removed.includes("public.backup_jobs"));
    assert.deepEqual(await own(), []);
    const status = (await call(service, "status")).body.data;
    assert.equal(status.backups.database.count, 1, "the backups are still there");
    assert.equal(
      (await post(service, "uninstall", { confirm })).status,
      200,
      "also with nothing left",
    );
    await post(service, "init");
    const jobs = await call(service, "jobs");
    assert.deepEqual(jobs.body.data.jobs.map((job: { jobId: string }) => job.jobId), [first]);
  },
);

Deno.test("the service stops cleanly", shared, async () => {
  const { service, stop, variables } = await start();
  await Deno.remove(`${variables.BACKUP_STORAGE_PATH}-without-key`, { recursive: true });
  await stop();
  await assert.rejects(fetch(service.url));
});
