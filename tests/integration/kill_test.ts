/**
 * Programs that are killed, and servers that crash, at random moments and at named points.
 *
 * `KILL_TEST_ROUNDS` is the number of random moments of a backup and of a restore, 5 when absent.
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
import { backupState, databaseState } from "../support/database_state.ts";

const ROUNDS = Number(Deno.env.get("KILL_TEST_ROUNDS") ?? 5);

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
  /** What is restored: not the safety backups that come later. */
  backupId = "latest";

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
    const over = ["--mode", "over", "--backup", this.backupId];
    return startCommand(program, [...common, ...(program === "restore" ? over : [])]);
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
    await waitUntil(
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
async function waitUntil(session: Session, condition: string, command?: RunningCommand) {
  let said: string | undefined;
  command?.ended.then((end) => said = end.said);
  for (;;) {
    const [row] = await session.query(`select ${condition} as yes, pg_sleep(0.01)`);
    if (row?.yes) return;
    assert.equal(said, undefined, `the program ended before ${condition}`);
  }
}

/** Every listed backup is whole; how many there are. */
async function expectWhole(place: Place, level: "quick" | "full" = "quick"): Promise<number> {
  const repository = await place.repository();
  if (repository === null) return 0;
  const { backups, damaged } = await repository.listBackups();
  assert.deepEqual(damaged, []);
  assert.deepEqual((await repository.verify({ level })).problems, []);
  return backups.length;
}

/** The newest backup holds the database as it is. */
async function expectSaved(place: Place): Promise<void> {
  const repository = await place.repository();
  assert.ok(repository !== null);
  assert.deepEqual(await backupState(repository, "latest"), await databaseState(place.url));
}

/** Kills a program at a random moment between its first step and its usual end. */
async function killSomewhere(place: Place, program: "backup" | "restore", took: number) {
  const command = place.start(program);
  await command.begun;
  await new Promise((resolve) => setTimeout(resolve, Math.random() * took));
  command.kill();
  const { code, killed, said } = await command.ended;
  assert.ok(code === 0 || killed, said);
  return { finished: code === 0, said };
}

Deno.test("backups that are cut leave nothing that is listed and incomplete", async (test) => {
  await using place = await Place.make();
  let listed = 0;
  await test.step("the server crashed while the backup waited for a lock", async () => {
    const holder = await connect({ url: place.url });
    await holder.execute("begin; lock table things in access exclusive mode");
    const command = place.start("backup");
    await waitUntil(holder, "exists (select from pg_locks where not granted)", command);
    await place.crash();
    const { code, said } = await command.ended;
    await holder.close();
    assert.equal(code, 1, said);
    assert.match(said, /Cannot .*connection/);
    await place.recover();
    assert.equal(await expectWhole(place), 0);
  });
  await test.step("killed at its first step, with no repository yet", async () => {
    const command = place.start("backup");
    await command.begun;
    command.kill();
    await command.ended;
    listed = await expectWhole(place);
  });
  const took = await place.complete("backup");
  await expectSaved(place);
  listed++;
  assert.equal(await expectWhole(place, "full"), listed);
  for (let round = 1; round <= ROUNDS; round++) {
    await test.step(`killed at a random moment, ${round} of ${ROUNDS}`, async () => {
      // Something new to store each time, so that there is something to cut.
      await place.run("update things set note = reverse(note) || id");
      const { finished, said } = await killSomewhere(place, "backup", took);
      const now = await expectWhole(place);
      // Killed after its record was stored, it is complete and could not say so.
      assert.ok(now === listed + 1 || !finished && now === listed, said);
      listed = now;
    });
  }
  await place.complete("backup");
  await expectSaved(place);
  assert.equal(await expectWhole(place, "full"), listed + 1);
});

/** Starts a restore and comes back when it stands at the gate; `release` lets the server go on. */
async function catchRestore(place: Place, gate: number | null) {
  const holder = await connect({ url: place.url });
  if (gate !== null) await holder.execute(`select pg_advisory_lock(7001, ${gate})`);
  const url = gate === null ? `${place.url}?options=-c%20synchronous_commit%3Don` : place.url;
  const command = place.start("restore", url);
  const caught = gate === null
    ? "exists (select from pg_stat_activity where wait_event = 'SyncRep')"
    : "exists (select from pg_locks where locktype = 'advisory' and not granted)";
  await waitUntil(holder, caught, command);
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

Deno.test("restores that are cut leave the old database or the new one", async (test) => {
  await using place = await Place.make();
  const restored = await databaseState(place.url);
  await place.complete("backup");
  place.backupId = (await (await place.repository())!.listBackups()).backups[0]!.backupId;
  await place.run(DAMAGE);
  const damaged = await databaseState(place.url);
  assert.notDeepEqual(damaged, restored);

  for (const { point, gate, outcome } of POINTS) {
    const expected = outcome === "new" ? restored : damaged;
    await test.step(`killed ${point}: the ${outcome} one`, async () => {
      const { command, release } = await catchRestore(place, gate);
      command.kill();
      assert.ok((await command.ended).killed);
      await release();
      await place.settle();
      assert.deepEqual(await databaseState(place.url), expected);
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
    });
  }
  await place.run(DAMAGE);
  const took = await place.complete("restore");
  let now = await databaseState(place.url);
  assert.deepEqual(now, restored);
  for (let round = 1; round <= ROUNDS; round++) {
    await test.step(`killed at a random moment, ${round} of ${ROUNDS}`, async () => {
      if (isDeepStrictEqual(now, restored)) await place.run(DAMAGE);
      const { finished, said } = await killSomewhere(place, "restore", took);
      await place.settle();
      now = await databaseState(place.url);
      if (finished || !isDeepStrictEqual(now, damaged)) assert.deepEqual(now, restored, said);
    });
  }
  await place.complete("restore");
  assert.deepEqual(await databaseState(place.url), restored);
  await expectWhole(place, "full");
});
