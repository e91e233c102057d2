/**
 * A served process moves the rows of backups and restores with the help of threads, as the commands do, and goes on
 * without those that die.
 *
 * @module
 */
import assert from "node:assert/strict";
import { copierThreads } from "../../scripts/host/thread_copier.ts";
import { readerThreads } from "../../scripts/host/thread_reader.ts";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { createDeps, type CreateDepsOptions } from "../../supabase/functions/backup/create_deps.ts";
import { createApp } from "../../supabase/functions/backup/http/create_app.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { KEYS, post, startServiceUnderTest } from "../support/service.ts";
import { watchWorkers } from "../support/watched_workers.ts";

/** More than makes threads worth their start, in several parts; nothing is compressed in the server. */
const LARGE = `
  create table public.large (id int, body text);
  alter table public.large alter body set storage external;
  insert into public.large select i, repeat(md5(i::text), 100) from generate_series(1, 24000) i`;

/** Both read the same rows if they answer the same. */
const ROWS =
  "select count(*)::int as rows, sum(hashtext(body)::bigint * id)::text as sum from large";

/** What threads have done. */
interface Done {
  /** Ranges that they copied. */
  copied: number;
  /** Slices that they read. */
  read: number;
}

interface Host {
  /** Asks the process that has threads, and waits for the end of the job. */
  // deno-lint-ignore no-explicit-any -- tests look at answers field by field
  job(query: string, body?: unknown): Promise<any>;
  done: Done;
  /** What the rows of the source are, and of the database that is restored into. */
  rows(of: "source" | "target"): Promise<unknown>;
  /** A statement in the database that is restored into. */
  inTarget(sql: string): Promise<void>;
  /** By the process without threads: what a whole reading of the storage finds wrong. */
  problems(): Promise<unknown>;
}

/** A process with threads of each kind, two or as many as told, beside another one without, on one project with a large table. */
async function withHost(
  work: (host: Host) => Promise<void>,
  { threads = 2 } = {},
): Promise<void> {
  const it = await startServiceUnderTest();
  await using admin = await it.admin();
  await admin.execute("create database restored");
  const target = new URL(it.project.adminUrl);
  target.pathname = "/restored";
  const variables: Record<string, string | undefined> = {
    ...it.variables,
    RESTORE_TARGET: target.href,
  };
  const done: Done = { copied: 0, read: 0 };
  const deps = createDeps({
    environment: readEnvironment((name) => variables[name]),
    ...countedThreads(threads, done),
  });
  const query = async (url: string, sql: string) => {
    const session = await connect({ url });
    return await session.query(sql).finally(() => session.close());
  };
  try {
    assert.equal((await post(it.service, "init")).status, 200);
    await admin.execute(LARGE);
    await work({
      ...{ done },
      async job(query, body = {}) {
        const answer = await createApp(deps).fetch(
          new Request(`http://127.0.0.1/functions/v1/backup?action=${query}&wait=60`, {
            ...{ method: "POST", headers: { apikey: KEYS.secret }, body: JSON.stringify(body) },
          }),
        );
        const said = await answer.json();
        assert.equal(said.data?.status, "completed", JSON.stringify(said));
        return said.data;
      },
      rows: (of) => query(of === "source" ? it.project.adminUrl : target.href, ROWS),
      inTarget: async (sql) => void await query(target.href, sql),
      async problems() {
        const { body } = await post(it.service, "verify&wait=60", { level: "full" });
        assert.equal(body.data.status, "completed", JSON.stringify(body));
        return body.data.result.problems;
      },
    });
  } finally {
    await deps.idle();
    await deps.state.close();
    await it.stop();
  }
}

/** As `startService` has them; what they do is counted. */
function countedThreads(
  threads: number,
  done: Done,
): Pick<CreateDepsOptions, "openCopier" | "openReader"> {
  return {
    openCopier(access) {
      const { copier, leave } = copierThreads(threads)(access);
      const copy: typeof copier.copy = async (payload, options) => {
        const copied = await copier.copy(payload, options);
        if (copied !== null) done.copied++;
        return copied;
      };
      return { copier: { ...copier, copy }, leave };
    },
    openReader(access) {
      const { reader, leave } = readerThreads(threads)(access);
      const read: typeof reader.read = async function* (pieces, options) {
        for await (const slice of reader.read(pieces, options)) {
          done.read++;
          yield slice;
        }
      };
      return { reader: { read }, leave };
    },
  };
}

const RESTORE = { type: "database", backupId: "latest", targetDatabaseUrl: "env:RESTORE_TARGET" };

Deno.test("a served process copies rows in threads, and the backup holds them", () =>
  withHost(async ({ job, done, problems }) => {
    using workers = watchWorkers();
    const { result } = await job("backup-database");
    assert.equal(result.totals.rows >= 24000, true);
    assert.ok(done.copied > 1, `threads copied ${done.copied} parts`);
    assert.deepEqual(await problems(), []);
    assert.deepEqual(workers.started, ["copy_thread.ts", "copy_thread.ts"]);
    assert.equal(workers.alive.size, 0);
  }));

Deno.test("a served process restores rows that threads have read, into an empty database and over it", () =>
  withHost(async ({ job, done, rows, inTarget }) => {
    await job("backup-database");
    using workers = watchWorkers();
    await job("restore", { ...RESTORE, mode: "empty", target: "plain" });
    assert.ok(done.read > 1, `threads read ${done.read} slices`);
    assert.deepEqual(workers.started, ["read_thread.ts", "read_thread.ts"]);
    assert.equal(workers.alive.size, 0);
    assert.deepEqual(await rows("target"), await rows("source"));

    await inTarget("delete from large where id % 2 = 0");
    done.read = 0;
    await job("restore", {
      ...{ ...RESTORE, mode: "over", target: "plain", skipSafetyBackup: true },
      acceptHazards: ["no-safety-backup", "replaces-data"],
    });
    assert.ok(done.read > 1, `threads read ${done.read} slices`);
    assert.deepEqual(workers.started.length, 4);
    assert.equal(workers.alive.size, 0);
    assert.deepEqual(await rows("target"), await rows("source"));
  }));

Deno.test("a served process has rows read in threads to test a restore, too", () =>
  withHost(async ({ job, done }) => {
    await job("backup-database");
    using workers = watchWorkers();
    await job("restore", { type: "database", backupId: "test_backup" });
    assert.ok(done.read > 1, `threads read ${done.read} slices`);
    assert.equal(workers.started.length, 2);
    assert.equal(workers.alive.size, 0);
  }));

Deno.test("four threads copy different parts of a table at the same time", () =>
  withHost(async ({ job, done, problems }) => {
    using workers = watchWorkers({ atOnce: 4 });
    await job("backup-database");
    assert.equal(workers.started.length, 4);
    assert.equal(workers.together, 4);
    assert.ok(done.copied >= 4, `threads copied ${done.copied} parts`);
    assert.deepEqual(await problems(), []);
  }, { threads: 4 }));

const DIED_COPYING = "Uncaught Error: this thread was to die while it copies";
const DIED_READING = "Uncaught Error: this thread was to die while it reads";

for (const [who, most] of [["one of its threads dies", 1], ["all of them die", 2]] as const) {
  Deno.test(`a backup of a served process is whole when in the middle of rows ${who}`, () =>
    withHost(async ({ job, rows, problems }) => {
      {
        using workers = watchWorkers({ dying: { program: "./dying_copy_thread.ts", most } });
        await job("backup-database");
        assert.deepEqual(workers.died, Array(most).fill(DIED_COPYING));
        assert.equal(workers.started.length, 2);
        assert.equal(workers.alive.size, 0);
      }
      assert.deepEqual(await problems(), []);
      await job("restore", { ...RESTORE, mode: "empty", target: "plain" });
      assert.deepEqual(await rows("target"), await rows("source"));
    }));

  Deno.test(`a restore of a served process is whole when in the middle of rows ${who}`, () =>
    withHost(async ({ job, done, rows }) => {
      await job("backup-database");
      using workers = watchWorkers({ dying: { program: "./dying_read_thread.ts", most } });
      await job("restore", { ...RESTORE, mode: "empty", target: "plain" });
      assert.deepEqual(workers.died, Array(most).fill(DIED_READING));
      assert.equal(workers.alive.size, 0);
      assert.ok(done.read >= most, "those that died have handed over rows before");
      assert.deepEqual(await rows("target"), await rows("source"));
    }));
}
