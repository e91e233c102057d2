/**
 * Backups: one moment, bounded parts, damage, rights, and being killed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { DataPart, TableData } from "../../supabase/functions/backup/core/model.ts";
import {
  copyUnit,
  describeTableData,
  joinSnapshot,
  openSnapshot,
  planUnits,
  readBinaryRows,
  readDatabase,
  sessionHolder,
} from "../../supabase/functions/backup/dump/mod.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  createRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import {
  backupDatabase,
  type BackupRequest,
} from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { untilWaiting, withDatabase } from "../support/snapshot_database.ts";

const SAMPLE = `
  create table wide (id int primary key, note text);
  insert into wide select i, repeat(chr(65 + i % 26), i % 500) from generate_series(1, 2000) i;
  create table heavy (id int, body bytea);
  alter table heavy alter body set storage external;
  insert into heavy select i, decode(repeat('ab', 20000), 'hex') from generate_series(1, 12) i;
  create table nothing ();
  insert into nothing select from generate_series(1, 3);
  create table parent (a int); create table child (b int) inherits (parent);
  insert into parent values (1); insert into child values (2, 3);
  create table whole (a int, g int generated always as (a + 1) stored) partition by range (a);
  create table lower_half partition of whole for values from (0) to (10);
  create unlogged table upper_half (g int generated always as (a + 1) stored, a int);
  alter table upper_half drop column g, add g int generated always as (a + 1) stored;
  alter table whole attach partition upper_half for values from (10) to (20);
  insert into whole select i from generate_series(0, 19) i;
`;

async function newRepository(): Promise<Repository> {
  return await createRepository({ storage: memoryStorage(), key: null });
}

async function backup(
  database: { open: () => Promise<Session> },
  repository: Repository,
  request: Partial<BackupRequest> = {},
) {
  const record = await backupDatabase({
    connect: database.open,
    repository,
    clock: systemClock,
    request: { origin: "manual", dump: DUMP_OPTIONS, ...request },
    writtenBy: "test",
  });
  return { record, rows: await readRows(repository, record.backupId) };
}

/** Rows, bytes and fingerprints by table. */
async function readRows(repository: Repository, backupId: string) {
  const { manifest } = await repository.readBackup(backupId);
  const names = new Map<string, string>();
  for await (
    const entry of repository.readLines<{ key: string; schema: string; name: string }>(
      manifest.entries,
    )
  ) names.set(entry.key, entry.name);
  const tables: Record<string, { rows: number; sum: bigint; parts: DataPart[]; data?: TableData }> =
    {};
  for await (const part of repository.readLines<DataPart>(manifest.dataParts)) {
    const table = tables[names.get(part.entry)!] ??= { rows: 0, sum: 0n, parts: [] };
    assert.equal(part.part, table.parts.length);
    table.rows += part.rows;
    table.sum += BigInt(part.fingerprint?.sum ?? 0);
    table.parts.push(part);
  }
  for await (const data of repository.readLines<TableData>(manifest.tableData)) {
    const table = tables[names.get(data.entry)!];
    if (table !== undefined) table.data = data;
  }
  return tables;
}

Deno.test("backupDatabase() gives the same rows in small parts with four workers as in one piece", async () => {
  await withDatabase(17, async (database) => {
    await (await database.open()).execute(SAMPLE);
    const repository = await newRepository();
    const large = await backup(database, repository, { jobs: 1 });
    const limits = { partBytes: 8192, maxPartBytes: 50_000 };
    const small = await backup(database, repository, { jobs: 4, limits });
    assert.deepEqual(
      Object.entries(small.rows).map(([name, { rows, sum }]) => [name, rows, sum]),
      Object.entries(large.rows).map(([name, { rows, sum }]) => [name, rows, sum]),
    );
    assert.equal(large.rows.wide?.parts.length, 1);
    assert.ok(small.rows.wide!.parts.length > 20);
    // Values in TOAST are few pages of heap: those are cut between rows.
    assert.ok(small.rows.heavy!.parts.every((part) => part.rawBytes <= 50_000));
    assert.ok(small.rows.heavy!.parts.some((part) => part.tuples !== undefined));
    assert.equal(small.rows.nothing?.rows, 3);
    assert.equal(small.rows.parent?.rows, 1);
    assert.deepEqual([small.rows.lower_half?.rows, small.rows.upper_half?.rows], [10, 10]);
    assert.deepEqual(small.rows.upper_half?.data?.columns, ['"a"']);
    assert.equal(small.rows.whole, undefined);
  });
});

Deno.test("backupDatabase() adds nothing to the repository when nothing has changed", async () => {
  await withDatabase(17, async (database) => {
    await (await database.open()).execute(SAMPLE);
    const repository = await newRepository();
    const limits = { partBytes: 16_384, maxPartBytes: 100_000 };
    const first = await backup(database, repository, { jobs: 3, limits });
    const second = await backup(database, repository, { jobs: 2, limits });
    assert.ok(first.record.totals.newChunks > 10);
    assert.equal(second.record.totals.newChunks, 0);
    const report = await repository.verify({ level: "full" });
    assert.deepEqual(report.problems, []);
    assert.equal(report.backups.length, 2);
  });
});

Deno.test("openSnapshot() begins again when tables come, go or are rewritten before they are locked", async () => {
  for (
    const [change, expected] of [
      ["DROP TABLE gone", ["other"]],
      ["CREATE TABLE late (a int)", ["gone", "late", "other"]],
      ["ALTER TABLE gone RENAME TO moved", ["moved", "other"]],
    ] as const
  ) {
    await withDatabase(17, async (database) => {
      const [coordinator, real, other] = [
        await database.open(),
        await database.open(),
        await database.open(),
      ];
      await other.execute("CREATE TABLE gone (a int); CREATE TABLE other (a int)");
      let looks = 0;
      const finder = Object.create(real, {
        query: {
          value: async (sql: string) => {
            const rows = await real.query(sql);
            if (++looks === 1) await other.execute(change);
            return rows;
          },
        },
      }) as Session;
      const snapshot = await openSnapshot(coordinator, { finder, dump: DUMP_OPTIONS });
      assert.equal(looks, 2, change);
      const rows = await coordinator.query(
        `SELECT relname FROM pg_class WHERE oid = ANY ($1::oid[]) AND oid > 16384 ORDER BY 1`,
        [`{${[...snapshot.locked].join(",")}}`],
      );
      assert.deepEqual(
        rows.map((row) => row.relname).filter((n) => !n.startsWith("pg_")),
        expected,
      );
    });
  }
});

Deno.test("openSnapshot() gives up by name when tables never hold still", async () => {
  await withDatabase(17, async (database) => {
    const [coordinator, real, other] = [
      await database.open(),
      await database.open(),
      await database.open(),
    ];
    let number = 0;
    const finder = Object.create(real, {
      query: {
        value: async (sql: string) => {
          const rows = await real.query(sql);
          await other.execute(`CREATE TABLE "t${++number}" ()`);
          return rows;
        },
      },
    }) as Session;
    await assert.rejects(
      openSnapshot(coordinator, { finder, dump: DUMP_OPTIONS, attempts: 3 }),
      { code: "concurrent_ddl", message: /"public"\."t3" appeared/ },
    );
    assert.equal(coordinator.inTransaction, false);
  });
});

Deno.test("openSnapshot() names the table that somebody else has locked", async () => {
  await withDatabase(17, async (database) => {
    const [coordinator, finder, other] = [
      await database.open(),
      await database.open(),
      await database.open(),
    ];
    await other.execute("CREATE TABLE free (); CREATE TABLE taken ()");
    await other.execute("BEGIN; LOCK TABLE taken IN ACCESS EXCLUSIVE MODE");
    await assert.rejects(
      openSnapshot(coordinator, { finder, dump: DUMP_OPTIONS, lockTimeoutMs: 50 }),
      { code: "lock_timeout", message: /"public"\."taken"/ },
    );
  });
});

Deno.test("copyUnit() goes past those who wait for its table, once for all units", async () => {
  await withDatabase(17, async (database) => {
    const [observer, worker, writer] = [
      await database.open(),
      await database.open(),
      await database.open(),
    ];
    await writer.execute("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i");
    await pinSettings(worker);
    const holder = sessionHolder({ connect: database.open });
    const held = await holder.open({ jobId: "backup_test", dump: DUMP_OPTIONS });
    await joinSnapshot(worker, held.id);
    const model = await readDatabase(worker, DUMP_OPTIONS);
    const tableData = await describeTableData(worker, model.entries, DUMP_OPTIONS);
    await worker.execute("COMMIT");
    await joinSnapshot(worker, held.id);
    const truncated = writer.execute("TRUNCATE t");
    await untilWaiting(observer, writer.backendPid);
    const [unit] = planUnits({ entries: model.entries, tableData });
    const options = {
      entries: new Map(model.entries.map((entry) => [entry.key, entry])),
      tableData: new Map(tableData.map((data) => [data.entry, data])),
      sink: { append: () => {}, endPart: () => Promise.resolve([]) },
    };
    const [copied] = await copyUnit(worker, unit!, options);
    assert.equal(copied?.part.rows, 100);
    // Nobody is at the door any more, and the lock is there.
    await holder.close(held);
    await copyUnit(worker, unit!, options);
    await worker.execute("COMMIT");
    await truncated;
    assert.equal((await observer.query("SELECT 1 FROM public.t")).length, 0);
  });
});

Deno.test("backupDatabase() says who waited for it, and gives way to them if asked", async () => {
  for (const yieldAfterMs of [null, 0]) {
    await withDatabase(17, async (database) => {
      const [observer, waiting] = [await database.open(), await database.open()];
      await observer.execute("CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i");
      const repository = await newRepository();
      let altered: Promise<void> | undefined;
      // The first connection that joins a moment finds somebody who waits for the table.
      const open = async () => {
        const session = await database.open();
        const execute = session.execute.bind(session);
        session.execute = async (sql) => {
          if (altered === undefined && sql.includes("SET TRANSACTION SNAPSHOT")) {
            altered = waiting.execute("ALTER TABLE t ADD COLUMN more int");
            await untilWaiting(observer, waiting.backendPid);
          }
          await execute(sql);
        };
        return session;
      };
      const { record, rows } = await backup({ open }, repository, { yieldAfterMs });
      await altered;
      assert.equal(rows.t?.rows, 100);
      const remarks = record.consistency.remarks.join();
      // Having given way, it shows the table as it is after the change, and nobody has waited for it.
      assert.equal(
        /"?t"?: a transaction of role postgres had to wait/.test(remarks),
        yieldAfterMs === null,
      );
      assert.equal(rows.t.data?.columns.length, yieldAfterMs === null ? 1 : 2);
    });
  }
});

Deno.test("backupDatabase() names damaged rows, and leaves them out and marks them if asked", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    await session.execute(SAMPLE);
    await session.execute("CREATE EXTENSION pg_surgery");
    const [lost] = await session.query(`
      SELECT c.reltoastrelid::regclass::text AS toast, t.ctid::text AS ctid
        FROM heavy t JOIN pg_class c ON c.oid = 'heavy'::regclass WHERE t.id = 5`);
    const [chunk] = await session.query(
      `SELECT ctid::text AS ctid FROM ${lost?.toast} WHERE chunk_id = (
         SELECT chunk_id FROM ${lost?.toast} ORDER BY 1 OFFSET 44 LIMIT 1) LIMIT 1`,
    );
    await session.execute(
      `SELECT heap_force_kill('${lost?.toast}'::regclass, ARRAY['${chunk?.ctid}'::tid])`,
    );
    const repository = await newRepository();
    await assert.rejects(backup(database, repository), {
      code: "damaged_source",
      message: /"public"\."heavy" at ctid \(0,\d+\): (missing|unexpected) chunk/,
    });
    assert.deepEqual((await repository.listBackups()).backups, []);
    const { record, rows } = await backup(database, repository, { onDamage: "skip" });
    assert.equal(rows.heavy?.rows, 11);
    const marks = rows.heavy.parts.flatMap((part) => part.damaged ?? []);
    assert.equal(marks.length, 1);
    assert.match(marks[0]!.ctid, /^\(0,\d+\)$/);
    assert.match(record.consistency.remarks.join(), /"heavy".*left out at ctid/);
    assert.equal(rows.wide?.rows, 2000);
  });
});

Deno.test("backupDatabase() refuses tables that it would not see whole", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    const role = `fd_reader_${crypto.randomUUID().slice(0, 8)}`;
    await session.execute(
      `CREATE ROLE "${role}" LOGIN; CREATE TABLE open_one (a int); CREATE TABLE secret (a int);
       GRANT SELECT ON open_one TO "${role}"; ALTER TABLE open_one ENABLE ROW LEVEL SECURITY`,
    );
    try {
      const repository = await newRepository();
      const asReader = {
        open: async () => {
          const reader = await database.open();
          await reader.execute(`SET SESSION AUTHORIZATION "${role}"`);
          return reader;
        },
      };
      await assert.rejects(backup(asReader, repository), {
        code: "insufficient_privilege",
        message: /"public"\."secret"/,
      });
      await session.execute(`GRANT SELECT ON secret TO "${role}"`);
      await assert.rejects(backup(asReader, repository), {
        code: "insufficient_privilege",
        message: /"public"\."open_one".*row level security/,
      });
    } finally {
      await session.execute(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    }
  });
});

Deno.test("backupDatabase() saves large objects in parts, also for a role that may not read the catalog", async () => {
  await withDatabase(17, async (database) => {
    const session = await database.open();
    const role = `fd_writer_${crypto.randomUUID().slice(0, 8)}`;
    await session.execute(
      `CREATE ROLE "${role}" LOGIN; SET SESSION AUTHORIZATION "${role}";
       SELECT lo_from_bytea(100, decode(repeat('ab', 5000), 'hex'));
       SELECT lo_from_bytea(101, decode(repeat('cd', 50000), 'hex'));
       SELECT lo_from_bytea(102, ''); SELECT lo_from_bytea(103, 'x');
       RESET SESSION AUTHORIZATION`,
    );
    try {
      const asWriter = {
        open: async () => {
          const writer = await database.open();
          await writer.execute(`SET SESSION AUTHORIZATION "${role}"`);
          return writer;
        },
      };
      const limits = { partBytes: 16_384, maxPartBytes: 16_384 };
      const found: string[][] = [];
      for (const opener of [database, asWriter]) {
        const repository = await newRepository();
        const { rows } = await backup(opener, repository, { limits });
        const objects = rows["large objects"]!;
        assert.ok(objects.parts.length >= 5);
        assert.equal(objects.rows, 3 + 25 + 1);
        const pages: string[] = [];
        for (const part of objects.parts) {
          const data = readBinaryRows(
            repository.readPieces(part.pieces),
            objects.data!.columnForms!,
          );
          for await (const [oid, page, bytes] of data) {
            pages.push(`${oid} ${page} ${bytes?.length} ${bytes?.slice(0, 8)}`);
          }
        }
        found.push(pages);
      }
      assert.deepEqual(found[0], found[1]);
      assert.ok(found[0]!.includes("103 0 4 \\x78"));
    } finally {
      await session.execute(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`);
    }
  });
});
