/**
 * Tables that are locked or changed when a backup comes to them, rows larger than any part, and targets
 * without room or with locked tables.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startPostgres } from "../../scripts/embedded_postgres.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { DataPart } from "../../supabase/functions/backup/core/model.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { databaseState } from "../support/database_state.ts";
import { keepBackup, restoreKept } from "../support/kept_backup.ts";
import { endOf, onlyParts, partBackup } from "../support/part_backup.ts";
import { failure } from "../support/restore_backup.ts";
import { untilWaiting } from "../support/snapshot_database.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";
import { tinyDisk, whyNoTinyDisk } from "../support/tiny_disk.ts";

const SAMPLE = `
  create table notes (id int primary key, body text);
  insert into notes select i, repeat(md5(i::text), 30) from generate_series(1, 300) i;
  create table marks (note int references notes, at timestamptz);
  insert into marks select i, to_timestamp(i) from generate_series(1, 300) i;
`;

const WITHOUT_SAFETY = { skipSafetyBackup: true, acceptHazards: ["no-safety-backup"] };

async function sample(sql = SAMPLE) {
  const database = await temporaryDatabase("t_tables");
  await runSql(database.url, sql);
  return database;
}

Deno.test("a table that is locked exclusively is waited for, again and again, and named when it is for too long", async () => {
  await using database = await sample();
  await using backup = await partBackup(database.url, { lockTimeoutMs: 200 });
  const holder = await connect({ url: database.url });
  await holder.execute("begin; lock table marks in access exclusive mode");
  const jobId = await backup.begin();
  await backup.work(jobId);
  const waiting = await backup.job(jobId);
  assert.equal(waiting.status, "running");
  await holder.execute("rollback");
  backup.advance(60_000);
  await backup.work(jobId);
  await backup.expectSaved(jobId);

  await holder.execute("begin; lock table marks in access exclusive mode");
  const second = await backup.begin({ maxAttempts: 2 });
  for (let attempt = 1; attempt <= 2; attempt++) {
    await backup.work(second);
    backup.advance(60_000);
  }
  const job = await backup.job(second);
  assert.deepEqual(endOf(job), { status: "failed", code: "lock_timeout" });
  assert.match(job.error!.message, /marks/);
  await holder.close();
});

Deno.test("a table that others want to drop, alter and lock during a backup is saved as it was, and they go on afterwards", async () => {
  await using database = await sample(
    `${SAMPLE} create table doomed as select * from notes; create table altered as select * from notes`,
  );
  const before = await databaseState(database.url);
  await using backup = await partBackup(database.url);
  const jobId = await backup.begin();
  // The moment is taken and the definitions are read; the rows are still to come.
  await backup.work(jobId, { budget: onlyParts(2) });
  const observer = await connect({ url: database.url });
  const others: Promise<void>[] = [];
  for (
    const sql of [
      "drop table doomed",
      "alter table altered alter id type bigint using id * 2",
      "begin; lock table marks in access exclusive mode; truncate marks; commit",
    ]
  ) {
    const session = await connect({ url: database.url });
    others.push(session.execute(sql).finally(() => session.close()));
    await untilWaiting(observer, session.backendPid);
  }
  await backup.work(jobId);
  assert.equal(endOf(await backup.job(jobId)).status, "completed");
  await Promise.all(others);
  await observer.close();
  const repository = await backup.repository();
  await using target = await sample("");
  await restoreKept(target.url, { kept: { repository, backupId: jobId }, mode: "empty" });
  const restored = await databaseState(target.url);
  assert.deepEqual(restored.public, before.public);
});

Deno.test("rows larger than a part, and larger than the largest part, go through whole", async () => {
  await using database = await sample(`
    create table files (id int primary key, body bytea, words text, data jsonb);
    alter table files alter body set storage external;
    insert into files select i, decode(repeat(md5(i::text), 60000 * i), 'hex'),
        repeat(md5(i::text) || chr(8364), 20000), jsonb_build_object('k', repeat('v', 900000))
      from generate_series(1, 4) i;
    insert into files select i, null, 'small', null from generate_series(5, 50) i`);
  const saved = await keepBackup(database.url, { partBytes: 65_536, maxPartBytes: 262_144 });
  const { manifest } = await saved.repository.readBackup(saved.backupId);
  const parts = await Array.fromAsync(saved.repository.readLines<DataPart>(manifest.dataParts));
  assert.ok(parts.some(({ rows, rawBytes }) => rows === 1 && rawBytes > 4 * 262_144));
  assert.equal(parts.reduce((sum, { rows }) => sum + rows, 0), 50);
  await using target = await sample("");
  await restoreKept(target.url, { kept: saved, mode: "empty" });
  assert.deepEqual(await databaseState(target.url), await databaseState(database.url));
});

Deno.test("a part whose size was misjudged is cut until its pieces fit, each row once", async () => {
  await using database = await sample();
  // The whole table is thought to fit; in fact no worker has room for more than ten pages.
  await using backup = await partBackup(database.url, {
    limits: { partBytes: 8 << 20, maxPartBytes: 32 << 20 },
  });
  const pagesOf = (sql: string) => {
    const page = (bound: string) => new RegExp(`ctid ${bound} '\\((\\d+),`).exec(sql)?.[1];
    return Number(page("<") ?? 40) - Number(page(">=") ?? 0);
  };
  const refused: number[] = [];
  const taken: number[] = [];
  const open = async () => {
    const session = await connect({ url: database.url });
    return new Proxy(session, {
      get(inner, name) {
        const value = Reflect.get(inner, name, inner);
        if (typeof value !== "function") return value;
        return async (...given: unknown[]) => {
          const sql = [given[0]].flat().find((one) => /^COPY .*notes/.test(String(one)));
          if (sql === undefined) return await value.apply(inner, given);
          const pages = pagesOf(String(sql));
          (pages > 10 ? refused : taken).push(pages);
          if (pages > 10) throw new BackupError("over_budget", "Cannot copy it: too large");
          return await value.apply(inner, given);
        };
      },
    });
  };
  const jobId = await backup.begin();
  for (let turn = 0; turn < 6; turn++) {
    await backup.work(jobId, { open });
    backup.advance(60_000);
  }
  assert.ok(refused.length > 1 && taken.length > 3, JSON.stringify({ refused, taken }));
  assert.equal(taken.reduce((sum, pages) => sum + pages, 0), 40);
  await backup.expectSaved(jobId);
});

Deno.test("a restore over tables that somebody has locked gives up in time, names the lock and changes nothing", async () => {
  await using database = await sample();
  const saved = await keepBackup(database.url);
  await runSql(database.url, "update notes set body = 'changed'");
  const before = await databaseState(database.url);
  const holder = await connect({ url: database.url });
  await holder.execute("begin; select count(*) from notes");
  const error = await failure(
    restoreKept(database.url, {
      kept: saved,
      ...{ mode: "over", lockTimeoutMs: 300 },
      ...WITHOUT_SAFETY,
    }),
  );
  await holder.close();
  assert.equal(error.code, "lock_timeout", error.message);
  assert.deepEqual(await databaseState(database.url), before);
});

const noDisk = await whyNoTinyDisk();

Deno.test({
  name:
    `a target whose disk is full fails a restore with the server's reason, and has room again${noDisk}`,
  ignore: noDisk !== "",
  async fn() {
    await using disk = await tinyDisk(48 << 20);
    await using database = await sample(`
      create table notes (id int, body text);
      alter table notes alter body set storage external;
      insert into notes select i, repeat(md5(i::text), 3000) from generate_series(1, 150) i`);
    const saved = await keepBackup(database.url);
    await using server = await startPostgres({ major: 17 });
    await Deno.mkdir(`${disk.path}/space`);
    const { uid, gid } = await Deno.stat(server.dataDirectory);
    await Deno.chown(`${disk.path}/space`, uid, gid);
    await runSql(server.url(), `create tablespace tiny location '${disk.path}/space'`);
    await runSql(server.url(), "create database target tablespace tiny");
    const url = server.url("target");
    // What the server has of its own fits; with so much of others' the rows do not.
    await Deno.writeFile(`${disk.path}/filler`, new Uint8Array(34 << 20));
    const error = await failure(restoreKept(url, { kept: saved, mode: "empty" }));
    assert.match(`${error.message} ${JSON.stringify(error.details)}`, /53100|No space left/);
    assert.ok(["restore_mismatch", "database_error"].includes(error.code), error.code);
    const session = await connect({ url });
    const [row] = await session.query("select count(*)::int as rows from notes");
    await session.close();
    assert.equal(row?.rows, 0);

    await Deno.remove(`${disk.path}/filler`);
    await restoreKept(url, { kept: saved, mode: "over", ...WITHOUT_SAFETY });
    assert.deepEqual(await databaseState(url), await databaseState(database.url));
  },
});
