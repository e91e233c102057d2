/**
 * Workers of a backup that die at random moments: at any call to storage, tables or database, before or
 * after it has done its work. Whatever is listed is whole, and the next worker goes on.
 *
 * `KILL_TEST_WORKERS` is the number of deaths, 20 when absent; `KILL_TEST_SEED` repeats a run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { isFinished } from "../../supabase/functions/backup/core/job.ts";
import { sessionHolder } from "../../supabase/functions/backup/dump/mod.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { endOf, partBackup, type SpoiltWorker } from "../support/part_backup.ts";
import { randomFrom } from "../support/random_from.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const DEATHS = Number(Deno.env.get("KILL_TEST_WORKERS") ?? 20);
const SEED = Number(Deno.env.get("KILL_TEST_SEED") ?? 20260725);

const SAMPLE = `
  create table notes (id int primary key, body text);
  insert into notes select i, repeat(md5(i::text), 30) from generate_series(1, 500) i;
  create table marks (note int references notes, at timestamptz);
  insert into marks select i, to_timestamp(i) from generate_series(1, 500) i;
`;

/** Calls of one worker, rows included, that come before its death at most; the longest part needs about 150. */
const LONGEST_LIFE = 200;

/** Ways in which a job may end whose workers die all the time; anything else is a defect. */
const CLEAR_ENDS = ["interrupted", "over_budget", "snapshot_lost"];

/** A worker that dies at its n-th call. */
class Mortal {
  readonly #url: string;
  readonly #dice: () => number;
  readonly #sessions = new Set<Session>();
  #left: number;

  constructor(url: string, { life, dice }: { life: number; dice: () => number }) {
    this.#url = url;
    this.#left = life;
    this.#dice = dice;
  }

  get isDead(): boolean {
    return this.#left <= 0;
  }

  /** Does a call; at the end of this life it dies before it, or after it with the answer lost. */
  async call<T>(run: () => Promise<T>): Promise<T> {
    if (this.isDead) throw killed();
    this.#left--;
    if (!this.isDead) return await run();
    if (this.#dice() < 0.5) await run().catch(() => {});
    await this.#die();
    throw killed();
  }

  /** What the world hears of a death: its connections are gone. */
  async #die(): Promise<void> {
    const admin = await connect({ url: this.#url });
    for (const { backendPid } of this.#sessions) {
      await admin.query("select pg_catalog.pg_terminate_backend($1, 5000)", [backendPid]);
    }
    await admin.close();
  }

  /** Connections that were opened in its last moment, and that nobody got. */
  async bury(): Promise<void> {
    await Promise.all([...this.#sessions].map((session) => session.close()));
  }

  async open(): Promise<Session> {
    return await this.call(async () => {
      const session = await connect({ url: this.#url });
      this.#sessions.add(session);
      return this.#mortal(session, {
        methods: ["query", "execute", "copyOut", "copyOutEach"],
        onData: true,
      });
    });
  }

  store(tables: PartStore): PartStore {
    return this.#mortal(tables, { methods: ["claim", "complete", "fail", "release", "waiting"] });
  }

  storage(storage: Storage): Storage {
    return this.#mortal(storage, { methods: ["put", "get", "head"] });
  }

  /** Some methods as calls of this life; callbacks that take rows too. */
  #mortal<T extends object>(
    target: T,
    { methods, onData = false }: { methods: readonly (keyof T)[]; onData?: boolean },
  ): T {
    return new Proxy(target, {
      get: (inner, name) => {
        const value = Reflect.get(inner, name, inner);
        if (typeof value !== "function") return value;
        if (!methods.includes(name as keyof T)) return value.bind(inner);
        return (...given: unknown[]) => {
          const take = given[1];
          if (onData && typeof take === "function") {
            given[1] = (slice: Uint8Array) => this.call(async () => await take(slice));
          }
          return this.call(() => value.apply(inner, given));
        };
      },
    });
  }
}

function killed(): BackupError {
  return new BackupError("internal", "Cannot go on: killed by the test");
}

Deno.test(`a backup comes through ${DEATHS} deaths of its workers (seed ${SEED})`, async () => {
  const dice = randomFrom(SEED);
  await using database = await temporaryDatabase("t_kills");
  const session = await connect({ url: database.url });
  await session.execute(SAMPLE);
  await using backup = await partBackup(database.url);
  const ends: string[] = [];
  for (let deaths = 0; deaths < DEATHS;) {
    // Something new to store each time.
    await session.execute("update notes set body = reverse(body) || id where id % 3 = 0");
    const jobId = await backup.begin({ maxAttempts: 12, maxRounds: 12 });
    while (!isFinished(await backup.job(jobId))) {
      const life = deaths < DEATHS ? 1 + Math.floor(dice() * LONGEST_LIFE) : Infinity;
      const worker = new Mortal(database.url, { life, dice });
      const spoilt: SpoiltWorker = {
        store: (tables) => worker.store(tables),
        storage: (storage) => worker.storage(storage),
        open: () => worker.open(),
        concurrency: 1 + Math.floor(dice() * 2),
        onError: () => {},
      };
      // Now and then the moment is held by the worker itself, and dies with it.
      if (dice() < 0.25) spoilt.holder = sessionHolder({ connect: spoilt.open! });
      await backup.work(jobId, spoilt).catch((error) => assert.ok(worker.isDead, String(error)));
      await worker.bury();
      if (worker.isDead) deaths++;
      backup.advance(120_000);
      const { damaged } = await (await backup.repository()).listBackups();
      assert.deepEqual(damaged, []);
    }
    const { status, code } = endOf(await backup.job(jobId));
    ends.push(code ?? status);
    if (status === "completed") await backup.expectSaved(jobId);
    else assert.ok(code !== null && CLEAR_ENDS.includes(code), `${status} ${code}`);
  }
  await session.close();
  assert.ok(ends.includes("completed"), ends.join());
  const last = await backup.begin();
  await backup.work(last);
  await backup.expectSaved(last);
  const repository = await backup.repository();
  assert.deepEqual((await repository.verify({ level: "full" })).problems, []);
});
