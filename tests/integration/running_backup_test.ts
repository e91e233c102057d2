/**
 * Backups that are asked for while one runs: refused, or joined where the settings say so.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startService } from "../../scripts/start_service.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { call, KEYS, post } from "../support/service.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

Deno.test("of two backups asked for at once one runs, and the other is refused or joins it by the setting", async () => {
  await using database = await temporaryDatabase("t_running");
  const directory = await Deno.makeTempDir({ prefix: "supabase-backup-running-" });
  const variables = {
    SUPABASE_DB_URL: database.url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secret }),
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: directory,
    BACKUP_ENABLE_ENCRYPTION: "false",
    BACKUP_DATABASE_PROFILE: "plain",
    BACKUP_MAX_WORKERS: "3",
  };
  const refusing = startService(variables);
  const joining = startService({ ...variables, BACKUP_ON_RUNNING_BACKUP: "join" });
  const holder = await connect({ url: database.url });
  try {
    assert.equal((await post(refusing, "init")).status, 200);
    await holder.execute("create table notes as select generate_series(1, 10) as id");
    // Who has begun waits for this lock, so none can be over before the other asks.
    await holder.execute("begin; lock table notes in access exclusive mode");
    const both = await Promise.all([
      post(refusing, "backup-database"),
      post(refusing, "backup-database"),
    ]);
    const answers = both.sort((a, b) => a.status - b.status);
    assert.deepEqual(answers.map(({ status }) => status), [202, 409]);
    const { jobId } = answers[0]!.body.data;
    assert.equal(answers[1]!.body.error.code, "conflict");
    assert.equal(answers[1]!.body.error.details.jobId, jobId);
    const bounds = await holder.query("select job_id, max_workers from backup_internal.job_runs");
    assert.deepEqual(bounds, [{ job_id: jobId, max_workers: 3 }]);

    const joined = await post(joining, "backup-database", { reason: "me too" });
    assert.deepEqual([joined.status, joined.body.data.jobId], [202, jobId]);
    const waiting = post(joining, "backup-database&wait=60");
    const joins =
      "select count(*)::int as count from backup_audit_log where details ->> 'joined' is not null";
    while ((await holder.query(joins))[0]?.count < 2);
    await holder.execute("rollback");
    const { status, body } = await waiting;
    assert.deepEqual([status, body.data.jobId, body.data.status], [200, jobId, "completed"]);

    const { body: list } = await call(refusing, "jobs&type=backup");
    assert.equal(list.data.total, 1);
    const rows = await holder.query(
      "select subject, details ->> 'joined' as joined from backup_audit_log where outcome = 'accepted' " +
        "and action = 'backup-database' order by 2 nulls first",
    );
    assert.deepEqual(rows.map(({ subject, joined }) => [subject, joined]), [
      [jobId, null],
      [jobId, "true"],
      [jobId, "true"],
    ]);
    // With nothing to join the setting changes nothing.
    const next = await post(joining, "backup-database&wait=60");
    assert.equal(next.status, 200);
    assert.notEqual(next.body.data.jobId, jobId);
  } finally {
    await holder.close();
    await refusing.stop();
    await joining.stop();
    await Deno.remove(directory, { recursive: true });
  }
});
