/**
 * Restores by the owner of a database, who is no superuser and may not read what other roles own there.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import {
  restoreDatabase,
  type RestoreRequest,
} from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { DUMP_OPTIONS, scratchDatabase } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create role a_app;
  create schema app;
  create table app.notes (id int generated always as identity primary key, text text);
  insert into app.notes (text) values ('first'), ('second');
  create table app.counted (id serial primary key);
  insert into app.counted default values;
  create view app.seen as select text from app.notes;
  alter table app.notes owner to a_app; alter table app.counted owner to a_app;
  alter view app.seen owner to a_app; alter schema app owner to a_app`;

const MEMBERSHIPS = `select pg_get_userbyid(roleid)::text as role from pg_auth_members
  where member = 'a_restorer'::regrole and grantor = 'a_restorer'::regrole`;

for (const major of [15, 17] as const) {
  Deno.test(`the owner of a database restores over it what other roles own there, on PostgreSQL ${major}`, async () => {
    const server = await testServer(major);
    await using admin = await scratchDatabase(server, "a_owner_admin");
    const dropRoles = () =>
      admin.run(`do $$ begin
        if to_regrole('a_restorer') is not null then drop owned by a_restorer; drop role a_restorer; end if;
        if to_regrole('a_app') is not null then drop owned by a_app; drop role a_app; end if; end $$`);
    await admin.run("drop database if exists a_owner_target with (force)");
    await dropRoles();
    try {
      const repository = await createRepository({
        storage: memoryStorage(),
        key: null,
        compression: { algorithm: "none", level: 0 },
      });
      let backupId: string;
      {
        await using source = await scratchDatabase(server, "a_owner_target");
        await source.run(SAMPLE);
        const record = await backupDatabase({
          connect: () => connect({ url: source.url }),
          repository,
          clock: systemClock,
          request: { origin: "manual", dump: DUMP_OPTIONS },
          writtenBy: "test",
        });
        backupId = record.backupId;
      }
      await dropRoles();
      await admin.run("create role a_restorer login nosuperuser createrole");
      await using target = await scratchDatabase(server, "a_owner_target", "OWNER a_restorer");
      const url = new URL(target.url);
      url.username = "a_restorer";
      const restore = (request: RestoreRequest = {}) =>
        restoreDatabase({
          connect: () => connect({ url: url.href }),
          repository,
          backupId,
          request,
          clock: systemClock,
          writtenBy: "test",
        });
      await restore();
      await target.run("update app.notes set text = 'x'");
      const dry = await restore({ dryRun: true });
      assert.equal(dry.plan.mode, "over");

      await target.run(
        "create table app.later (id int references app.notes); " +
          "insert into app.later select id from app.notes; alter table app.later owner to a_app; " +
          "update app.later set id = 3 from app.notes where false; " +
          "insert into app.notes (text) values ('third'); insert into app.later values (3)",
      );
      await assert.rejects(restore(), (error: unknown) => {
        assert.ok(error instanceof BackupError);
        return /later_id_fkey/.test(error.message);
      });
      assert.deepEqual(await target.run(MEMBERSHIPS), [], "a failure leaves no membership");
      assert.equal((await target.run("select from app.notes where text = 'x'")).length, 2);

      await target.run("drop table app.later");
      const over = await restore();
      assert.ok(over.safetyBackupId);
      assert.deepEqual(await target.run(MEMBERSHIPS), [], "nor does success");
      assert.deepEqual(await target.run("select text from app.seen"), [
        { text: "first" },
        { text: "second" },
      ]);
      const [owner] = await target.run(
        "select tableowner::text as name from pg_tables where tablename = 'notes'",
      );
      assert.equal(owner?.name, "a_app");
    } finally {
      await admin.run("drop database if exists a_owner_target with (force)");
      await dropRoles();
    }
  });
}
