/**
 * A whole backup whose moment a job of the database holds, while others write, change tables and end the
 * keeper in the middle.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import type { DataPart, TableData } from "../../supabase/functions/backup/core/model.ts";
import {
  createSnapshotHolder,
  listKeepers,
  readBinaryRows,
  type SnapshotHolder,
} from "../../supabase/functions/backup/dump/mod.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  createRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupPlan } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { backupInParts } from "../../supabase/functions/backup/usecases/backup/backup_in_parts.ts";
import { startCronStandIn } from "../support/cron_stand_in.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { untilWaiting, withDatabase } from "../support/snapshot_database.ts";

const ACCOUNTS = 3000;

const SAMPLE = `
  CREATE TABLE accounts AS SELECT i AS id, 100::int8 AS balance, repeat('x', 200) AS note
    FROM generate_series(1, ${ACCOUNTS}) i;
  ALTER TABLE accounts ADD PRIMARY KEY (id);
  CREATE TABLE side AS SELECT i FROM generate_series(1, 500) i;
  CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'`;

/** What waits behind every moment of the backup. */
const CHANGES = [
  "VACUUM FULL accounts",
  "TRUNCATE side",
  "ALTER TABLE side ADD COLUMN IF NOT EXISTS more int",
];

const OTHER_FUNCTION = "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'";

Deno.test("a backup held by a keeper is of one moment, whatever others do, also when the keeper is ended", async () => {
  await withDatabase(17, async ({ url, open }) => {
    const [observer, writer] = [await open(), await open()];
    await observer.execute(SAMPLE);
    await using _cron = await startCronStandIn(url);
    const repository = await createRepository({ storage: memoryStorage(), key: null });
    const real = createSnapshotHolder({ connect: open, hosted: true });
    const changes: Promise<void>[] = [];
    let opened = 0;
    const holder = {
      ...real,
      async open(options: Parameters<typeof real.open>[0]) {
        const held = await real.open(options);
        opened++;
        for (const sql of CHANGES) {
          const session = await open();
          changes.push(session.execute(sql));
          await untilWaiting(observer, session.backendPid);
        }
        return held;
      },
      async check(session: Session, held: Parameters<typeof real.check>[1]) {
        // Where a part has just been read: definitions the first time, then rows.
        checks++;
        if (checks === 2) await observer.execute(OTHER_FUNCTION);
        const [row] = await session.query(
          "SELECT current_setting('supabase_backup.snapshot') AS id",
        );
        assert.equal(row?.id, held.id);
        if (checks === 3) {
          await observer.query("SELECT pg_terminate_backend($1, 10000)", [held.backend.pid]);
        }
        return await real.check(session, held);
      },
    };
    let checks = 0;
    let stop = false;
    const transferring = (async () => {
      while (!stop) {
        await writer.execute(`
          UPDATE accounts SET balance = balance + CASE WHEN id = pair[1] THEN -7 ELSE 7 END
            FROM (SELECT ARRAY[1 + (random() * 900)::int, 1000 + (random() * 900)::int] AS pair) p
           WHERE id = ANY (pair)`);
      }
    })();
    let backupId: string;
    try {
      backupId = await save({ repository, holder, open });
    } finally {
      stop = true;
      await transferring;
    }
    await Promise.all(changes);
    assert.equal(opened, 2);
    assert.deepEqual(await listKeepers(observer), []);
    const { manifest } = await repository.readBackup(backupId);
    assert.equal(manifest.consistency.strategy, "keeper");
    assert.match(manifest.consistency.remarks.join("\n"), /accounts: a transaction .* had to wait/);
    assert.deepEqual(await totals(repository, backupId), {
      accounts: { rows: ACCOUNTS, balance: ACCOUNTS * 100 },
      // Emptied behind the first moment, before the second.
      side: { rows: 0, balance: 0 },
    });
  });
});

Deno.test("a backup whose keeper pg_cron does not start is held by its worker, says so, and asks no second time", async () => {
  await withDatabase(17, async ({ url, open }) => {
    const observer = await open();
    await observer.execute(SAMPLE);
    await using cron = await startCronStandIn(url);
    cron.starting = false;
    const repository = await createRepository({ storage: memoryStorage(), key: null });
    const real = createSnapshotHolder({ connect: open, hosted: true, startTimeoutMs: 100 });
    const asked: string[] = [];
    const holder = {
      ...real,
      async open(options: Parameters<typeof real.open>[0]) {
        asked.push(options.withoutKeeper === undefined ? "pg_cron" : "the worker");
        const held = await real.open(options);
        // The first worker that holds it is lost: the backup begins again.
        if (asked.length === 2) {
          await observer.query("SELECT pg_terminate_backend($1, 10000)", [held.backend.pid]);
        }
        return held;
      },
    };
    const backupId = await save({ repository, holder, open });
    assert.deepEqual(asked, ["pg_cron", "the worker", "the worker"]);
    const { consistency } = (await repository.readBackup(backupId)).manifest;
    assert.equal(consistency.strategy, "session");
    assert.match(consistency.remarks.join("\n"), /pg_cron did not start its keeper in 1 s/);
    assert.deepEqual((await totals(repository, backupId)).side, { rows: 500, balance: 0 });
    assert.deepEqual(await observer.query("SELECT FROM cron.job"), []);
  });
});

/** Makes a backup in small parts and gives its id. */
async function save(
  { repository, holder, open }: {
    repository: Repository;
    holder: SnapshotHolder;
    open: () => Promise<Session>;
  },
): Promise<string> {
  const clock = systemClock;
  const plan = backupPlan({
    backupId: newJobId("backup", clock.now()),
    origin: "manual",
    limits: { partBytes: 65_536, maxPartBytes: 262_144 },
  }, { writtenBy: "test" });
  const { backupId } = plan;
  const dump = () => Promise.resolve({ ...DUMP_OPTIONS, excludeSchemas: ["cron"] });
  const job = { jobId: backupId, kind: "backup", type: "database", backupId } as const;
  await runInProcess(backupInParts({ plan, dump, connect: open, repository, holder, clock }), {
    ...{ job: { ...job, reason: null, createdBy: null }, clock, concurrency: 2 },
  });
  return backupId;
}

async function totals(repository: Repository, backupId: string) {
  const { manifest } = await repository.readBackup(backupId);
  const names = new Map<string, string>();
  for await (
    const { key, name } of repository.readLines<{ key: string; name: string }>(manifest.entries)
  ) names.set(key, name);
  const forms = new Map<string, TableData["columnForms"]>();
  for await (const { entry, columnForms } of repository.readLines<TableData>(manifest.tableData)) {
    forms.set(entry, columnForms);
  }
  const found: Record<string, { rows: number; balance: number }> = {};
  for await (const part of repository.readLines<DataPart>(manifest.dataParts)) {
    const table = found[names.get(part.entry)!] ??= { rows: 0, balance: 0 };
    table.rows += part.rows;
    if (names.get(part.entry) !== "accounts") continue;
    for await (
      const row of readBinaryRows(repository.readPieces(part.pieces), forms.get(part.entry)!)
    ) {
      table.balance += Number(row[1]);
    }
  }
  return found;
}
