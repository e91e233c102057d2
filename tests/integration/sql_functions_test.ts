import assert from "node:assert/strict";
import { isJobId, momentOfJobId } from "../../supabase/functions/backup/core/ids.ts";
import {
  agree,
  dropTables,
  FIXED_JOBS,
  onTables,
  PLANS,
  refusal,
} from "../support/service_tables.ts";

Deno.test("get_disaster_recovery_plans lists plans by priority and switch, without removed ones", async () => {
  await onTables(async (session) => {
    await session.execute(PLANS);
    const list = async (given: string) => {
      const rows = await session.query(
        `select plan_id from public.get_disaster_recovery_plans(${given})`,
      );
      return rows.map((row) => row.plan_id);
    };
    assert.deepEqual(await list(""), ["main", "off", "unsaid", "a_low", "b_low"]);
    assert.deepEqual(await list("'critical', true"), ["main"]);
    assert.deepEqual(await list("'critical'"), ["main", "off"]);
    assert.deepEqual(await list("enabled => false"), ["off", "a_low"]);
    assert.deepEqual(await list("null, true"), ["main", "unsaid", "b_low"]);
    assert.deepEqual(await list("priority => 'medium'"), []);
    assert.match(
      await refusal(session, "select * from public.get_disaster_recovery_plans('urgent')"),
      /plans of priority 'urgent': it must be low, medium, high or critical/,
    );
  });
});

Deno.test("create_manual_backup writes a pending backup with who asked and why", async () => {
  await onTables(async (session) => {
    const [row] = await session.query(
      `select public.create_manual_backup('before the "big" change', 'Ada') as id`,
    );
    const id = String(row?.id);
    assert.ok(isJobId(id), id);
    assert.ok(Math.abs(momentOfJobId(id)!.getTime() - Date.now()) < 3600_000);
    const [job] = await session.query(
      `
      select type, status, reason, created_by, completed_at, started_at is not null as asked,
        metadata->'request' as request from public.backup_jobs where job_id = $1`,
      [id],
    );
    assert.deepEqual({ ...job }, {
      ...{ type: "database", status: "pending", reason: 'before the "big" change' },
      ...{ created_by: "Ada", completed_at: null, asked: true },
      request: { task: "backup", reason: 'before the "big" change', createdBy: "Ada" },
    });
    const [audit] = await session.query(
      "select action, actor, outcome from public.backup_audit_log where subject = $1",
      [id],
    );
    assert.deepEqual({ ...audit }, {
      ...{ action: "create_manual_backup", actor: "Ada", outcome: "accepted" },
    });
    await session.query("select public.create_manual_backup(null, ' ')");
    const [unnamed] = await session.query(
      "select count(*)::int as found from public.backup_jobs where created_by = session_user",
    );
    assert.equal(unnamed?.found, 1);
    assert.match(
      await refusal(session, "select public.create_manual_backup(repeat('x', 501), 'a')"),
      /too long/,
    );
    await session.execute(
      "select public.create_manual_backup('r', 'a') from generate_series(1, 98)",
    );
    await assert.rejects(
      session.query("select public.create_manual_backup('r', 'a')"),
      /100 are waiting already/,
    );
  });
});

Deno.test("test_backup_restoration asks once and returns what the last test found", async () => {
  await onTables(async (session) => {
    await session.execute(FIXED_JOBS);
    const ask = async () => {
      const [row] = await session.query("select public.test_backup_restoration('d1') as found");
      return row?.found;
    };
    const asked = async () => {
      const rows = await session.query(
        "select test_type from public.backup_tests where started_at is null and completed_at is null",
      );
      return rows.length;
    };
    assert.deepEqual([await ask(), await asked()], [null, 1]);
    assert.deepEqual([await ask(), await asked()], [null, 1]);
    const end = (success: string) =>
      session.execute(`
        update public.backup_tests set started_at = clock_timestamp(),
          completed_at = clock_timestamp(), success = ${success} where completed_at is null`);
    await end("true");
    assert.deepEqual([await ask(), await asked()], [true, 1]);
    await end("false");
    assert.deepEqual([await ask(), await asked()], [false, 1]);
    await end("null"); // was stopped: the last that told something counts
    assert.deepEqual([await ask(), await asked()], [false, 1]);
    await session.execute(`
      update public.backup_tests set started_at = now(), job_id = 'r4' where completed_at is null`);
    assert.deepEqual([await ask(), await asked()], [false, 0], "one that runs is enough");
    await session.execute("update public.restore_jobs set status = 'failed' where job_id = 'r4'");
    assert.deepEqual([await ask(), await asked()], [false, 1], "one that died is not waited for");
    for (
      const [id, words] of [
        ["'none'", /there is no finished one of this id/],
        ["null", /no finished one/],
        ["'d3'", /no finished one/],
        ["'f1'", /it is of type files/],
        ["'''; drop table x --'", /backup '''; drop table x --'/],
      ] as const
    ) {
      assert.match(await refusal(session, `select public.test_backup_restoration(${id})`), words);
    }
    await session.execute("update public.backup_jobs set freed_at = now() where job_id = 'd1'");
    assert.match(
      await refusal(session, "select public.test_backup_restoration('d1')"),
      /no finished one of this id in storage/,
    );
  });
});

const OLD_RECORDS = `
  insert into public.backup_jobs (job_id, type, status, started_at, completed_at, location, freed_at)
  select name, 'database', status, now() - age - interval '1 hour', case when status not in ('running', 'pending') then now() - age end, location, freed
  from (values
    ('stored', 'completed', interval '400 days', 's3://b', null::timestamptz),
    ('freed-long-ago', 'completed', '400 days', 's3://b', now() - interval '91 days'),
    ('freed-lately', 'completed', '400 days', 's3://b', now() - interval '89 days'),
    ('given-up', 'completed', '91 days', null, null),
    ('failed-old', 'failed', '91 days', null, null),
    ('failed-new', 'failed', '89 days', null, null),
    ('failed-with-parts', 'failed', '91 days', null, null),
    ('cancelled-old', 'cancelled', '91 days', null, null),
    ('runs', 'running', '91 days', null, null),
    ('waits', 'pending', '91 days', null, null)
  ) v (name, status, age, location, freed);
  insert into backup_internal.job_runs (job_id, kind, request, first_parts, max_workers, max_attempts, max_rounds)
    values ('failed-with-parts', 'backup', '{}', '[]', 1, 1, 1);
  insert into public.restore_jobs (job_id, backup_id, type, status, started_at, completed_at) values
    ('r-old', 'stored', 'database', 'completed', now() - interval '91 days', now() - interval '91 days'),
    ('r-new', 'stored', 'database', 'failed', now() - interval '89 days', now() - interval '89 days'),
    ('r-runs', 'stored', 'database', 'running', now() - interval '91 days', null);
  insert into public.backup_verification (backup_id, verification_type, success, verification_date) values
    ('stored', 'existence', true, now() - interval '300 days'),
    ('stored', 'integrity_check', true, now() - interval '200 days'),
    ('stored', 'checksum', true, now() - interval '300 days'),
    ('failed-old', 'existence', true, now() - interval '91 days'),
    ('nobody', 'existence', true, now() - interval '89 days');
  update public.backup_verification set location = 's3://copy' where verification_type = 'checksum';
  insert into public.backup_tests (backup_id, test_type, started_at, completed_at, success) values
    ('stored', 'restore_test', now() - interval '300 days', now() - interval '300 days', true),
    ('stored', 'restore_test', now() - interval '200 days', now() - interval '200 days', false),
    ('given-up', 'restore_test', now() - interval '200 days', now() - interval '200 days', true),
    ('stored', 'restore_test', null, null, null);
  insert into public.recovery_points (point_id, recovery_timestamp, status, completed_at, freed_at) values
    ('p-kept', now() - interval '400 days', 'completed', now() - interval '400 days', null),
    ('p-freed', now() - interval '400 days', 'completed', now() - interval '400 days', now() - interval '91 days'),
    ('p-failed', now() - interval '91 days', 'failed', now() - interval '91 days', null),
    ('p-runs', now() - interval '91 days', 'running', null, null);
  insert into public.disaster_recovery_executions (execution_id, plan_id, trigger, status, started_at) values
    ('e-old', 'main', 't', 'success', now() - interval '181 days'),
    ('e-new', 'main', 't', 'failed', now() - interval '179 days'),
    ('e-runs', 'main', 't', 'running', now() - interval '181 days');
  insert into public.backup_audit_log (action, outcome, occurred_at, details) values
    ('init', 'completed', now() - interval '31 days', '{"proposedKey": true}'),
    ('init', 'completed', now() - interval '31 days', '{}'),
    ('backup-all', 'completed', now() - interval '29 days', '{}');
  insert into backup_internal.verify_jobs (job_id, type, status, started_at, completed_at) values
    ('v-old', 'database', 'completed', now() - interval '31 days', now() - interval '31 days'),
    ('v-runs', 'database', 'running', now() - interval '31 days', null);
  insert into backup_internal.replicate_jobs (job_id, backup_id, type, status, started_at, completed_at) values
    ('c-old', 'offsite', 'database', 'completed', now() - interval '31 days', now() - interval '31 days'),
    ('c-new', 'offsite', 'database', 'completed', now() - interval '29 days', now() - interval '29 days'),
    ('c-runs', 'offsite', 'database', 'running', now() - interval '31 days', null);
  insert into backup_internal.alerts (incident_id, alert_key, state, last_at) values
    ('a-open', 'k', 'open', now() - interval '31 days'), ('a-closed', 'k', 'closed', now() - interval '31 days');
  insert into backup_internal.notifications (message_id, channel, message, created_at, next_at, sent_at) values
    ('n-sent', 'slack', '{}', now() - interval '31 days', now(), now()),
    ('n-waits', 'slack', '{}', now() - interval '31 days', now(), null)`;

Deno.test("cleanup_backup_data removes old records, never that of a backup which exists", async () => {
  await onTables(async (session) => {
    await session.execute(`${PLANS}; ${OLD_RECORDS}`);
    const removed = async () => {
      const rows = await session.query(
        "select * from public.cleanup_backup_data(90, 90, 180, 30) where removed_rows > 0",
      );
      return Object.fromEntries(rows.map((row) => [row.table_name, Number(row.removed_rows)]));
    };
    assert.deepEqual(await removed(), {
      ...{ backup_verification: 2, backup_tests: 2, recovery_points: 2, backup_jobs: 4 },
      ...{ restore_jobs: 1, disaster_recovery_executions: 1, backup_audit_log: 1 },
      ...{ verify_jobs: 1, replicate_jobs: 1, alerts: 1, notifications: 1 },
    });
    const left = async (name: string, column: string) =>
      (await session.query(`select ${column} as id from ${name} order by 1`)).map(({ id }) => id);
    assert.deepEqual(await left("public.backup_jobs", "job_id"), [
      ...["failed-new", "failed-with-parts", "freed-lately", "runs", "stored", "waits"],
    ]);
    assert.deepEqual(await left("public.restore_jobs", "job_id"), ["r-new", "r-runs"]);
    assert.deepEqual(await left("public.recovery_points", "point_id"), ["p-kept", "p-runs"]);
    assert.deepEqual(
      await left("public.backup_verification", "backup_id || ' ' || verification_type"),
      ["nobody existence", "stored checksum", "stored integrity_check"],
    );
    assert.deepEqual(
      await left("public.backup_tests", "backup_id || coalesce(' ' || success, '')"),
      ["stored", "stored false"],
    );
    assert.deepEqual(
      await left("public.disaster_recovery_executions", "execution_id"),
      ["e-new", "e-runs"],
    );
    assert.deepEqual(await left("public.backup_audit_log", "action"), [
      ...["backup-all", "cleanup_backup_data", "init"],
    ]);
    const [record] = await session.query(`
      select actor = session_user as same, details->'removed'->>'backup_jobs' as jobs,
        details->>'logDays' as days from public.backup_audit_log where action ~ 'cleanup'`);
    assert.deepEqual({ ...record }, { same: true, jobs: "4", days: "30" });
    assert.deepEqual(await left("backup_internal.alerts", "incident_id"), ["a-open"]);
    assert.deepEqual(await left("backup_internal.notifications", "message_id"), ["n-waits"]);
    assert.deepEqual(await removed(), {}, "a second time there is nothing to remove");
    await agree(session);
    for (const given of ["0, 90, 180, 30", "90, -1", "90, 90, null", "90, 90, 180, 36501"]) {
      assert.match(
        await refusal(session, `select * from public.cleanup_backup_data(${given})`),
        /Cannot use \w+_days = (0|-1|null|36501)/,
      );
    }
  });
});

Deno.test("the database of these tests is dropped", dropTables);
