/**
 * Restores of statements that a server has no patience with: limits that are set for the role or the database
 * do not hold for a restore, and a statement that the server ends all the same is tried again, and loses nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { readRestoreTraces } from "../../supabase/functions/backup/postgres/restore_traces.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { databaseState } from "../support/database_state.ts";
import { restoreByEnded } from "../support/ended_workers.ts";
import { LARGE_LIMITS, TINY_LIMITS } from "../support/parts_of_restore.ts";
import { backupWithoutRoles, failure, restoreBackup } from "../support/restore_backup.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

/** Loading the rows and building the index last longer than the limit. */
const SLOW = `
  create function slow(value int) returns int language plpgsql immutable as
    $$ begin perform pg_sleep(0.25); return value; end $$;
  create table things (id int);
  insert into things values (1), (2), (3);
  create index things_slow on things (slow(id));
  alter table things add constraint slowly check (slow(id) > 0)`;
const LIMIT = "statement_timeout = '500ms'";

/** Whoever evaluates `gate(n, …)` waits while the test holds gate n: 1 in COPY, 2 in CREATE INDEX. */
const GATED = `
  create function gate(number int, value int) returns int language plpgsql immutable as
    $$ begin perform pg_advisory_xact_lock_shared(7005, number); return value; end $$;
  create table others (id int);
  insert into others select i from generate_series(1, 40) i;
  create table things (id int check (public.gate(1, id) > 0));
  insert into things select i from generate_series(1, 60) i;
  create index things_gated on things (public.gate(2, id))`;

async function sample(sql: string) {
  const source = await temporaryDatabase("timeout_source");
  const target = await temporaryDatabase("timeout_target");
  await runSql(source.url, sql);
  return {
    ...{ source, target, backup: await backupWithoutRoles(source.url) },
    expectRestored: async () =>
      assert.deepEqual(await databaseState(target.url), await databaseState(source.url)),
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

for (const [how, limits] of Object.entries({ "in workers": LARGE_LIMITS, handed: TINY_LIMITS })) {
  Deno.test(`a statement timeout of the role or of the database ends no statement of a restore (${how})`, async () => {
    await using it = await sample(SLOW);
    const { name, url } = it.target;
    await runSql(
      url,
      `alter database ${name} set ${LIMIT}; alter role current_user in database ${name} set ${LIMIT}`,
    );
    const ended = await failure(runSql(url, "select pg_sleep(5)"));
    assert.match(ended.message, /canceling statement due to statement timeout/);
    const { job } = await restoreByEnded(it.backup, url, { limits, maxAttempts: 1 });
    assert.deepEqual([job.status, job.error], ["completed", null]);
    await it.expectRestored();
    // Over what is there, in one go.
    await runSql(url, "drop table things");
    await restoreBackup(it.backup, url);
    await it.expectRestored();
  });
}

/** Has the server end what stands at a gate, in so many backends, of which each is a try. */
async function cancelAtGate(session: Session, times: number): Promise<void> {
  const ended = new Set<number>();
  while (ended.size < times) {
    const rows = await session.query(
      `select pid, pg_cancel_backend(pid), pg_sleep(0.01) from pg_locks
        where locktype = 'advisory' and classid = 7005 and not granted
          and database = (select oid from pg_database where datname = current_database())`,
    );
    for (const { pid } of rows) ended.add(pid);
  }
}

for (
  const [what, gate, limits] of [
    ["COPY", 1, LARGE_LIMITS],
    ["CREATE INDEX", 2, LARGE_LIMITS],
    ["handed CREATE INDEX", 2, TINY_LIMITS],
  ] as const
) {
  Deno.test(`a ${what} that the server ends is tried again, and every row is there once`, async () => {
    await using it = await sample(GATED);
    const holder = await connect({ url: it.target.url });
    try {
      await holder.execute(`select pg_advisory_lock(7005, ${gate})`);
      const restoring = restoreByEnded(it.backup, it.target.url, { limits });
      await cancelAtGate(holder, 2);
      await holder.execute(`select pg_advisory_unlock(7005, ${gate})`);
      const { job } = await restoring;
      assert.deepEqual([job.status, job.error], ["completed", null]);
      assert.equal(job.result?.rowsLoaded, 100);
      await it.expectRestored();
    } finally {
      await holder.close();
    }
  });

  Deno.test(`a ${what} that the server ends each time ends the restore by name, which can be completed`, async () => {
    await using it = await sample(GATED);
    const holder = await connect({ url: it.target.url });
    const traces = () => readRestoreTraces((sql) => holder.query(sql));
    try {
      await holder.execute(`select pg_advisory_lock(7005, ${gate})`);
      const restoring = restoreByEnded(it.backup, it.target.url, { limits, maxAttempts: 2 });
      await cancelAtGate(holder, 2);
      const { job } = await restoring;
      assert.equal(job.status, "failed");
      assert.match(job.error!.message, /things.*canceling statement due to user request/);
      assert.deepEqual((await traces()).map(({ jobId }) => jobId), [job.jobId]);
      await holder.execute(`select pg_advisory_unlock(7005, ${gate})`);
      const again = await restoreByEnded(it.backup, it.target.url, { limits, maxWholeBytes: 1 });
      assert.deepEqual([again.job.status, again.job.error], ["completed", null]);
      assert.deepEqual(await traces(), []);
      await it.expectRestored();
    } finally {
      await holder.close();
    }
  });
}
