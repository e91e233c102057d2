/**
 * Definitions that change while a backup runs: what is saved and restored is exactly one moment.
 *
 * @module
 */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { restoreDatabase } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { backupState, type DatabaseState, databaseState } from "../support/database_state.ts";
import { DUMP_OPTIONS, scratchDatabase } from "../support/memory_backup.ts";
import { testServer } from "../support/servers.ts";

/** Each change has a schema with all of this to itself, so that one backup tries them all. */
const SAMPLE = `
  create table things (id int primary key, note text, amount int);
  create index things_note on things (note);
  insert into things select i, 'n' || i, i from generate_series(1, 100) i;
  create table other (id int primary key, thing int references things);
  insert into other select i, i from generate_series(1, 20) i;
  create function price(int) returns int language sql as 'select 1';
  create view cheap as select id, price(id) as price from things;
  create table whole (a int) partition by range (a);
  create table half partition of whole for values from (0) to (10);
  create table late_half (a int not null, check (a >= 10 and a < 20));
  insert into whole select i from generate_series(0, 9) i;
  insert into late_half select i from generate_series(10, 19) i;
`;

/** What somebody else does meanwhile, by schema. */
const CHANGES: Record<string, string> = {
  vacuum_full: "vacuum full things",
  cluster: "cluster things using things_pkey",
  truncate: "truncate things, other",
  rewrite: "alter table things alter amount type bigint using amount * 2",
  add_column: "alter table things add extra int default 7",
  statistics: "alter table things alter note set statistics 50",
  drop_table: "drop table other",
  drop_and_create: "begin; drop table other; create table other (id text); " +
    "insert into other values ('x'); commit",
  replace_function: "create or replace function price(int) returns int language sql as 'select 2'",
  rename_function: "alter function price(int) rename to cost",
  replace_view: "create or replace view cheap as select id, price(id) + 1 as price from things",
  reindex: "reindex table things",
  attach: "alter table whole attach partition late_half for values from (10) to (20)",
  add_objects: "begin; create table added as select 1 as a; create index on things (amount); " +
    "create trigger t before update on things for each row " +
    "execute function suppress_redundant_updates_trigger(); commit",
  rename: "begin; update things set note = 'changed'; alter table things rename to renamed; commit",
  swap: "begin; alter table things rename to old; create table things (like old including all); " +
    "insert into things select id, 'new', 0 from old; commit",
};

/**
 * The steps of a backup before which all of it happens, as the connection and a part of its
 * statement. Waiting changes wait for the backup's locks and follow as soon as it lets go.
 */
const STEPS = [
  { step: "the locks are taken", connection: 0, statement: "BEGIN" },
  { step: "the snapshot is taken", connection: 0, statement: "\n  select pg_catalog.pg_export" },
  { step: "definitions are read", connection: 2, statement: "set quote_all_identifiers = on" },
  {
    step: "definitions are rechecked",
    connection: 2,
    statement: "set quote_all_identifiers = off",
  },
  { step: "rows are read", connection: 4, statement: "SET TRANSACTION SNAPSHOT" },
];

/** Calls `interrupt` before each statement that holds this. */
function interrupted(session: Session, statement: string, interrupt: () => Promise<void>): Session {
  return new Proxy(session, {
    get(inner, name) {
      const value = Reflect.get(inner, name, inner);
      if (typeof value !== "function") return value;
      if (name !== "execute" && name !== "query") return value.bind(inner);
      return async (sql: string, ...more: unknown[]) => {
        if (sql.includes(statement)) await interrupt();
        return await value.call(inner, sql, ...more);
      };
    },
  });
}

interface Change {
  schema: string;
  /** Whether it had to wait for the backup. */
  waited: boolean;
  ended: Promise<void>;
}

/** Begins a change and goes on when it is done, or when the server says that it waits for a lock. */
async function startChange(url: string, schema: string, watcher: Session): Promise<Change> {
  const changer = await connect({ url });
  await changer.execute(`set search_path = ${schema}`);
  let done = false;
  const ended = changer.execute(CHANGES[schema]!).finally(async () => {
    done = true;
    await changer.close();
  });
  // Its failure is seen where it is awaited.
  ended.catch(() => {});
  while (!done) {
    const [row] = await watcher.query(
      "select exists (select from pg_locks where pid = $1 and not granted) as waits",
      [changer.backendPid],
    );
    if (row?.waits) return { schema, waited: true, ended };
  }
  return { schema, waited: false, ended };
}

for (const { step, connection, statement } of STEPS) {
  Deno.test(`a backup is of one moment when definitions change just before ${step}`, async () => {
    const server = await testServer(17);
    await using source = await scratchDatabase(server, "rb2_ddl_source");
    await using target = await scratchDatabase(server, "rb2_ddl_target");
    const schemas = Object.keys(CHANGES);
    await source.run(
      schemas.map((name) => `create schema ${name}; set search_path = ${name}; ${SAMPLE}`).join(""),
    );
    const before = await databaseState(source.url);
    const repository = await createRepository({ storage: memoryStorage(), key: null });
    const changes: Change[] = [];
    let connections = 0;
    const record = await backupDatabase({
      connect: async () => {
        const session = await connect({ url: source.url });
        if (connections++ !== connection) return session;
        return interrupted(session, statement, async () => {
          if (changes.length > 0) return;
          const watcher = await connect({ url: source.url });
          for (const name of schemas) changes.push(await startChange(source.url, name, watcher));
          await watcher.close();
        });
      },
      repository,
      clock: systemClock,
      request: { origin: "manual", dump: DUMP_OPTIONS, jobs: 2 },
      writtenBy: "test",
    });
    assert.equal(changes.length, schemas.length);
    for (const change of changes) await change.ended;
    const after = await databaseState(source.url);
    const saved = await backupState(repository, record.backupId);
    expectOneMoment({ before, saved, after, changes });

    await restoreDatabase({
      connect: () => connect({ url: target.url }),
      repository,
      backupId: "latest",
      request: { schemas },
      clock: systemClock,
      writtenBy: "test",
    });
    assert.deepEqual(await databaseState(target.url), saved);
  });
}

Deno.test("definitions that change under each reading are read again up to five times, then named", async () => {
  const server = await testServer(17);
  await using source = await scratchDatabase(server, "rb2_ddl_rapid");
  await source.run(
    "create function busy() returns int language sql as 'select 0'; " +
      "create view watching as select busy() as it",
  );
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  /** Replaces the function in so many of the moments that the backup takes. */
  const backUp = async (most: number) => {
    let moments = 0;
    const replace = async () => {
      if (moments > most) return;
      await source.run(
        `create or replace function busy() returns int language sql as 'select ${moments}'`,
      );
    };
    const count = () => Promise.resolve(void moments++);
    const record = backupDatabase({
      async connect() {
        const session = await connect({ url: source.url });
        const counted = interrupted(session, "\n  select pg_catalog.pg_export", count);
        return interrupted(counted, "set quote_all_identifiers = off", replace);
      },
      repository,
      clock: systemClock,
      request: { origin: "manual", dump: DUMP_OPTIONS },
      writtenBy: "test",
    });
    return { ended: await record.catch((error) => error), moments };
  };
  const lucky = await backUp(4);
  assert.equal(lucky.moments, 5, lucky.ended.message);
  const saved = await backupState(repository, lucky.ended.backupId);
  assert.deepEqual(saved.public, (await databaseState(source.url)).public);

  const hopeless = await backUp(100);
  assert.equal(hopeless.ended.code, "concurrent_ddl");
  assert.match(hopeless.ended.message, /busy \(pg_proc\)/);
  assert.equal(hopeless.moments, 5);
  assert.equal((await repository.listBackups()).backups.length, 1);
});

/**
 * Changes that did not wait came in one step of the backup: it has seen all or none of them. Those
 * that waited came after them.
 */
function expectOneMoment(
  { before, saved, after, changes }: {
    before: DatabaseState;
    saved: DatabaseState;
    after: DatabaseState;
    changes: Change[];
  },
): void {
  const seen = { atOnce: new Set<boolean>(), waited: new Set<boolean>() };
  for (const { schema, waited } of changes) {
    const isBefore = isDeepStrictEqual(saved[schema], before[schema]);
    const isAfter = isDeepStrictEqual(saved[schema], after[schema]);
    if (!isBefore && !isAfter) assert.deepEqual(saved[schema], after[schema], schema);
    if (isBefore !== isAfter) seen[waited ? "waited" : "atOnce"].add(isAfter);
  }
  assert.ok(seen.atOnce.size === 1, "some of what happened at once is in the backup, some is not");
  if (seen.waited.has(true)) {
    assert.ok(seen.atOnce.has(true), "the later is there without the earlier");
  }
}
