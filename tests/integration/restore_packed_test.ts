/**
 * Restores of backups of which most is packed, as it is of those with very many entries. Here every entry is.
 *
 * @module
 */
import assert from "node:assert/strict";
import { loadingThreads, threadLoader } from "../../scripts/host/thread_loader.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { EntryPacker } from "../../supabase/functions/backup/core/packed_entries.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import {
  restoreDatabase,
  type RestoreRequest,
} from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { CONNECTED_SCHEMA } from "../support/connected_schema.ts";
import { DUMP_OPTIONS, type MemoryBackup } from "../support/memory_backup.ts";
import { PartsOfRestore } from "../support/parts_of_restore.ts";
import { differences, pgDump, statementsOf } from "../support/pg_dump.ts";
import { backupWithoutRoles, restoreBackup } from "../support/restore_backup.ts";
import {
  runSql,
  type TemporaryDatabase,
  temporaryDatabase,
} from "../support/temporary_database.ts";

/** Packs whatever there is. */
const PACKED = { entriesAtOnce: 0 };

/** pg_dump cuts a circle of views wherever it comes upon it first, so without this one. */
const ROWS = `
  drop view three.first cascade;
  insert into one.t3 (other) select null from generate_series(1, 100);
  insert into two.t1 (note) select 'row ' || i from generate_series(1, 500) i;
  insert into one.child (id, note, more, most) select i, 'child', 'more', i from generate_series(1, 9) i;
  insert into one.t9 (note) select 'nine' from generate_series(1, 3);
  insert into three.parted select 1 + i % 2, (select t from one.t9 t where id = 1)
    from generate_series(1, 20) i;
  insert into two.days select i from generate_series(1, 14) i;
  insert into three.of_day select i from generate_series(1, 14) i;
  select lo_from_bytea(4712, sha512('packed'));
  refresh materialized view two.m1; refresh materialized view one.m2;`;

async function source(): Promise<TemporaryDatabase> {
  const database = await temporaryDatabase("packed_source");
  await runSql(database.url, CONNECTED_SCHEMA + ROWS);
  return database;
}

/** How many entries are packed from now on. */
function countPacked(): { count: number } & Disposable {
  const real = EntryPacker.prototype.entry;
  const counted = { count: 0, [Symbol.dispose]: () => void (EntryPacker.prototype.entry = real) };
  EntryPacker.prototype.entry = function (entry) {
    counted.count++;
    return real.call(this, entry);
  };
  return counted;
}

async function assertSame(source: TemporaryDatabase, target: TemporaryDatabase): Promise<void> {
  const dump = async ({ url, name }: TemporaryDatabase) =>
    statementsOf(await pgDump(url, { major: 17 }), name);
  const dumped = await dump(source);
  assert.ok(dumped.size > 500, `${dumped.size} statements`);
  assert.equal(differences(dumped, await dump(target)), "");
}

Deno.test("a packed backup is restored whole in parts, each by a worker that knows nothing of the others", async () => {
  await using from = await source();
  await using target = await temporaryDatabase("packed_target");
  const backup = await backupWithoutRoles(from.url);
  using packed = countPacked();
  const restore = new PartsOfRestore(backup, target.url, PACKED);
  await restore.workUntil();
  assert.equal(packed.count, backup.facts.entries.length);
  assert.deepEqual(restore.report?.comparison?.differences, []);
  await assertSame(from, target);
});

Deno.test("a packed backup is restored whole by one worker that keeps what it has read, parts side by side", async () => {
  await using from = await source();
  await using target = await temporaryDatabase("packed_target");
  const backup = await backupWithoutRoles(from.url);
  using packed = countPacked();
  const restore = new PartsOfRestore(backup, target.url, PACKED);
  await runInProcess(restore.define(), {
    job: {
      ...{ jobId: restore.jobId, kind: "restore", type: "database", backupId: null },
      ...{ reason: null, createdBy: "test" },
    },
    ...{ clock: systemClock, concurrency: 3 },
  });
  assert.equal(packed.count, backup.facts.entries.length);
  await assertSame(from, target);
});

Deno.test("a packed backup is restored whole as the command does it, by threads that load the rows", async () => {
  await using from = await source();
  await using target = await temporaryDatabase("packed_target");
  const folder = await Deno.makeTempDir({ prefix: "restore_packed_" });
  try {
    const key = toBase64(crypto.getRandomValues(new Uint8Array(32)));
    const repository = await createRepository({
      storage: localStorage(folder),
      key: new Secret(key),
    });
    await backupDatabase({
      ...{ connect: () => connect({ url: from.url }), repository, clock: systemClock },
      ...{ request: { origin: "manual", dump: DUMP_OPTIONS }, writtenBy: "test" },
    });
    const { manifest } = await repository.readBackup("latest");
    const access = { databaseUrl: target.url, repositoryUrl: `file://${folder}`, key };
    const loading = loadingThreads(3, access)!;
    using packed = countPacked();
    const report = await restoreDatabase({
      ...{ connect: () => connect({ url: target.url }), repository, ...PACKED },
      loader: (role) => ({
        ...threadLoader(loading, { restore: { role, lockTimeoutMs: 5000, jobs: 3 } }),
        leastBytes: 0,
      }),
      ...{ backupId: "latest", request: { jobs: 3 }, clock: systemClock, writtenBy: "test" },
    }).finally(() => loading.close());
    assert.equal(packed.count, manifest.entries.lines);
    assert.deepEqual(report.comparison?.differences, []);
    await assertSame(from, target);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** What is gone and what is other, of definitions and of rows. */
const DAMAGE = `
  drop view one.v1 cascade;
  drop function three.f7;
  alter table one.t6 drop column note;
  alter table two.t7 add column extra int;
  update two.t1 set note = 'changed' where id < 100;
  delete from one.child;
  drop table three.of_day;
  comment on constraint c3 on one.t3 is 'other';
  grant all on two.uses to public;
  alter function three.f9 set search_path = 'one';
  select lo_unlink(4712)`;

/** Damages a copy of the source, restores the backup over it, which takes so many readings, and compares all of both. */
async function restoreOver(
  readings: number,
  restore: (backup: MemoryBackup, url: string) => Promise<string | undefined>,
): Promise<void> {
  await using from = await source();
  await using target = await temporaryDatabase("packed_target");
  const backup = await backupWithoutRoles(from.url);
  await restoreBackup(backup, target.url);
  await runSql(target.url, DAMAGE);
  using packed = countPacked();
  assert.equal(await restore(backup, target.url), "over");
  assert.equal(packed.count, readings * backup.facts.entries.length);
  await assertSame(from, target);
}

const OVER: RestoreRequest = {
  mode: "over",
  acceptHazards: ["no-safety-backup", "replaces-data", "replaces-object"],
};

Deno.test("a packed backup is restored over a live database, by what differs", () =>
  restoreOver(
    1,
    async (backup, url) => (await restoreBackup(backup, url, { ...OVER, given: PACKED })).plan.mode,
  ));

Deno.test("a packed backup is restored over a live database by a job in parts, too", () =>
  // By the part that plans, and by the one that does all of it.
  restoreOver(2, async (backup, url) => {
    const request = { ...OVER, skipSafetyBackup: true };
    const restore = new PartsOfRestore(backup, url, { ...PACKED, request });
    await restore.workUntil();
    return restore.report?.plan.mode;
  }));
