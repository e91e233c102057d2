/**
 * Statements of a restore that last longer than their worker lives: the server goes on with them, and whoever
 * takes the part next waits for that backend and begins nothing of its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { databaseState } from "../support/database_state.ts";
import { type Death, Mortal, PartsOfRestore } from "../support/parts_of_restore.ts";
import { backupWithoutRoles } from "../support/restore_backup.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

/** Who reads the view is counted, whatever becomes of the transaction, and waits while the test holds the gate. */
const SAMPLE = `
  create table owners (id int primary key, name text);
  create table things (id int primary key, owner int);
  alter table things add foreign key (owner) references owners;
  insert into owners select i, 'o' || i from generate_series(1, 20) i;
  insert into things select i, 1 + i % 20 from generate_series(1, 300) i;
  create sequence reads;
  create function gate(number int) returns int language plpgsql as $$ begin
    perform nextval('public.reads');
    perform pg_advisory_xact_lock_shared(7004, number);
    return number; end $$;
  create materialized view counted as select public.gate(1) as gate, count(*) as many from things`;

/** What is handed over, and what keeps the server from its end. */
const LASTING = [
  {
    what: "a foreign key",
    part: "FOREIGN KEY",
    hold: "begin; lock table public.owners in row exclusive mode",
    release: "commit",
  },
  {
    what: "the refresh of a view",
    part: "REFRESH MATERIALIZED VIEW",
    hold: "select pg_advisory_lock(7004, 1)",
    release: "select pg_advisory_unlock(7004, 1)",
  },
];

/** Backends that do handed work of a job and wait for a lock. */
async function atWork(session: Session, jobId: string, part: string): Promise<number> {
  const rows = await session.query(
    `select pid, pg_sleep(0.01) from pg_stat_activity
      where application_name = $1 and state = 'active' and query ~ $2 and wait_event_type = 'Lock'`,
    [`backup ${jobId}`, part],
  );
  return rows.length;
}

async function readsOf(session: Session): Promise<number> {
  return Number((await session.query("select last_value from reads"))[0]!.last_value);
}

for (const { what, part, hold, release } of LASTING) {
  Deno.test(`${what} that outlasts its worker is finished by the server, and the next worker waits for it`, async () => {
    await using source = await temporaryDatabase("handed_source");
    await using target = await temporaryDatabase("handed_target");
    await runSql(source.url, SAMPLE);
    const backup = await backupWithoutRoles(source.url);
    const holder = await connect({ url: target.url });
    // A transaction sees what backends did when it asked for the first time.
    const watcher = await connect({ url: target.url });
    const restore = new PartsOfRestore(backup, target.url, {
      request: { lockTimeoutMs: 3_600_000 },
    });
    try {
      const leave = new AbortController();
      const death: Death = {
        at: (sql) => !leave.signal.aborted && sql.startsWith("DO") && sql.includes(part),
        how: "asleep",
        wait: async () => {
          await holder.execute(hold);
          void (async () => {
            while (await atWork(watcher, restore.jobId, part) === 0);
            leave.abort();
          })();
        },
      };
      let left = restore.ready[0]!;
      while (!leave.signal.aborted) {
        left = restore.ready[0]!;
        const definition = restore.define(new Mortal(target.url, death));
        await restore.work(left, { definition, signal: leave.signal });
      }
      assert.equal(await atWork(watcher, restore.jobId, part), 1, "the server goes on");

      let looks = 0;
      const looked = Promise.withResolvers<void>();
      const watched = new Mortal(target.url, {
        at: (sql) => {
          if (/from backup_internal.restore_marks where/.test(sql) && ++looks === 3) {
            looked.resolve();
          }
          return false;
        },
        how: "before",
      });
      const again = restore.ready.find(({ payload }) => payload === left.payload)!;
      const next = restore.work(again, { definition: restore.define(watched) });
      await Promise.race([looked.promise, next]);
      assert.equal(await atWork(watcher, restore.jobId, part), 1, "nobody does it a second time");
      await holder.execute(release);
      await next;
      await restore.workUntil(({ name }) => name === "comparing-definitions");
      assert.equal(await readsOf(watcher), 2, "once in the source, and once here");
      await holder.execute("select setval('reads', 1)");
      await restore.workUntil();
      assert.deepEqual(restore.report?.comparison?.differences, []);
    } finally {
      await holder.close();
      await watcher.close();
    }
    assert.deepEqual(await databaseState(target.url), await databaseState(source.url));
  });
}
