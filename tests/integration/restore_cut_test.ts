/**
 * Connections that are cut in the middle of a restore over a live database.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { backupInMemory, scratchDatabase } from "../support/memory_backup.ts";
import { restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create table owners (id int primary key, name text);
  create table things (id int primary key, owner int references owners, note text);
  create index on things (note);
  create sequence counter; select setval('counter', 5);
  insert into owners select i, 'o' || i from generate_series(1, 20) i;
  insert into things select i, 1 + i % 20, 'n' || i from generate_series(1, 200) i;
`;

const STATE = `
  select (select md5(string_agg(t::text, ',' order by t.id)) from things t) as things,
         (select md5(string_agg(o::text, ',' order by o.id)) from owners o) as owners,
         (select count(*)::int from pg_constraint where conrelid = 'things'::regclass) as keys,
         (select count(*)::int from pg_index where indrelid = 'things'::regclass) as indexes,
         (select last_value::text from counter) as counter`;

/** A session that cuts its own connection before its statement number `at`. */
function cutAt(session: Session, at: number, reached: () => void): Session {
  let count = 0;
  return new Proxy(session, {
    get(inner, name) {
      const value = Reflect.get(inner, name, inner);
      if (typeof value !== "function") return value;
      if (name !== "execute" && name !== "copyIn") return value.bind(inner);
      return async (...parameters: unknown[]) => {
        if (++count === at) {
          reached();
          await inner.close();
        }
        return await value.apply(inner, parameters);
      };
    },
  });
}

/** A session that cuts its own connection before a statement that begins so, or after it. */
function cutAround(session: Session, start: string, when: "before" | "after"): Session {
  return new Proxy(session, {
    get(inner, name) {
      const value = Reflect.get(inner, name, inner);
      if (name !== "execute") return typeof value === "function" ? value.bind(inner) : value;
      return async (sql: string) => {
        if (!sql.startsWith(start)) return await inner.execute(sql);
        if (when === "after") await inner.execute(sql);
        await inner.close();
        await inner.execute(sql);
      };
    },
  });
}

Deno.test("a restore whose answer to COMMIT is lost says that it cannot tell", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "rb2_commit");
  await target.run(SAMPLE);
  const backup = await backupInMemory(target.url);
  const rows = async () => (await target.run("select count(*)::int as n from things"))[0]?.n;
  const restore = (start: string, when: "before" | "after") =>
    restoreBackup(backup, target.url, {
      schemas: ["public"],
      given: { connect: async () => cutAround(await connect({ url: target.url }), start, when) },
    });
  for (const [when, expected] of [["before", 5], ["after", 200]] as const) {
    await target.run("delete from things where id > 5");
    await assert.rejects(restore("COMMIT", when), {
      message: /Cannot tell whether memory was restored/,
    });
    assert.equal(await rows(), expected, when);
  }
  await target.run("delete from things where id > 5");
  const report = await restore("ANALYZE", "before");
  assert.match(report.leftOut.map((each) => each.identity).join(), /statistics for the planner/);
  assert.equal(await rows(), 200);
});

Deno.test("a restore over a live database that is cut anywhere leaves the old one or the new one", async () => {
  const server = await testServer(17);
  await using target = await scratchDatabase(server, "gr_cut");
  await target.run(SAMPLE);
  const state = async () => (await target.run(STATE))[0];
  const after = await state();
  const backup = await backupInMemory(target.url);
  await target.run("delete from things where id > 5; update owners set name = 'x'");
  await target.run(
    "alter table things drop constraint things_owner_fkey; select setval('counter', 9)",
  );
  const before = await state();
  assert.notDeepEqual(before, after);
  const restore = (wrap: (session: Session) => Session) =>
    restoreBackup(backup, target.url, {
      schemas: ["public"],
      given: { connect: async () => wrap(await connect({ url: target.url })) },
    });
  let cuts = 0;
  for (let at = 2;; at += 3) {
    let cut = false;
    try {
      await restore((session) => cutAt(session, at, () => cut = true));
    } catch (error) {
      assert.ok(error instanceof BackupError && cut, String(error));
    }
    if (!cut) break;
    cuts++;
    const now = await state();
    const isWhole = JSON.stringify(now) === JSON.stringify(after);
    // Once committed it is the new one, and the cut came too late to test more.
    if (isWhole) break;
    assert.deepEqual(now, before, `cut before statement ${at}`);
  }
  assert.ok(cuts >= 5, `${cuts} cuts`);
  await restore((session) => session);
  assert.deepEqual(await state(), after);
});
