/**
 * Storage that is slow, fails or is full: a backup comes through or ends with its reason, and what is
 * listed is whole.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  createRepository,
  openRepository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { type FaultPlan, faultyStorage } from "../../supabase/functions/backup/storage/faulty.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { restoreDatabase } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { backupState, databaseState } from "../support/database_state.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { endOf, partBackup } from "../support/part_backup.ts";
import { failure } from "../support/restore_backup.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";
import { tinyDisk, whyNoTinyDisk } from "../support/tiny_disk.ts";

/** Rows that do not compress, in more than one part of small parts. */
const SAMPLE = `
  create table notes (id int primary key, body text);
  insert into notes select i, string_agg(md5(i * 100 + j || ''), '')
    from generate_series(1, 400) i, generate_series(1, 30) j group by i;
`;

/** Without roles: those of a shared server come and go. */
const DUMP = { ...DUMP_OPTIONS, includeSchemas: ["public"] };

const LIMITS = { partBytes: 65_536, maxPartBytes: 262_144 };

async function sample(sql = SAMPLE) {
  const database = await temporaryDatabase("t_storage");
  await runSql(database.url, sql);
  return database;
}

/** Backs up over a storage. */
async function backUp(url: string, storage: Storage, options: { signal?: AbortSignal } = {}) {
  return await backupDatabase({
    connect: () => connect({ url, applicationName: "t_storage backup" }),
    repository: await openRepository({ storage, key: null }),
    clock: systemClock,
    request: { origin: "manual", dump: DUMP, jobs: 2, limits: LIMITS },
    writtenBy: "test",
    ...options,
  });
}

/** Everything that is listed is whole and holds the database; how many backups that are. */
async function expectWhole(storage: Storage, url: string): Promise<number> {
  const repository = await openRepository({ storage, key: null });
  const { backups, damaged } = await repository.listBackups();
  assert.deepEqual(damaged, []);
  assert.deepEqual((await repository.verify({ level: "full" })).problems, []);
  const expected = await databaseState(url);
  for (const { backupId } of backups) {
    assert.deepEqual(await backupState(repository, backupId), expected);
  }
  return backups.length;
}

/** Looks that find a COPY where it was, before it counts as held back. */
const LOOKS = 20;

/** Waits until the COPY of the table `large` goes no further. It must not have come to its end. */
async function untilHeldBack(observer: Session): Promise<void> {
  let bytes: unknown;
  for (let looks = 0; looks < LOOKS;) {
    const [copy] = await observer.query(
      `select a.state, a.wait_event, p.bytes_processed::text as bytes, pg_sleep(0.01)
         from pg_stat_activity a left join pg_stat_progress_copy p using (pid)
        where a.datname = current_database() and a.application_name = 't_storage backup'
          and a.query like 'COPY%large%'`,
    );
    if (copy === undefined) continue;
    assert.equal(copy.state, "active", "all rows were read while the storage stood still");
    looks = copy.wait_event === "ClientWrite" && copy.bytes === bytes ? looks + 1 : 0;
    bytes = copy.bytes;
  }
}

Deno.test("a storage that stands still holds the database's rows back, and nothing is lost when it goes on", async () => {
  await using database = await sample(`
    create table large (body bytea); alter table large alter body set storage external;
    insert into large select decode(string_agg(md5(i || ''), ''), 'hex')
      from generate_series(1, 2000000) i`);
  const storage = memoryStorage();
  await createRepository({ storage, key: null });
  const gate = Promise.withResolvers<void>();
  const slow: Storage = {
    ...storage,
    async put(name, body) {
      if (body.length > 100_000) await gate.promise;
      return await storage.put(name, body);
    },
  };
  const backup = backUp(database.url, slow);
  const observer = await connect({ url: database.url });
  try {
    // 32 MB are more than the buffers on the way hold: the server itself has to wait.
    await untilHeldBack(observer);
    gate.resolve();
    await backup;
  } finally {
    gate.resolve();
    await observer.close();
  }
  assert.equal(await expectWhole(storage, database.url), 1);
});

Deno.test("a backup over a storage that does not answer can be cancelled", async () => {
  await using database = await sample();
  const storage = memoryStorage();
  await createRepository({ storage, key: null });
  const standing = Promise.withResolvers<void>();
  const cancel = new AbortController();
  const silent: Storage = {
    ...storage,
    put(_name, _body, signal) {
      standing.resolve();
      return new Promise((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true })
      );
    },
  };
  const backup = backUp(database.url, silent, { signal: cancel.signal });
  backup.catch(() => {}); // seen below
  await standing.promise;
  cancel.abort();
  assert.equal((await failure(backup)).code, "cancelled");
  assert.equal(await expectWhole(storage, database.url), 0);
});

for (
  const { fault, code } of [
    { fault: "full", code: "storage_full" },
    { fault: "refused", code: "storage_refused" },
  ] as const
) {
  Deno.test(`a storage that is ${fault} ends the job at once, and the next backup goes on with what is stored`, async () => {
    await using database = await sample();
    await using backup = await partBackup(database.url);
    let stored = 0;
    const plan: FaultPlan = ({ method }) => method === "put" && ++stored > 5 ? fault : null;
    const first = await backup.begin();
    await backup.work(first, { storage: (storage) => faultyStorage(storage, plan) });
    assert.deepEqual(endOf(await backup.job(first)), { status: "failed", code });
    assert.equal(stored, 6);
    assert.deepEqual(await (await backup.repository()).listBackups(), { backups: [], damaged: [] });

    const second = await backup.begin();
    await backup.work(second);
    await backup.expectSaved(second);
    const { record } = await (await backup.repository()).readBackup(second);
    assert.ok(record.totals.newChunks < record.totals.chunks);
  });
}

Deno.test("a storage that fails for longer than it is asked again fails parts, which are done again", async () => {
  await using database = await sample();
  await using backup = await partBackup(database.url);
  let stored = 0;
  const plan: FaultPlan = ({ method }) => {
    if (method !== "put" || ++stored <= 2 || stored > 6) return null;
    return stored % 2 === 0 ? "error" : "lost-answer";
  };
  const jobId = await backup.begin();
  await backup.work(jobId, {
    storage: (storage) => faultyStorage(storage, plan),
    ...{ concurrency: 2, patienceMs: 60_000 },
  });
  assert.ok(stored > 6);
  await backup.expectSaved(jobId);
});

Deno.test("a storage that never comes back ends the job with its last error, after a bounded number of tries", async () => {
  await using database = await sample();
  await using backup = await partBackup(database.url);
  const jobId = await backup.begin({ maxAttempts: 3 });
  const gone: FaultPlan = ({ method }) => method === "put" ? "error" : null;
  for (let attempt = 1; attempt <= 4; attempt++) {
    await backup.work(jobId, { storage: (storage) => faultyStorage(storage, gone) });
    backup.advance(60_000);
  }
  const job = await backup.job(jobId);
  assert.deepEqual(endOf(job), { status: "failed", code: "storage_unreachable" });
  assert.deepEqual(await (await backup.repository()).listBackups(), { backups: [], damaged: [] });
});

Deno.test("a restore over a live database from a storage that fails half-way changes nothing", async () => {
  await using database = await sample();
  const storage = memoryStorage();
  await createRepository({ storage, key: null });
  const { backupId } = await backUp(database.url, storage);
  await runSql(database.url, "update notes set body = 'changed'; create table more ()");
  const before = await databaseState(database.url);
  let reads = 0;
  const failing = faultyStorage(storage, ({ method, name }) => {
    return method === "get" && name.startsWith("chunks/") && ++reads > 6 ? "refused" : null;
  });
  const restored = restoreDatabase({
    connect: () => connect({ url: database.url }),
    repository: await openRepository({ storage: failing, key: null }),
    backupId,
    request: { mode: "over" },
    clock: systemClock,
    writtenBy: "test",
  });
  assert.equal((await failure(restored)).code, "storage_refused");
  assert.ok(reads > 6);
  assert.deepEqual(await databaseState(database.url), before);
});

const noDisk = await whyNoTinyDisk();

Deno.test({
  name: `a local storage on a full disk says so and leaves nothing half-written${noDisk}`,
  ignore: noDisk !== "",
  async fn() {
    await using disk = await tinyDisk(2 << 20);
    await using database = await sample();
    const directory = `${disk.path}/backups`;
    const storage = localStorage(directory);
    await createRepository({ storage, key: null });
    const filler = `${disk.path}/filler`;
    await Deno.writeFile(filler, new Uint8Array(2_000_000));
    const error = await failure(backUp(database.url, storage));
    assert.equal(error.code, "storage_full");
    assert.deepEqual(await Array.fromAsync(Deno.readDir(`${directory}/.unfinished`)), []);
    assert.equal(await expectWhole(storage, database.url), 0);
    await Deno.remove(filler);
    await backUp(database.url, storage);
    assert.equal(await expectWhole(storage, database.url), 1);
  },
});
