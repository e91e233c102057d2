/**
 * What a restore test leaves out, and who may enter its database, on a real server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { restoreDatabase } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import {
  createScratchDatabase,
  dropScratchDatabase,
  inertView,
  urlOfDatabase,
} from "../../supabase/functions/backup/usecases/restore/scratch_database.ts";
import { asRepository, backupInMemory } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

const SOURCE = "b_scratch_source";
const SCRATCH = "b_scratch_target";

Deno.test("urlOfDatabase() changes the database and nothing else", () => {
  const change = (url: string) => urlOfDatabase(new Secret(url), "x y").reveal();
  assert.equal(
    change("postgres://u:p@h:5432/app?sslmode=require"),
    "postgres://u:p@h:5432/x%20y?sslmode=require",
  );
  assert.equal(change("postgresql://u:p/a@ss@h/app"), "postgresql://u:p/a@ss@h/x%20y");
  assert.equal(change("postgres://h"), "postgres://h/x%20y");
});

Deno.test("a scratch database holds nothing that acts and lets nobody in", async () => {
  const server = await testServer(17);
  const admin = await connect({ url: server.url() });
  const clean = async () => {
    for (const name of [SOURCE, SCRATCH]) await dropScratchDatabase(admin, name);
    await admin.execute("drop role if exists b_scratch_guest; drop role if exists b_scratch_gone");
  };
  await clean();
  try {
    await admin.execute("create role b_scratch_guest login");
    await admin.execute("create role b_scratch_gone");
    await admin.execute(`create database ${SOURCE}`);
    const source = await connect({ url: server.url(SOURCE) });
    await source.execute(`
      create table notes (id integer primary key);
      insert into notes select generate_series(1, 50);
      alter table notes owner to b_scratch_gone;
      create table rung (id integer);
      create function ring() returns trigger language plpgsql
        as $$ begin insert into rung values (new.id); return new; end $$;
      create trigger bell after insert on notes for each row execute function ring();
      alter table notes enable always trigger bell;
      create function fire() returns event_trigger language plpgsql as $$ begin end $$;
      create event trigger b_scratch_trigger on ddl_command_end execute function fire();
      create subscription b_scratch_subscription connection 'host=nowhere' publication p
        with (connect = false);
      create foreign data wrapper b_scratch_wrapper;
      create server b_scratch_server foreign data wrapper b_scratch_wrapper;
      create foreign table far (id integer) server b_scratch_server;
      create view near as select id from far;
      create view plain as select id from notes;
      grant connect on database ${SOURCE} to public;
      alter database ${SOURCE} set work_mem = '5MB'`);
    const backup = await backupInMemory(server.url(SOURCE));
    await source.execute(
      "alter subscription b_scratch_subscription disable; " +
        "alter subscription b_scratch_subscription set (slot_name = none); " +
        "drop subscription b_scratch_subscription; alter table notes owner to current_user",
    );
    await source.close();
    await admin.execute("drop role b_scratch_gone");
    await createScratchDatabase(admin, { name: SCRATCH, encoding: "UTF8" });
    const report = await restoreDatabase({
      connect: () => connect({ url: urlOfDatabase(new Secret(server.url()), SCRATCH) }),
      repository: inertView(asRepository(backup)),
      backupId: "memory",
      request: { mode: "empty", target: "plain", acceptHazards: ["missing-role"] },
      clock: systemClock,
      writtenBy: "test",
    });
    assert.deepEqual(report.comparison?.differences ?? [], []);
    const scratch = await connect({ url: server.url(SCRATCH) });
    const [facts] = await scratch.query(`
      select (select count(*)::int from notes) as notes, to_regclass('plain') is not null as plain,
        to_regclass('far') is null and to_regclass('near') is null as no_foreign,
        (select count(*)::int from pg_event_trigger) as triggers,
        (select count(*)::int from pg_trigger where tgname = 'bell') as bells,
        (select count(*)::int from rung) as rung,
        (select count(*)::int from pg_subscription s join pg_database d on d.oid = s.subdbid
          where d.datname = current_database()) as subscriptions,
        (select count(*)::int from pg_foreign_server) as servers,
        (select count(*)::int from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
          where d.datname = current_database()) as settings,
        has_database_privilege('b_scratch_guest', current_database(), 'connect') as open,
        (select count(*)::int from pg_roles where rolname = 'b_scratch_gone') as made_roles`);
    await scratch.close();
    assert.deepEqual({ ...facts }, {
      notes: 50,
      plain: true,
      no_foreign: true,
      triggers: 0,
      bells: 1, // it is compared with the backup, and nobody is there to ring it
      rung: 0,
      subscriptions: 0,
      servers: 0,
      settings: 0,
      open: false,
      made_roles: 0,
    });
    const guest = new URL(server.url(SCRATCH));
    guest.username = "b_scratch_guest";
    await assert.rejects(connect({ url: guest.href }));
  } finally {
    await clean();
    await admin.close();
  }
});
