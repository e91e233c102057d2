/**
 * Programs that are killed, and servers that crash, at random moments and at named points.
 *
 * `KILL_TEST_ROUNDS` is the number of random moments of a backup and of a restore, 6 when absent.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { type EmbeddedPostgres, startPostgres } from "../../scripts/embedded_postgres.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  openRepository,
  type Repository,
  repositoryExists,
} from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { COMMAND_KEY, type RunningCommand, startCommand } from "../support/command.ts";
import { backupState, type DatabaseState, databaseState } from "../support/database_state.ts";

const ROUNDS = Number(Deno.env.get("KILL_TEST_ROUNDS") ?? 6);

/**
 * Whoever evaluates `gate(n, …)` waits while the test holds gate n: 1 in the COPY of `things`, 2 in a
 * CREATE INDEX, 3 in a REFRESH, which comes after all rows and before the COMMIT.
 */
const SAMPLE = `
  create function gate(number int, value int) returns int language plpgsql immutable as
    $$ begin perform pg_advisory_xact_lock_shared(7001, number); return value; end $$;
  create table owners (id int primary key, name text);
  create table things (id int primary key, owner int references owners, note text,
                       check (public.gate(1, id) > 0));
  create index things_note on things (note);
  insert into owners select i, 'o' || i from generate_series(1, 20) i;
  insert into things select i, 1 + i % 20, repeat(md5(i::text), 8) from generate_series(1, 2000) i;
  create index things_gated on things (public.gate(2, id));
  create materialized view counted as select count(public.gate(3, id)) from things;
  create sequence counter; select setval('counter', 5);
`;

/** What has happened to the live database since its backup. */
const DAMAGE = `
  delete from things where id > 50; update owners set name = 'x';
  alter table things drop constraint things_owner_fkey; drop index things_gated, things_note;
  comment on table things is 'damaged'; select setval('counter', 9);
`;

/** The points of a restore at which it is caught, and what the live database holds afterwards. */
const POINTS = [
  { point: "inside COPY", gate: 1, outcome: "old" },
  { point: "inside CREATE INDEX", gate: 2, outcome: "old" },
  { point: "after COPY, before COMMIT", gate: 3, outcome: "old" },
  { point: "after COMMIT, before the answer", gate: null, outcome: "new" },
] as const;

/** A server to crash, with a database `live`, and the folder of a repository. */
class Place {
  readonly #server: EmbeddedPostgres;
  readonly directory: string;
  readonly url: string;

  private constructor(server: EmbeddedPostgres, directory: string) {
    this.#server = server;
    this.directory = directory;
    this.url = server.url("live");
  }

  static async make(): Promise<Place> {
    // Sessions that ask for synchronous_commit = on wait in COMMIT for a standby that never comes,
    // after their commit record is on disk.
    const settings = { synchronous_standby_names: "nobody", synchronous_commit: "local" };
    const server = await startPostgres({ major: 17, settings });
    const place = new Place(server, await Deno.makeTempDir());
    await place.run("create database live", server.url());
    await place.run(SAMPLE);
    return place;
  }

  async run(sql: string, url = this.url): Promise<void> {
    await using session = await opened(url);
    await session.execute(sql);
  }

  start(program: "backup" | "restore", url = this.url): RunningCommand {
    const common = ["--database-url", url, "--repository", `file://${this.directory}`];
    return startCommand(program, [...common, ...(program === "restore" ? this.#which() : [])]);
  }

  /** The first backup, not the safety backups that came later. */
  backupId = "latest";
  #which(): string[] {
    return ["--mode", "over", "--backup", this.backupId];
  }

  /** Runs a program to its end; how long it took from its first step on, in ms. */
  async complete(program: "backup" | "restore"): Promise<number> {
    const command = this.start(program);
    await command.begun;
    const begun = performance.now();
    const { code, said } = await command.ended;
    assert.equal(code, 0, said);
    return performance.now() - begun;
  }

  /** Waits until the server has noticed that its clients are gone. */
  async settle(): Promise<void> {
    await using session = await opened(this.url);
    await waitFor(
      session,
      `not exists (select from pg_stat_activity where datname = 'live' and pid <> pg_backend_pid())`,
    );
  }

  async crash(): Promise<void> {
    await this.#server.stop("immediate");
  }

  async recover(): Promise<void> {
    await this.#server.start();
  }

  async repository(): Promise<Repository | null> {
    const storage = localStorage(this.directory);
    if (!await repositoryExists(storage)) return null;
    return await openRepository({ storage, key: new Secret(COMMAND_KEY) });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await Deno.remove(this.directory, { recursive: true });
  }
}

async function opened(url: string): Promise<Session & AsyncDisposable> {
  const session = await connect({ url });
  return Object.assign(session, { [Symbol.asyncDispose]: () => session.close() });
}

/** Asks the server until the condition holds; the pause is the server's, to leave it some air. */
async function waitFor(session: Session, condition: string, hasEnded = () => false) {
  for (;;) {
    const [row] = await session.query(`select ${condition} as yes, pg_sleep(0.01)`);
    if (row?.yes) return;
    assert.ok(!hasEnded(), `the program ended before ${condition}`);
  }
}

/** Every listed backup is whole to the last byte, and holds this state if one is given. */
async function expectWhole(repository: Repository | null, state?: DatabaseState): Promise<number> {
  if (repository === null) return 0;
  const { backups, damaged } = await repository.listBackups();
  assert.deepEqual(damaged, []);
  assert.deepEqual((await repository.verify({ level: "full" })).problems, []);
  if (state !== undefined) {
    for (const { backupId } of backups) {
      assert.deepEqual(await backupState(repository, backupId), state);
    }
  }
  return backups.length;
}

/** A random moment has to be waited for: nothing else tells it. */
async function after(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
}

Deno.test("backups killed at random moments leave nothing that is listed and incomplete", async () => {
  await using place = await Place.make();
  const state = await databaseState(place.url);
  const took = await place.complete("backup");
  let complete = await expectWhole(await place.repository(), state);
  assert.equal(complete, 1);
  for (let round = 0; round < ROUNDS; round++) {
    // Something new to store each time, so that there is something to cut.
    await place.run("update things set note = reverse(note) || id");
    const command = place.start("backup");
    await command.begun;
    await after(Math.random() * took);
    command.kill();
    const { code, killed, said } = await command.ended;
    assert.ok(code === 0 || killed, said);
    const listed = await expectWhole(await place.repository());
    // Killed after the record was stored, it is complete and could not say so.
    assert.ok(listed === complete + 1 || code !== 0 && listed === complete, said);
    complete = listed;
  }
  await place.complete("backup");
  assert.equal(await expectWhole(await place.repository()), complete + 1);
});

Deno.test("a backup whose server crashes fails by name, and the next one succeeds", async () => {
  await using place = await Place.make();
  const holder = await connect({ url: place.url });
  await holder.execute("begin; lock table things in access exclusive mode");
  const command = place.start("backup");
  let hasEnded = false;
  command.ended.finally(() => hasEnded = true);
  await waitFor(holder, "exists (select from pg_locks where not granted)", () => hasEnded);
  await place.crash();
  const { code, said } = await command.ended;
  assert.equal(code, 1, said);
  await holder.close();
  await place.recover();
  assert.equal(await expectWhole(await place.repository()), 0);
  await place.complete("backup");
  assert.equal(await expectWhole(await place.repository(), await databaseState(place.url)), 1);
});

/** A live database that differs from its backup, and both states. */
async function damagedPlace() {
  const place = await Place.make();
  const restored = await databaseState(place.url);
  await place.complete("backup");
  const { backups } = await (await place.repository())!.listBackups();
  place.backupId = backups[0]!.backupId;
  await place.run(DAMAGE);
  const damaged = await databaseState(place.url);
  assert.notDeepEqual(damaged, restored);
  return { place, restored, damaged };
}

Deno.test("restores killed at random moments leave the old database or the new one", async () => {
  const { place, restored, damaged } = await damagedPlace();
  await using _ = place;
  const took = await place.complete("restore");
  assert.deepEqual(await databaseState(place.url), restored);
  for (let round = 0; round < ROUNDS; round++) {
    if (isDeepStrictEqual(await databaseState(place.url), restored)) await place.run(DAMAGE);
    const command = place.start("restore");
    await command.begun;
    await after(Math.random() * took);
    command.kill();
    const { code, killed, said } = await command.ended;
    assert.ok(code === 0 || killed, said);
    await place.settle();
    const now = await databaseState(place.url);
    if (code === 0 || !isDeepStrictEqual(now, damaged)) assert.deepEqual(now, restored, said);
    await expectWhole(await place.repository());
  }
  await place.complete("restore");
  assert.deepEqual(await databaseState(place.url), restored);
});

/** Starts a restore and comes back when it stands at the point; `release` lets the server go on. */
async function catchRestore(place: Place, gate: number | null) {
  const holder = await connect({ url: place.url });
  if (gate !== null) await holder.execute(`select pg_advisory_lock(7001, ${gate})`);
  const url = gate === null ? `${place.url}?options=-c%20synchronous_commit%3Don` : place.url;
  const command = place.start("restore", url);
  let hasEnded = false;
  command.ended.finally(() => hasEnded = true);
  const caught = gate === null
    ? "exists (select from pg_stat_activity where wait_event = 'SyncRep')"
    : `exists (select from pg_locks where locktype = 'advisory' and not granted)`;
  await waitFor(holder, caught, () => hasEnded);
  const release = async () => {
    if (gate === null) {
      await holder.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
      );
    }
    await holder.close();
  };
  return { command, release, holder };
}

Deno.test("restores killed or crashed at named points leave the old database or the new one", async (test) => {
  const { place, restored, damaged } = await damagedPlace();
  await using _ = place;
  for (const { point, gate, outcome } of POINTS) {
    const expected = outcome === "new" ? restored : damaged;
    await test.step(`killed ${point}: the ${outcome} one`, async () => {
      const { command, release } = await catchRestore(place, gate);
      command.kill();
      assert.ok((await command.ended).killed);
      await release();
      await place.settle();
      assert.deepEqual(await databaseState(place.url), expected);
      await expectWhole(await place.repository());
    });
    if (outcome === "new") await place.run(DAMAGE);
    await test.step(`the server crashed ${point}: the ${outcome} one`, async () => {
      const { command, holder } = await catchRestore(place, gate);
      await place.crash();
      const { code, said } = await command.ended;
      await holder.close();
      assert.equal(code, 1, said);
      assert.match(said, gate === null ? /Cannot tell whether/ : /Cannot .*connection/);
      await place.recover();
      assert.deepEqual(await databaseState(place.url), expected);
      await expectWhole(await place.repository());
    });
  }
  await place.run(DAMAGE);
  await place.complete("restore");
  assert.deepEqual(await databaseState(place.url), restored);
});
