import assert from "node:assert/strict";
import type { Row } from "../../supabase/functions/backup/postgres/session.ts";
import { randomFrom } from "../support/random_from.ts";
import {
  agree,
  dropTables,
  FIXED_JOBS,
  onTables,
  PLANS,
  refusal,
} from "../support/service_tables.ts";

/** A whole window, however old the rows are. */
const ALL = 36500;

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

Deno.test("the database of these tests is dropped", dropTables);
