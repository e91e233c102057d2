/**
 * Restores into an empty database that are killed half-way, and what can be done then.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import {
  restoreDatabase,
  type RestoreRequest,
} from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { COMMAND_KEY, startCommand } from "../support/command.ts";
import { databaseState } from "../support/database_state.ts";
import { DUMP_OPTIONS, scratchDatabase } from "../support/memory_backup.ts";
import { failure } from "../support/restore_backup.ts";
import { testServer } from "../support/servers.ts";

/** Whoever evaluates `gate(n, …)` waits while the test holds gate n: 1 in COPY, 2 in CREATE INDEX. */
const SAMPLE = `
  create function gate(number int, value int) returns int language plpgsql immutable as
    $$ begin perform pg_advisory_xact_lock_shared(7002, number); return value; end $$;
  create table owners (id int primary key, name text);
  create table things (id int primary key, owner int references owners,
                       check (public.gate(1, id) > 0));
  create index things_gated on things (public.gate(2, id));
  create view seen as select * from things;
  insert into owners select i, 'o' || i from generate_series(1, 20) i;
  insert into things select i, 1 + i % 20 from generate_series(1, 100) i`;

const GATES = { "inside COPY": 1, "inside CREATE INDEX": 2 };

Deno.test("a restore into an empty database that was killed can be done again over what it left", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "a_killed_source");
  await source.run(SAMPLE);
  const directory = await Deno.makeTempDir();
  try {
    const repository = await createRepository({
      storage: localStorage(directory),
      key: new Secret(COMMAND_KEY),
      compression: { algorithm: "none", level: 0 },
    });
    await backupDatabase({
      connect: () => connect({ url: source.url }),
      repository,
      clock: systemClock,
      request: { origin: "manual", dump: DUMP_OPTIONS },
      writtenBy: "test",
    });
    for (const [point, gate] of Object.entries(GATES)) {
      await using target = await scratchDatabase(server, "a_killed_target");
      await killAt(gate, target.url, directory);
      const restore = (request: RestoreRequest) =>
        restoreDatabase({
          connect: () => connect({ url: target.url }),
          repository,
          backupId: "latest",
          request,
          clock: systemClock,
          writtenBy: "test",
        });
      const again = await failure(restore({ mode: "empty" }));
      assert.equal(again.code, "target_not_empty", point);
      assert.match(again.hint!, /was cut off/);
      // The repository is another database's, so that what the kill has left cannot be saved there.
      const unsaved = await failure(restore({}));
      assert.match(unsaved.message, /^Cannot make the safety backup/, point);
      assert.match(unsaved.hint!, /skip the safety backup and accept/);
      const report = await restore({
        skipSafetyBackup: true,
        acceptHazards: ["no-safety-backup"],
      });
      assert.equal(report.plan.mode, "over", point);
      assert.deepEqual(await databaseState(target.url), await databaseState(source.url), point);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** Starts a restore, kills it where it waits for the gate, and waits until the server has noticed. */
async function killAt(gate: number, url: string, directory: string): Promise<void> {
  const holder = await connect({ url });
  try {
    await holder.execute(`select pg_advisory_lock(7002, ${gate})`);
    const command = startCommand("restore", [
      ...["--database-url", url, "--repository", `file://${directory}`],
    ]);
    let said: string | undefined;
    command.ended.then((end) => said = end.said);
    await waitUntil(
      holder,
      "exists (select from pg_locks where locktype = 'advisory' and not granted and database = " +
        "(select oid from pg_database where datname = current_database()))",
      () => assert.equal(said, undefined, "it ended before it came to the gate"),
    );
    command.kill();
    assert.ok((await command.ended).killed);
    await holder.execute(`select pg_advisory_unlock(7002, ${gate})`);
    await waitUntil(
      holder,
      "not exists (select from pg_stat_activity " +
        "where datname = current_database() and pid <> pg_backend_pid())",
    );
  } finally {
    await holder.close();
  }
}

/** Asks the server until the condition holds; the pause is the server's, to leave it some air. */
async function waitUntil(session: Session, condition: string, check = () => {}): Promise<void> {
  for (;;) {
    const [row] = await session.query(`select ${condition} as yes, pg_sleep(0.01)`);
    if (row?.yes) return;
    check();
  }
}
