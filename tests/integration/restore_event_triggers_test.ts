/**
 * Event triggers of a live database that the backup does not know: no restore is refused or changed by
 * them in silence.
 *
 * @module
 */
import assert from "node:assert/strict";
import { scratchDatabase } from "../support/memory_backup.ts";
import { backupWithoutRoles, failure, restoreBackup } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

const SAMPLE = `
  create table t (id int primary key, v varchar(5) check (v in ('a', 'b')));
  insert into t values (1, 'a')`;

/** Refuses every statement that defines something, in every mode of replication. */
const REFUSING = `
  create function refuse() returns event_trigger language plpgsql as
    $$ begin raise exception 'an event trigger fired'; end $$;
  create event trigger a_refuse on ddl_command_end execute function refuse();
  alter event trigger a_refuse enable always`;

const STATE = "select evtenabled::text as state from pg_event_trigger where evtname = 'a_refuse'";

for (const major of [15, 17, 18] as const) {
  Deno.test(`a superuser restores past event triggers of the target on PostgreSQL ${major}`, async () => {
    const server = await testServer(major);
    await using source = await scratchDatabase(server, "a_events_source");
    await using target = await scratchDatabase(server, "a_events_target");
    await source.run(SAMPLE);
    const backup = await backupWithoutRoles(source.url);
    await target.run(`create table t (id int); insert into t values (7); ${REFUSING}`);
    const report = await restoreBackup(backup, target.url);
    assert.deepEqual(report.plan.hazards.map(({ name }) => name), ["replaces-object"]);
    assert.deepEqual(await target.run("select id, v from t"), [{ id: 1, v: "a" }]);
    assert.deepEqual(await target.run(STATE), [{ state: "A" }], "it is there as it was");
    await failure(target.run("create table refused ()"));
  });
}

Deno.test("a role that cannot silence event triggers is told of them, and may accept them by name", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "a_events_role_source");
  await using target = await scratchDatabase(server, "a_events_role_target");
  const dropRole = () =>
    source.run(`do $$ begin if to_regrole('a_events') is not null then
      drop owned by a_events; drop role a_events; end if; end $$`);
  await dropRole();
  try {
    await source.run("create role a_events login");
    await source.run(SAMPLE);
    await source.run("alter table t owner to a_events");
    const backup = await backupWithoutRoles(source.url);
    await target.run("alter database a_events_role_target owner to a_events");
    await target.run("create table t (id int); alter table t owner to a_events");
    await target.run(REFUSING);
    const url = target.url.replace("//postgres@", "//a_events@");
    const fires = async () => {
      const { plan } = await restoreBackup(backup, url, { dryRun: true });
      return plan.hazards.find(({ name }) => name === "event-triggers-fire")?.objects;
    };
    assert.deepEqual(await fires(), ["event-trigger a_refuse"]);
    await target.run("alter event trigger a_refuse disable");
    assert.deepEqual(await fires(), undefined);
    await target.run("alter event trigger a_refuse enable");
    assert.deepEqual(await fires(), ["event-trigger a_refuse"]);

    const refused = await failure(restoreBackup(backup, url));
    assert.equal(refused.code, "restore_refused");
    const accepted = await failure(
      restoreBackup(backup, url, { acceptHazards: ["event-triggers-fire"] }),
    );
    assert.match(accepted.message, /an event trigger fired/);
    assert.deepEqual(
      await target.run(
        "select attname from pg_attribute " +
          "where attrelid = 't'::regclass and attnum > 0",
      ),
      [{ attname: "id" }],
    );

    // As the platform's own role may: ordinary event triggers do not fire for it.
    await source.run("grant set on parameter session_replication_role to a_events");
    assert.deepEqual(await fires(), undefined);
    await restoreBackup(backup, url);
    assert.deepEqual(await target.run("select v from t"), [{ v: "a" }]);
    await target.run("alter event trigger a_refuse enable replica");
    assert.deepEqual(await fires(), ["event-trigger a_refuse"]);
  } finally {
    await target[Symbol.asyncDispose]();
    await dropRole();
    await source[Symbol.asyncDispose]();
  }
});
