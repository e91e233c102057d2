/**
 * The service's tables for tests of what is in SQL: fixed rows, and sums to compare with.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { temporaryDatabase } from "./temporary_database.ts";

/** Runs `work` on a database of the service's tables; what it does is taken back. */
export async function onTables(work: (session: Session) => Promise<void>): Promise<void> {
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

/** Drops the database of {@linkcode onTables}: the last test of a file. */
export async function dropTables(): Promise<void> {
  await (await made)?.[Symbol.asyncDispose]();
}

async function make() {
  const database = await temporaryDatabase("ts_functions");
  const state = new State(new Secret(database.url));
  await state.migrate();
  await state.close();
  return database;
}

/** The message with which the server refuses a wrong argument. */
export async function refusal(session: Session, sql: string): Promise<string> {
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

/** Jobs of some days in January 2026. */
export const FIXED_JOBS = `
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

/** Plans of each priority, disabled and removed ones too. */
export const PLANS = `
  insert into public.disaster_recovery_plans (plan_id, name, priority, steps, enabled, hidden) values
    ('b_low', 'B', 'low', '[]', true, false), ('a_low', 'A', 'low', '[]', false, false),
    ('main', 'M', 'critical', '[]', true, false), ('off', 'O', 'critical', '[]', false, false),
    ('unsaid', 'U', 'high', '[]', null, false), ('gone', 'G', 'critical', '[]', true, true)`;

/** Compares the statistics with sums over the jobs themselves. */
export async function agree(session: Session): Promise<void> {
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
