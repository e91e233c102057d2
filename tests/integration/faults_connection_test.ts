/**
 * Connections that are cut, statements that are ended and servers that crash in the middle of a COPY,
 * out of the source and into the target.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startPostgres } from "../../scripts/embedded_postgres.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import type { RestoreRequest } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { cuttingProxy } from "../support/cutting_proxy.ts";
import { databaseState } from "../support/database_state.ts";
import { DUMP_OF_PUBLIC, keepBackup, restoreKept } from "../support/kept_backup.ts";
import { collect, onlyParts, partBackup } from "../support/part_backup.ts";
import { failure } from "../support/restore_backup.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

/** A megabyte, in many parts when they are small. */
const SAMPLE = `
  create table notes (id int primary key, body text);
  insert into notes select i, repeat(md5(i::text), 30) from generate_series(1, 1000) i;
  create table marks (note int references notes, at timestamptz);
  insert into marks select i, to_timestamp(i) from generate_series(1, 1000) i;
`;

/** Bytes that nothing but rows comes to. */
const INSIDE_ROWS = 400_000;

async function sample(sql = SAMPLE) {
  const database = await temporaryDatabase("t_connection");
  await runSql(database.url, sql);
  return database;
}

/** Does something before each statement that begins so, once. */
function onceBefore(session: Session, begins: string, act: () => Promise<void>): Session {
  let done = false;
  return new Proxy(session, {
    get(inner, name) {
      const value = Reflect.get(inner, name, inner);
      if (typeof value !== "function") return value;
      return async (...given: unknown[]) => {
        const statement = Array.isArray(given[0]) ? given[0][0] : given[0];
        if (!done && typeof statement === "string" && statement.startsWith(begins)) {
          done = true;
          await act();
        }
        return await value.apply(inner, given);
      };
    },
  });
}

Deno.test("a backup whose connection is cut in COPY does that part again, in the same moment", async () => {
  await using database = await sample();
  await using backup = await partBackup(database.url);
  await using proxy = cuttingProxy(database.url);
  const jobId = await backup.begin();
  await backup.work(jobId, { budget: onlyParts(2) });
  const cut = proxy.cutAfter(50_000, "to-client");
  await backup.work(jobId, { open: () => connect({ url: proxy.url }), budget: onlyParts(3) });
  await cut;
  // The moment outlives the cut: what is changed now is not of the backup.
  await runSql(database.url, "create table later ()");
  backup.advance(60_000);
  await backup.work(jobId);
  await runSql(database.url, "drop table later");
  await backup.expectSaved(jobId);
});

Deno.test("a backup whose statements are ended in COPY, as by a timeout, does those parts again", async () => {
  await using database = await sample();
  await using backup = await partBackup(database.url);
  const jobId = await backup.begin();
  let ended = 0;
  const open = async () => {
    const session = await connect({ url: database.url });
    return new Proxy(session, {
      get(inner, name) {
        const value = Reflect.get(inner, name, inner);
        if (name !== "copyOut") return typeof value === "function" ? value.bind(inner) : value;
        return async (sql: string, onData: (slice: Uint8Array) => Promise<void>) => {
          if (ended >= 3) return await inner.copyOut(sql, onData);
          ended++;
          const short = `SET LOCAL statement_timeout = '1ms'`;
          await inner.execute(short);
          return await inner.copyOut(
            sql.replace("SELECT", "SELECT pg_sleep(1)::text::int,"),
            onData,
          );
        };
      },
    });
  };
  await backup.work(jobId, { open, patienceMs: 30_000 });
  assert.equal(ended, 3);
  await backup.expectSaved(jobId);
});

Deno.test("a program's backup whose connection is cut in COPY ends with its reason, and nothing is listed", async () => {
  await using database = await sample();
  await using proxy = cuttingProxy(database.url);
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const cut = proxy.cutAfter(INSIDE_ROWS, "to-client");
  const error = await failure(backupDatabase({
    connect: () => connect({ url: proxy.url }),
    repository,
    clock: systemClock,
    request: { origin: "manual", dump: DUMP_OF_PUBLIC },
    writtenBy: "test",
  }));
  await cut;
  assert.equal(error.code, "database_unreachable");
  assert.deepEqual(await repository.listBackups(), { backups: [], damaged: [] });
});

for (const mode of ["empty", "over"] as const) {
  Deno.test(`a restore in mode ${mode} whose connection is cut in COPY ends with its reason and can be done again`, async () => {
    await using database = await sample();
    const saved = await keepBackup(database.url);
    const expected = await databaseState(database.url);
    await using target = await sample(
      mode === "empty" ? "" : `${SAMPLE} delete from marks; update notes set body = 'x'`,
    );
    const before = await databaseState(target.url);
    await using proxy = cuttingProxy(target.url);
    const cut = proxy.cutAfter(INSIDE_ROWS, "to-server");
    const request: RestoreRequest = {
      ...{ mode, jobs: 1, skipSafetyBackup: true, acceptHazards: ["no-safety-backup"] },
    };
    const error = await failure(restoreKept(proxy.url, { kept: saved, ...request }));
    await cut;
    assert.equal(error.code, "database_unreachable", error.message);
    if (mode === "over") assert.deepEqual(await databaseState(target.url), before);
    await restoreKept(target.url, { kept: saved, ...request, mode: "over" });
    assert.deepEqual(await databaseState(target.url), expected);
  });
}

Deno.test("a server that crashes in the middle of a backup makes it begin again when the server is back", async () => {
  await using server = await startPostgres({ major: 17, settings: { synchronous_commit: "on" } });
  await runSql(server.url(), "create database live");
  const url = server.url("live");
  await runSql(url, SAMPLE);
  await using backup = await partBackup(url);
  const jobId = await backup.begin();
  let crashed = 0;
  const open = async () => {
    const session = await connect({ url });
    return onceBefore(session, "COPY", async () => {
      if (crashed++ > 0) return;
      await server.stop("immediate");
      await server.start();
      await runSql(url, "update notes set body = 'of another moment' where id < 100");
    });
  };
  const { errors, onError } = collect();
  await backup.work(jobId, { open, onError, patienceMs: 60_000 });
  assert.ok(crashed > 1);
  await backup.expectSaved(jobId);
  assert.deepEqual(errors.filter(({ code }) => code === "internal"), []);
});
