import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Row, Session } from "../../supabase/functions/backup/postgres/session.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { randomFrom } from "../support/random_from.ts";
import {
  agree,
  dropTables,
  FIXED_JOBS,
  onTables,
  PLANS,
  refusal,
} from "../support/service_tables.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

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

/** Rows that hold the counts, and the jobs that they add up to. */
async function counted(session: Session): Promise<{ rows: number; jobs: number }> {
  const [sums] = await session.query(
    "select count(*) as rows, coalesce(sum(jobs), 0) as jobs from backup_internal.job_days",
  );
  return { rows: Number(sums?.rows), jobs: Number(sums?.jobs) };
}

/** Jobs of the last ten days, of each type and many states. */
const jobs = (prefix: string, count: number) => `
  select '${prefix}' || i as job_id, (array['database', 'function', 'config', 'secrets', 'files'])[1 + i % 5] as type,
    (array['completed', 'failed', 'running'])[1 + i % 3] as status, now() - i % 240 * interval '1 hour' as started_at,
    now() as completed_at, i as size_bytes, 's3://b' as location from generate_series(1, ${count}) i`;

const INSERT =
  "insert into public.backup_jobs (job_id, type, status, started_at, completed_at, size_bytes, location)";

Deno.test("a statement over many jobs is counted once, in few rows", async () => {
  await onTables(async (session) => {
    const steps: readonly [sql: string, jobs: number][] = [
      [`${INSERT} ${jobs("a", 5000)}`, 5000],
      ["update public.backup_jobs set status = 'cancelled' where status = 'running'", 5000],
      [`${INSERT} ${jobs("a", 5500)} on conflict (job_id) do update set status = 'failed'`, 5500],
      [`${INSERT} ${jobs("a", 6000)} on conflict do nothing`, 6000],
      ["update public.backup_jobs set started_at = null where type = 'files'", 4800],
      [
        `merge into public.backup_jobs b using (${jobs("a", 3000)}) j on b.job_id = j.job_id
         when matched and b.type = 'config' then delete
         when matched then update set size_bytes = b.size_bytes + 1`,
        4200,
      ],
      ["delete from public.backup_jobs where type = 'secrets'", 3000],
      [
        `insert into public.restore_jobs (job_id, backup_id, type, status, started_at, completed_at)
         select job_id, 'x', type, status, started_at, completed_at from (${jobs("r", 2000)}) j`,
        5000,
      ],
      ["truncate public.backup_jobs", 2000],
      [`${INSERT} ${jobs("b", 100)}`, 2100],
    ];
    for (const [sql, jobs] of steps) {
      const { rows } = await counted(session);
      await session.execute(sql);
      const now = await counted(session);
      assert.equal(now.jobs, jobs, sql);
      assert.ok(now.rows - rows <= 2 * 11 * 15, sql);
      await agree(session);
    }
    await session.execute(`savepoint here; truncate public.restore_jobs; ${INSERT} ${jobs("c", 9)};
      update public.backup_jobs set type = 'database'; rollback to here`);
    assert.equal((await counted(session)).jobs, 2100);
    await agree(session);
  });
});

Deno.test("a change of what is not counted leaves no row", async () => {
  await onTables(async (session) => {
    await session.execute(`${INSERT} ${jobs("a", 100)}`);
    const before = await counted(session);
    await session.execute(`update public.backup_jobs set metadata = '{"a": 1}', updated_at = now();
      delete from public.backup_jobs where job_id = 'none'`);
    assert.deepEqual(await counted(session), before);
  });
});

Deno.test("counts of single jobs pack themselves", async () => {
  await onTables(async (session) => {
    await session.execute(`select setseed(0.5); do $$ begin for i in 1..6000 loop
      insert into public.backup_jobs (job_id, type, status, started_at)
      values ('j' || i, 'files', 'running', now() - i % 10 * interval '1 day'); end loop; end $$`);
    const { rows, jobs } = await counted(session);
    assert.equal(jobs, 6000);
    assert.ok(rows < 5000, String(rows));
    await agree(session);
    await session.execute("select backup_internal.pack_job_days()");
    assert.equal((await counted(session)).rows, 10);
    await agree(session);
  });
});

Deno.test("recount_jobs() mends counts that are wrong, and writes nothing where they are right", async () => {
  await onTables(async (session) => {
    await session.execute(`${INSERT} ${jobs("a", 500)}; select backup_internal.pack_job_days()`);
    const marks = () => session.query("select ctid::text, d::text from backup_internal.job_days d");
    const before = await marks();
    await session.execute("select backup_internal.recount_jobs()");
    assert.deepEqual(await marks(), before);
    await session.execute(`delete from backup_internal.job_days where type = 'files';
      update backup_internal.job_days set jobs = jobs + 7, size_bytes = 0 where type = 'config';
      insert into backup_internal.job_days select kind, '2020-01-01', type, status, in_storage, 1, 1, 1, 1
      from backup_internal.job_days;
      select backup_internal.recount_jobs()`);
    assert.equal((await counted(session)).jobs, 500);
    await agree(session);
  });
});

Deno.test("jobs that change while others pack or count anew do not wait, and are counted once", async () => {
  await using database = await temporaryDatabase("ts_counts");
  const state = new State(new Secret(database.url));
  await state.migrate();
  await state.close();
  const sessions = await Promise.all([1, 2, 3, 4].map(() => connect({ url: database.url })));
  const [packing, old, another, reader] = sessions as [Session, Session, Session, Session];
  try {
    for (const session of sessions) await session.execute("set lock_timeout = '10s'");
    await packing.execute(`${INSERT} ${jobs("a", 100)}`);
    await packing.execute(`${INSERT} ${jobs("b", 100)}`);
    await old.execute("begin isolation level repeatable read; select 1");
    await old.query("select count(*) from backup_internal.job_days");
    await packing.execute(
      `begin; ${INSERT} ${jobs("c", 100)}; select backup_internal.pack_job_days()`,
    );
    await another.execute(`${INSERT} ${jobs("d", 100)}; select backup_internal.pack_job_days();
      update public.backup_jobs set status = 'completed' where job_id like 'd%';
      select backup_internal.recount_jobs()`);
    await agree(reader);
    await packing.execute("commit");
    await agree(reader);
    // Its snapshot shows rows that are packed by now.
    await old.execute(`${INSERT} ${jobs("e", 100)}; select backup_internal.pack_job_days();
      select backup_internal.recount_jobs(); commit`);
    await packing.execute(`begin; delete from public.backup_jobs where job_id like 'a%';
      select backup_internal.pack_job_days(); rollback`);
    await agree(reader);
    assert.equal((await counted(reader)).jobs, 500);
  } finally {
    for (const session of sessions) await session.close();
  }
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
