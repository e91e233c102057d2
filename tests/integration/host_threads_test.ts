/**
 * Backups and restores in threads of a host.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ThreadPool } from "../../scripts/host/thread_pool.ts";
import { threadCopier } from "../../scripts/host/thread_copier.ts";
import { loadingThreads, threadLoader } from "../../scripts/host/thread_loader.ts";
import type { ThreadAccess } from "../../scripts/host/thread_messages.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { DataPart } from "../../supabase/functions/backup/core/model.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { DatabaseError } from "../../supabase/functions/backup/postgres/database_error.ts";
import {
  createRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import type {
  CopyRowsPayload,
  RowCopier,
} from "../../supabase/functions/backup/usecases/backup/copy_rows.ts";
import type { RowLoader } from "../../supabase/functions/backup/restore/mod.ts";
import { restoreDatabase } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

const LIMITS = { partBytes: 64 * 1024, maxPartBytes: 256 * 1024 };
const ROWS = `
  CREATE TABLE events (id bigint PRIMARY KEY, note text NOT NULL, made timestamptz);
  INSERT INTO events SELECT i, repeat(md5(i::text), 4), timestamptz '2024-01-01' + i * interval '1 minute'
    FROM generate_series(1, 8000) i;
  CREATE TABLE small AS SELECT i FROM generate_series(1, 10) i;
  SELECT lo_from_bytea(77, sha512('x'))`;

interface Place {
  url: string;
  newDatabase(): Promise<string>;
  repository: Repository;
  access: ThreadAccess;
}

/** A database with rows, an encrypted repository, and what threads need for both. */
async function withPlace(work: (place: Place) => Promise<void>): Promise<void> {
  const server = await testServer(17);
  const folder = await Deno.makeTempDir({ prefix: "host_threads_" });
  const names: string[] = [];
  const admin = await connect({ url: server.url() });
  const newDatabase = async () => {
    const name = `host_threads_${crypto.randomUUID().slice(0, 8)}`;
    await admin.execute(`CREATE DATABASE ${name}`);
    names.push(name);
    return server.url(name);
  };
  try {
    const url = await newDatabase();
    const session = await connect({ url });
    await session.execute(ROWS).finally(() => session.close());
    const key = toBase64(crypto.getRandomValues(new Uint8Array(32)));
    const repository = await createRepository({
      storage: localStorage(folder),
      key: new Secret(key),
    });
    const access = { databaseUrl: url, repositoryUrl: `file://${folder}`, key };
    await work({ url, newDatabase, repository, access });
  } finally {
    for (const name of names) await admin.execute(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.close();
    await Deno.remove(folder, { recursive: true });
  }
}

async function backup({ url, repository }: Place, copier?: RowCopier): Promise<DataPart[]> {
  const { backupId } = await backupDatabase({
    connect: () => connect({ url }),
    repository,
    clock: systemClock,
    writtenBy: "test",
    ...(copier === undefined ? {} : { copier }),
    request: { origin: "manual", dump: DUMP_OPTIONS, limits: LIMITS },
  });
  const { manifest } = await repository.readBackup(backupId);
  return await Array.fromAsync(repository.readLines<DataPart>(manifest.dataParts));
}

Deno.test("threads write the same parts as sessions of one thread, and load them", () =>
  withPlace(async (place) => {
    const pool = new ThreadPool({ kind: "copy", threads: 2, access: place.access });
    const copier = { ...threadCopier(pool), leastBytes: 0 };
    const inThreads = await backup(place, copier).finally(() => pool.close());
    assert.ok(inThreads.length > 10, "several parts");
    assert.deepEqual(await backup(place), inThreads);

    const target = await place.newDatabase();
    const loading = loadingThreads(3, { ...place.access, databaseUrl: target });
    assert.ok(loading !== null);
    const report = await restoreDatabase({
      connect: () => connect({ url: target }),
      repository: place.repository,
      loader: (role) => ({
        ...threadLoader(loading, { restore: { role, lockTimeoutMs: 5000, jobs: 2 } }),
        leastBytes: 0,
      }),
      backupId: "latest",
      request: { mode: "empty" },
      clock: systemClock,
      writtenBy: "test",
    }).finally(() => loading.close());
    assert.equal(report.rowsLoaded, 8011);
    assert.deepEqual(report.comparison?.differences, []);
    const session = await connect({ url: target });
    const [row] = await session.query("SELECT lo_get(77) = sha512('x') AS same")
      .finally(() => session.close());
    assert.equal(row?.same, true);
  }));

/** What a backup has a copier do first. */
async function firstPayload(place: Place): Promise<CopyRowsPayload> {
  let taken: CopyRowsPayload | undefined;
  const copier: RowCopier = {
    concurrency: 1,
    leastBytes: 0,
    copy(payload) {
      taken ??= payload;
      return Promise.reject(new BackupError("insufficient_privilege", "taken"));
    },
  };
  await assert.rejects(backup(place, copier), /taken/);
  return taken!;
}

Deno.test("errors of threads are what they were, and a thread is fit for more after one", () =>
  withPlace(async (place) => {
    const pool = new ThreadPool({ kind: "copy", threads: 1, access: place.access });
    const holder = await connect({ url: place.url });
    try {
      await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
      const [row] = await holder.query("SELECT pg_export_snapshot() AS id");
      const snapshotId: string = row!.id;
      const good = await firstPayload(place);
      const [name] = Object.keys(good.tables);
      const facts = good.tables[name!]!;
      const gone = { ...facts, table: { ...facts.table!, sqlName: '"public"."gone"' } };
      const bad = { ...good, tables: { ...good.tables, [name!]: gone } };
      await assert.rejects(
        pool.run({ kind: "copy", snapshotId, payload: bad }),
        (error) => {
          assert.ok(error instanceof DatabaseError, String(error));
          assert.deepEqual([error.code, error.sqlState], ["database_error", "42P01"]);
          assert.match(error.message, /gone/);
          return true;
        },
      );
      const done = await pool.run({ kind: "copy", snapshotId, payload: good }) as {
        bytes: number;
      };
      assert.ok(done.bytes > 0);
      const never = { kind: "copy", snapshotId: "00000000-00000000-1", payload: good } as const;
      await assert.rejects(pool.run(never), (error) => error instanceof BackupError);
    } finally {
      await holder.close();
      await pool.close();
    }
  }));

/** Access to a repository that is out of reach until `arrive`. */
async function lateRepository(
  { access }: Place,
): Promise<AsyncDisposable & { access: ThreadAccess; arrive(): Promise<void> }> {
  const away = await Deno.makeTempDir({ prefix: "host_threads_late_" });
  return {
    access: { ...access, repositoryUrl: `file://${away}/late` },
    arrive: () => Deno.symlink(new URL(access.repositoryUrl).pathname, `${away}/late`),
    [Symbol.asyncDispose]: () => Deno.remove(away, { recursive: true }),
  };
}

Deno.test("a thread that could not reach the repository copies the next rows it is given once it can", () =>
  withPlace(async (place) => {
    await using late = await lateRepository(place);
    const pool = new ThreadPool({ kind: "copy", threads: 1, access: late.access });
    const inThread = threadCopier(pool);
    let arrived: Promise<void> | undefined;
    const failAndArrive = async (...asked: Parameters<RowCopier["copy"]>) => {
      await assert.rejects(inThread.copy(...asked), { code: "repository_missing" });
      await late.arrive();
    };
    const copier: RowCopier = {
      ...inThread,
      leastBytes: 0,
      async copy(payload, options) {
        await (arrived ??= failAndArrive(payload, options));
        return await inThread.copy(payload, options);
      },
    };
    const inThreads = await backup(place, copier).finally(() => pool.close());
    assert.ok(arrived !== undefined);
    assert.deepEqual(await backup(place), inThreads);
  }));

Deno.test("a thread that could not reach the repository, or then the database, loads the next rows once it can", () =>
  withPlace(async (place) => {
    await backup(place);
    await using late = await lateRepository(place);
    const target = await place.newDatabase();
    const role = `late_${crypto.randomUUID().slice(0, 8)}`;
    const databaseUrl = Object.assign(new URL(target), { username: role, password: role }).href;
    const pool = new ThreadPool({
      kind: "load",
      threads: 1,
      access: { ...late.access, databaseUrl },
    });
    const admin = await connect({ url: target });
    let arrived: Promise<void> | undefined;
    const failAndArrive = async (load: () => Promise<void>) => {
      await assert.rejects(load(), { code: "repository_missing" });
      await late.arrive();
      await assert.rejects(load(), { code: "database_unreachable" });
      await admin.execute(`CREATE ROLE ${role} SUPERUSER LOGIN PASSWORD '${role}'`);
    };
    const lateLoader = (inThread: RowLoader): RowLoader => ({
      ...inThread,
      leastBytes: 0,
      async load(item) {
        const load = () => inThread.load(item);
        await (arrived ??= failAndArrive(load));
        await load();
      },
    });
    try {
      const report = await restoreDatabase({
        connect: () => connect({ url: target }),
        repository: place.repository,
        loader: (role) =>
          lateLoader(threadLoader(pool, { restore: { role, lockTimeoutMs: 5000, jobs: 2 } })),
        backupId: "latest",
        request: { mode: "empty" },
        clock: systemClock,
        writtenBy: "test",
      });
      assert.equal(report.rowsLoaded, 8011);
      assert.ok(arrived !== undefined);
    } finally {
      await pool.close();
      await admin.execute(`DROP ROLE IF EXISTS ${role}`);
      await admin.close();
    }
  }));

Deno.test("a task that is stopped fails with the reason, and closing fails what is still done", () =>
  withPlace(async (place) => {
    const pool = new ThreadPool({ kind: "copy", threads: 1, access: place.access });
    const payload = await firstPayload(place);
    const task = { kind: "copy", snapshotId: "00000000-00000000-1", payload } as const;
    const stop = new AbortController();
    const stopped = pool.run(task, { signal: stop.signal });
    stop.abort(new BackupError("cancelled", "enough"));
    await assert.rejects(stopped, { code: "cancelled" });
    const job = countedListeners();
    const failed = pool.run(task, job);
    assert.equal(job.listeners.size, 1);
    await assert.rejects(failed, (error) => error instanceof BackupError);
    assert.equal(job.listeners.size, 0, "a job's signal outlives its tasks");
    const cut = pool.run(task, job);
    cut.catch(() => {});
    await pool.close();
    await assert.rejects(cut, (error) => error instanceof BackupError);
    assert.equal(job.listeners.size, 0);
    await assert.rejects(pool.run(task), { code: "internal" });
  }));

Deno.test("a thread starts when a task comes that none is free for, up to so many, and none once they are closed", () =>
  withPlace(async (place) => {
    const pool = new ThreadPool({ kind: "copy", threads: 2, access: place.access });
    const payload = await firstPayload(place);
    const [holder, observer] = [await connect(place), await connect(place)];
    const connections = async () => {
      const [row] = await observer.query(
        `SELECT count(*) AS connections FROM pg_stat_activity
          WHERE datname = current_database() AND backend_type = 'client backend'
            AND pid NOT IN (pg_backend_pid(), ${holder.backendPid})`,
      );
      return Number(row?.connections);
    };
    try {
      await holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ");
      const [row] = await holder.query("SELECT pg_export_snapshot() AS id");
      const task = { kind: "copy", snapshotId: String(row?.id), payload } as const;
      pool.start();
      pool.start();
      await pool.run(task);
      await pool.run(task);
      assert.equal(await connections(), 1, "the first is free again");
      await Promise.all(Array.from({ length: 5 }, () => pool.run(task)));
      assert.equal(await connections(), 2);
      await pool.close();
      await assert.rejects(pool.run(task), { code: "internal" });
    } finally {
      await pool.close();
      await Promise.all([holder.close(), observer.close()]);
    }
  }));

/** A signal that knows who listens to it. */
function countedListeners(): { signal: AbortSignal; listeners: Set<unknown> } {
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  const [add, remove] = [
    signal.addEventListener.bind(signal),
    signal.removeEventListener.bind(signal),
  ];
  signal.addEventListener = (
    type: string,
    listener: EventListener,
    options?: AddEventListenerOptions,
  ) => {
    listeners.add(listener);
    add(type, listener, options);
  };
  signal.removeEventListener = (type: string, listener: EventListener) => {
    listeners.delete(listener);
    remove(type, listener);
  };
  return { signal, listeners };
}
