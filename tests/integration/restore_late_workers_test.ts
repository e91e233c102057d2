/**
 * Workers of a restore that sleep over their leases and wake when others have done their parts: what they
 * write into the target then must change nothing.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { databaseState } from "../support/database_state.ts";
import { PartsOfRestore, sleeper } from "../support/parts_of_restore.ts";
import { backupWithoutRoles, failure } from "../support/restore_backup.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

/** Without a key: what is loaded twice is there twice. */
const SAMPLE = `
  create table notes (id int, body text);
  insert into notes select i, md5(i::text) from generate_series(1, 50) i;
  create index on notes (id)`;

async function sample() {
  const source = await temporaryDatabase("late_source");
  const target = await temporaryDatabase("late_target");
  await runSql(source.url, SAMPLE);
  const backup = await backupWithoutRoles(source.url);
  return {
    ...{ source, target, backup, restore: new PartsOfRestore(backup, target.url) },
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]();
      await target[Symbol.asyncDispose]();
    },
  };
}

/** What each of them is about to say when it falls asleep. */
const LATE: Record<string, (sql: string) => boolean> = {
  "borrowing-roles": (sql) => sql === "BEGIN",
  "loading-rows": (sql) => sql === "BEGIN",
  "building-indexes": (sql) => sql.startsWith("DO"),
};

Deno.test("workers that wake when their restore is over change nothing, whatever marks lie there", async () => {
  await using it = await sample();
  const { restore, source, target } = it;
  const sleepers: { wake: () => void; late: Promise<BackupError> }[] = [];
  for (const [name, at] of Object.entries(LATE)) {
    const part = (await restore.workUntil((each) => each.name === name))!;
    const { mortal, asleep, wake } = sleeper(target.url, at);
    const definition = restore.define(mortal);
    sleepers.push({ wake, late: failure(restore.work(part, { definition, record: false })) });
    await asleep;
  }
  // Of another restore, whose end nobody could see to.
  await runSql(
    target.url,
    "insert into backup_internal.restore_marks (job_id, name) values ('restore_other', 'w')",
  );
  await restore.workUntil();
  for (const { wake, late } of sleepers) {
    wake();
    assert.equal((await late).code, "interrupted");
  }
  await runSql(target.url, "drop schema backup_internal cascade");
  assert.deepEqual(await databaseState(target.url), await databaseState(source.url));
});

Deno.test("a worker that wakes when another has planned the restore takes no mark away", async () => {
  await using it = await sample();
  const { restore, source, target } = it;
  const { mortal, asleep, wake } = sleeper(target.url, (sql) => /restore_marks/.test(sql));
  const [planning] = restore.ready;
  const definition = restore.define(mortal);
  const late = failure(restore.work(planning!, { definition, record: false }));
  await asleep;
  await restore.workUntil(({ name }) => name === "building-indexes");
  wake();
  assert.equal((await late).code, "interrupted");
  await restore.workUntil();
  assert.deepEqual(restore.report?.comparison?.differences, []);
  assert.deepEqual(await databaseState(target.url), await databaseState(source.url));
});

Deno.test("a unit at which a backend of a lost worker is still at work fails for no object of it, however often", async () => {
  await using it = await sample();
  const { backup, source, target } = it;
  const request = { lockTimeoutMs: 30 };
  const restore = new PartsOfRestore(backup, target.url, { request });
  const part = (await restore.workUntil(({ name }) => name === "loading-rows"))!;
  const { step, unit } = part.payload as { step: number; unit: number };
  const holder = await connect({ url: target.url });
  try {
    await holder.execute(
      `select pg_advisory_lock(hashtextextended('${restore.jobId} ${step}/${unit}', 7))`,
    );
    for (part.attempt = 4; part.attempt < 7;) {
      assert.equal((await failure(restore.work(part))).code, "lock_timeout");
    }
  } finally {
    await holder.close();
  }
  await restore.workUntil();
  assert.deepEqual(restore.report?.comparison?.differences, []);
  assert.deepEqual(await databaseState(target.url), await databaseState(source.url));
});
