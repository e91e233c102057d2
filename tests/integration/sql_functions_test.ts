import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { isJobId, momentOfJobId } from "../../supabase/functions/backup/core/ids.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Row, Session } from "../../supabase/functions/backup/postgres/session.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { randomFrom } from "../support/random_from.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

/** A whole window, however old the rows are. */
const ALL = 36500;

/** Runs `work` on a database of the service's tables; what it does is taken back. */
async function onTables(work: (session: Session) => Promise<void>): Promise<void> {
  const { url } = await (made ??= make());
  const session = await connect({ url });
  try {
    await session.execute("begin");
    await work(session);
  } finally {
    await session.close();
  }
}

let made: ReturnType<typeof make> | undefined;

async function make() {
  const database = await temporaryDatabase("ts_functions");
  const state = new State(new Secret(database.url));
  await state.migrate();
  await state.close();
  return database;
}

/** The server's own message and hint. */
async function refusal(session: Session, sql: string): Promise<string> {
  await session.execute("savepoint refused");
  try {
    await session.query(sql);
  } catch (error) {
    await session.execute("rollback to refused");
    assert.equal((error as { sqlState?: string }).sqlState, "22023");
    return (error as Error).message;
  }
  return assert.fail(`${sql} is accepted`);
}

/** All columns as text, as psql shows them. */
async function table(session: Session, sql: string): Promise<string[]> {
  const rows = await session.query(`select to_jsonb(t)::text as row from (${sql}) t`);
  return rows.map(({ row }) =>
    Object.values(JSON.parse(row) as Record<string, unknown>).map(String).join(" ")
  );
}

const FIXED_JOBS = `
  insert into public.backup_jobs (job_id, type, status, started_at, completed_at, size_bytes, compressed_size_bytes, location) values
    ('d1', 'database', 'completed', '2026-01-01 10:00Z', '2026-01-01 10:01Z', 1000, 100, 's3://b'),
    ('d2', 'database', 'completed', '2026-01-02 10:00Z', '2026-01-02 10:02:30.5Z', 2001, 50, 's3://b'),
    ('d3', 'database', 'failed', '2026-01-03 10:00Z', '2026-01-03 10:09Z', null, null, null),
    ('d4', 'database', 'cancelled', '2026-01-03 11:00Z', '2026-01-03 11:01Z', null, null, null),
    ('d5', 'database', 'running', '2026-01-04 10:00Z', null, null, null, null),
    ('d6', 'database', 'pending', '2026-01-04 11:00Z', null, null, null, null),
    ('f1', 'files', 'completed', '2026-01-01 10:00Z', '2026-01-01 10:00:01Z', 7, 0, 's3://b');
  insert into public.restore_jobs (job_id, backup_id, type, status, started_at, completed_at) values
    ('r1', 'd1', 'database', 'completed', '2026-01-01 10:00Z', '2026-01-01 10:00:03Z'),
    ('r2', 'd1', 'database', 'failed', '2026-01-01 11:00Z', '2026-01-01 11:00:02Z'),
    ('r3', 'd1', 'database', 'failed', '2026-01-01 12:00Z', '2026-01-01 12:00:02Z'),
    ('r4', 'd1', 'files', 'running', '2026-01-01 12:00Z', null)`;

Deno.test("get_backup_statistics tells of each type what became of its backups", async () => {
  await onTables(async (session) => {
    await session.execute(FIXED_JOBS);
    const rows = await session.query(`
      select backup_type, total_backups, completed_backups, failed_backups, cancelled_backups,
        running_backups, pending_backups, success_rate::text, average_duration_seconds::text,
        average_size_bytes, total_size_bytes, total_stored_bytes,
        last_success_at at time zone 'UTC' as last_success_at,
        last_failure_at at time zone 'UTC' as last_failure_at
      from public.get_backup_statistics(${ALL})`);
    const shown = rows.map((row) => Object.values(row).map(String).join(" "));
    assert.deepEqual(shown, [
      "database 6 2 1 1 1 1 66.67 105.250 1501 3001 150 2026-01-02 10:02:30.5 2026-01-03 10:09:00",
      "function 0 0 0 0 0 0 null null null 0 0 null null",
      "config 0 0 0 0 0 0 null null null 0 0 null null",
      "secrets 0 0 0 0 0 0 null null null 0 0 null null",
      "files 1 1 0 0 0 0 100.00 1.000 7 7 0 2026-01-01 10:00:01 null",
    ]);
  });
});

Deno.test("get_restore_statistics tells of each type what became of its restores", async () => {
  await onTables(async (session) => {
    await session.execute(FIXED_JOBS);
    const rows = await session.query(`
      select restore_type, total_restores, completed_restores, failed_restores, cancelled_restores,
        running_restores, success_rate::text, average_duration_seconds::text,
        last_success_at at time zone 'UTC' as last_success_at,
        last_failure_at at time zone 'UTC' as last_failure_at
      from public.get_restore_statistics(${ALL})`);
    const shown = rows.map((row) => Object.values(row).map(String).join(" "));
    assert.deepEqual(shown, [
      "database 3 1 2 0 0 33.33 3.000 2026-01-01 10:00:03 2026-01-01 12:00:02",
      "function 0 0 0 0 0 null null null null",
      "config 0 0 0 0 0 null null null null",
      "secrets 0 0 0 0 0 null null null null",
      "files 1 0 0 0 1 null null null null",
    ]);
  });
});

Deno.test("statistics refuse days that make no sense, and take 30 when none are given", async () => {
  await onTables(async (session) => {
    for (const days of ["0", "-1", "36501", "null"]) {
      for (const name of ["get_backup_statistics", "get_restore_statistics"]) {
        assert.match(
          await refusal(session, `select * from public.${name}(${days})`),
          new RegExp(`days_back = ${days}: it must be a whole number of days between 1 and 36500`),
        );
      }
    }
    await session.execute(`
      insert into public.backup_jobs (job_id, type, status, started_at) values
        ('in', 'config', 'running', now() - interval '29 days 23 hours'),
        ('out', 'config', 'running', now() - interval '30 days 1 hour')`);
    const [row] = await session.query(`
      select total_backups as total from public.get_backup_statistics() where backup_type = 'config'`);
    assert.equal(Number(row?.total), 1);
  });
});

Deno.test("the counts by day agree with the jobs, whatever becomes of those", async () => {
  await onTables(async (session) => {
    const random = randomFrom(20261121);
    const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)]!;
    const states = ["pending", "running", "completed", "failed", "cancelled"];
    const types = ["database", "function", "config", "secrets", "files"];
    const moment = () => `now() - interval '${Math.floor(random() * 10 * 86400)} seconds'`;
    const changes: string[] = [];
    for (let at = 0; at < 300; at++) {
      const id = `j${Math.floor(random() * 100)}`;
      changes.push(
        pick([
          () =>
            `insert into public.backup_jobs (job_id, type, status, started_at) values
             ('${id}', '${pick(types)}', '${
              pick(states)
            }', ${moment()}) on conflict (job_id) do nothing`,
          () =>
            `update public.backup_jobs set status = '${pick(states)}', completed_at = ${moment()},
             size_bytes = ${
              Math.floor(random() * 1000)
            }, location = 's3://b' where job_id = '${id}'`,
          () => `update public.backup_jobs set started_at = ${moment()} where job_id = '${id}'`,
          () => `update public.backup_jobs set freed_at = now() where job_id = '${id}'`,
          () => `update public.backup_jobs set metadata = '{"a": 1}' where job_id = '${id}'`,
          () => `delete from public.backup_jobs where job_id = '${id}'`,
          () =>
            `insert into public.restore_jobs (job_id, backup_id, type, status, started_at, completed_at)
             values ('${id}', 'x', '${pick(types)}', '${pick(states)}', ${moment()}, now())
             on conflict (job_id) do update set status = excluded.status`,
        ])(),
      );
    }
    await session.execute(changes.join(";\n"));
    await agree(session);
    await session.execute("select backup_internal.recount_jobs()");
    await agree(session);
    await session.execute("delete from public.backup_jobs; delete from public.restore_jobs");
    const [left] = await session.query(
      "select coalesce(sum(jobs), 0) as jobs from backup_internal.job_days",
    );
    assert.equal(Number(left?.jobs), 0);
  });
});

/** Compares the functions with sums over the jobs themselves. */
async function agree(session: Session): Promise<void> {
  for (const days of [1, 2, 7, 30]) {
    const backups = await table(
      session,
      `select backup_type, total_backups, completed_backups, total_size_bytes,
         average_duration_seconds from public.get_backup_statistics(${days}) order by 1`,
    );
    const restores = await table(
      session,
      `select restore_type, total_restores, failed_restores
         from public.get_restore_statistics(${days}) order by 1`,
    );
    const types = "unnest(array['database', 'function', 'config', 'secrets', 'files']) t (type)";
    assert.deepEqual(
      backups,
      await table(
        session,
        `select t.type as backup_type, count(j.job_id) as total_backups,
           count(*) filter (where j.status = 'completed') as completed_backups,
           coalesce(sum(j.size_bytes) filter (where j.status = 'completed'), 0) as total_size_bytes,
           round(avg(coalesce(round(extract(epoch from completed_at - started_at) * 1000), 0))
             filter (where j.status = 'completed') / 1000, 3) as average_duration_seconds
         from ${types} left join public.backup_jobs j
           on j.type = t.type and j.started_at >= now() - interval '${days} days'
         group by 1 order by 1`,
      ),
    );
    assert.deepEqual(
      restores,
      await table(
        session,
        `select t.type as restore_type, count(j.job_id) as total_restores,
           count(*) filter (where j.status = 'failed') as failed_restores
         from ${types} left join public.restore_jobs j
           on j.type = t.type and j.started_at >= now() - interval '${days} days'
         group by 1 order by 1`,
      ),
    );
  }
}

Deno.test("statistics of many jobs read no table of jobs from end to end", async () => {
  await onTables(async (session) => {
    await session.execute(`
      set local session_replication_role = replica;
      insert into public.backup_jobs (job_id, type, status, started_at, completed_at)
      select 'b' || i, (array['database', 'files'])[1 + i % 2], 'completed', t, t + interval '1 minute'
      from (select i, now() - i * interval '1 minute' as t from generate_series(1, 50000) i) s;
      insert into public.restore_jobs (job_id, backup_id, type, status, started_at, completed_at)
      select 'r' || i, 'b', 'database', 'failed', now() - i * interval '1 hour', now()
      from generate_series(1, 5000) i;
      select backup_internal.recount_jobs();
      analyze public.backup_jobs; analyze public.restore_jobs; analyze backup_internal.job_days`);
    const scans = async () => {
      const [row] = await session.query(`
        select sum(seq_scan) as whole, sum(idx_scan) as indexed from pg_stat_xact_user_tables
        where relname in ('backup_jobs', 'restore_jobs')`);
      return { whole: Number(row?.whole), indexed: Number(row?.indexed) };
    };
    const before = await scans();
    await session.query("select * from public.get_backup_statistics(30)");
    await session.query("select * from public.get_backup_statistics(3650)");
    await session.query("select * from public.get_restore_statistics(30)");
    await session.query("select * from public.get_backup_dashboard()");
    const after = await scans();
    assert.equal(after.whole, before.whole, "no sequential scan");
    assert.ok(after.indexed > before.indexed);
  });
});

const PLANS = `
  insert into public.disaster_recovery_plans (plan_id, name, priority, steps, enabled, hidden) values
    ('b_low', 'B', 'low', '[]', true, false), ('a_low', 'A', 'low', '[]', false, false),
    ('main', 'M', 'critical', '[]', true, false), ('off', 'O', 'critical', '[]', false, false),
    ('unsaid', 'U', 'high', '[]', null, false), ('gone', 'G', 'critical', '[]', true, true)`;

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

Deno.test("get_backup_dashboard is one row of what there is", async () => {
  await onTables(async (session) => {
    const empty = await session.query("select * from public.get_backup_dashboard()");
    assert.equal(empty.length, 1);
    assert.equal(Number(empty[0]?.total_backups), 0);
    await session.execute(`${FIXED_JOBS}; ${PLANS};
      update public.backup_jobs set freed_at = now() where job_id = 'd1';
      update public.backup_jobs set integrity_verified = false where job_id in ('d1', 'd2');
      update public.backup_jobs set last_tested = '2026-01-05Z' where job_id = 'd2';
      insert into public.recovery_points (point_id, recovery_timestamp, status, freed_at) values
        ('p1', '2026-01-01Z', 'completed', null), ('p2', '2026-01-02Z', 'partial', null),
        ('p3', '2026-01-03Z', 'failed', null), ('p4', '2026-01-04Z', 'completed', now()),
        ('p5', '2026-01-05Z', 'running', null);
      insert into public.backup_verification (backup_id, verification_type, success, verification_date)
        values ('d2', 'existence', true, '2026-01-06Z');
      insert into public.disaster_recovery_executions (execution_id, plan_id, trigger, status, started_at)
        values ('e1', 'main', 't', 'success', '2026-01-01Z'), ('e2', 'main', 't', 'running', '2026-01-02Z');
      insert into backup_internal.alerts (incident_id, alert_key, state) values
        ('i1', 'a', 'open'), ('i2', 'b', 'open'), ('i3', 'a', 'closed')`);
    const [row] = await session.query("select * from public.get_backup_dashboard()");
    const { by_type, last_success_at, last_failure_at, last_verified_at, ...rest } = row as Row;
    const { last_tested_at, newest_recovery_point, success_rate_30_days, ...counts } = rest;
    assert.deepEqual(Object.values(counts).map(String), [
      ...["7", "3", "1", "1", "1", "1"], // total, completed, failed, running, pending, restores
      ...["2", "2008", "50", "1"], // in storage: backups, size, stored; damaged
      ...["2", "3", "1", "running", "2"], // points, plans, executions, the last, alerts
    ]);
    const days = (...moments: unknown[]) => moments.map((each) => String(each).slice(0, 10));
    assert.deepEqual(
      days(
        last_success_at,
        last_failure_at,
        last_verified_at,
        last_tested_at,
        newest_recovery_point,
      ),
      ["2026-01-02", "2026-01-03", "2026-01-06", "2026-01-05", "2026-01-02"],
    );
    assert.equal(success_rate_30_days, null);
    assert.deepEqual(
      Object.keys(by_type).sort(),
      ["config", "database", "files", "function", "secrets"],
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
    ('failed-old', 'existence', true, now() - interval '91 days'),
    ('nobody', 'existence', true, now() - interval '89 days');
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
      ...{ verify_jobs: 1, alerts: 1, notifications: 1 },
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
      ["nobody existence", "stored integrity_check"],
    );
    assert.deepEqual(
      await left("public.backup_tests", "backup_id || coalesce(' ' || success, '')"),
      ["stored", "stored false"],
    );
    assert.deepEqual(
      await left("public.disaster_recovery_executions", "execution_id"),
      ["e-new", "e-runs"],
    );
    assert.deepEqual(await left("public.backup_audit_log", "action"), ["backup-all", "init"]);
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

Deno.test("the database of these tests is dropped", async () => {
  await (await made)?.[Symbol.asyncDispose]();
});
