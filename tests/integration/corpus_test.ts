/**
 * Every case of the corpus goes through a backup into an empty database; a real pg_dump must not be able
 * to tell the two apart, except where pg_dump's own round trip of the same database loses the same.
 *
 * `CORPUS_PAIRS` (such as `15:15,17:18:4`; empty for none) chooses servers. With a third number, what is
 * restored is a backup in parts of a few kilobytes by so many workers, which must hold the same as one by
 * one worker, and it is restored in small parts by as many. `CORPUS=all` takes all servers; `CORPUS_CASES`
 * is a part of the cases' names.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { PostgresMajor } from "../../scripts/embedded_postgres.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { DataPart, Entry } from "../../supabase/functions/backup/core/model.ts";
import type { DataLimits } from "../../supabase/functions/backup/dump/mod.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  createRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { restoreDatabase } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { restoreInParts } from "../../supabase/functions/backup/usecases/restore/restore_in_parts.ts";
import {
  type CorpusCase,
  dropCorpusDatabase,
  fits,
  makeCorpusRoles,
  readCorpus,
} from "../support/corpus.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { loadDump } from "../support/load_dump.ts";
import { differences, pgDump, statementsOf } from "../support/pg_dump.ts";
import { testServer } from "../support/servers.ts";

/** What a round trip is made between and how. */
interface Pair {
  from: PostgresMajor;
  to: PostgresMajor;
  /** Workers that make and load small parts; 1 means parts of the usual size. */
  workers: number;
}

const ALL = "15:15,15:15:4,16:16:4,17:17,17:17:4,18:18:4,15:17:4,17:18";
const DEFAULT = Deno.env.get("CORPUS") === "all" ? ALL : "15:15,17:17:4";
const NAMES = (Deno.env.get("CORPUS_PAIRS") ?? DEFAULT).split(",").filter((name) => name !== "");
const PAIRS = NAMES.map((pair): Pair => {
  const [from, to, workers = 1] = pair.split(":").map(Number);
  return { from: from as PostgresMajor, to: to as PostgresMajor, workers };
});
/** Definitions in parts take long with many small cases; `CORPUS=all` cuts nearly all of them. */
const RELATIONS_A_PART = Deno.env.get("CORPUS") === "all" ? 2 : 10;
const SMALL_PARTS = { partBytes: 4096, maxPartBytes: 4096 };
/** Every table with more than a few rows counts as large. */
const SMALL_UNITS = { entries: 20, partBytes: 4096, longBytes: 512 };
const RUN = crypto.randomUUID().slice(0, 8);
const SOURCE = `corpus_source_${RUN}`;
const TARGET = `corpus_target_${RUN}`;
const NATIVE = `corpus_native_${RUN}`;

const by = ({ workers }: Pair) => workers === 1 ? "" : ` by ${workers} workers`;

for (const pair of PAIRS) {
  const { from, to } = pair;
  for (const each of readCorpus(Deno.env.get("CORPUS_CASES"))) {
    Deno.test({
      name: `corpus ${each.name} from PostgreSQL ${from} to ${to}${by(pair)}`,
      ignore: !fits(each.meta, from) || !fits(each.meta, to),
      fn: () => roundTrip(each, pair),
    });
  }
}

async function roundTrip(each: CorpusCase, { from, to, workers }: Pair): Promise<void> {
  const sourceServer = await testServer(from);
  const targetServer = await testServer(to);
  const sourceUrl = sourceServer.url(SOURCE);
  const targetUrl = targetServer.url(TARGET);
  const sourceAdmin = await connect({ url: sourceServer.url() });
  const targetAdmin = await connect({ url: targetServer.url() });
  try {
    await make(sourceAdmin, SOURCE, each);
    await make(targetAdmin, TARGET, each);
    const load = await connect({ url: sourceUrl });
    for (const sql of [each.schema, each.data]) if (sql !== "") await load.execute(sql);
    await load.close();

    await backUpAndRestore(sourceUrl, targetUrl, workers);

    const create = each.name.startsWith("database--");
    const options = { create, major: Math.max(from, to) };
    const dump = await pgDump(sourceUrl, options);
    const source = statementsOf(dump, SOURCE);
    const lost = differences(source, statementsOf(await pgDump(targetUrl, options), TARGET));
    if (lost !== "" && !create) {
      await make(targetAdmin, NATIVE, each);
      await loadDump(targetServer.url(NATIVE), dump);
      const native = statementsOf(await pgDump(targetServer.url(NATIVE), options), NATIVE);
      if (differences(source, native) === lost) return; // pg_dump's own round trip loses the same
    }
    assert.equal(lost, "");
  } finally {
    await dropCorpusDatabase(sourceAdmin, SOURCE, () => connect({ url: sourceUrl }));
    await dropCorpusDatabase(targetAdmin, TARGET, () => connect({ url: targetUrl }));
    await dropCorpusDatabase(targetAdmin, NATIVE, () => connect({ url: targetServer.url(NATIVE) }));
    await sourceAdmin.close();
    await targetAdmin.close();
  }
}

const CHINOOK = new URL("../../../shared/data/chinook.sql", import.meta.url);
const chinook = await Deno.readTextFile(CHINOOK).catch((error) => {
  if (error instanceof Deno.errors.NotFound) return null;
  throw error;
});

for (const pair of PAIRS) {
  const { from, to } = pair;
  const why = chinook === null ? " (left out: ../shared/data/chinook.sql is not there)" : "";
  Deno.test({
    name: `chinook from PostgreSQL ${from} to ${to}${by(pair)}${why}`,
    ignore: chinook === null,
    fn: () => {
      // The file makes a database of its own and goes there by psql.
      const data = chinook!.replace(/^(?:\\c|DROP DATABASE|CREATE DATABASE)\b.*$/gm, "");
      return roundTrip({ name: "chinook", schema: "", data, meta: {} }, pair);
    },
  });
}

async function make(admin: Session, database: string, each: CorpusCase): Promise<void> {
  await makeCorpusRoles(admin);
  const encoding = each.meta.encoding ?? "UTF8";
  // Without WAL of each page, making and dropping some hundred databases takes less than half.
  await admin.execute(
    `CREATE DATABASE ${database} TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C'
      STRATEGY file_copy`,
  );
}

async function backUpAndRestore(
  sourceUrl: string,
  targetUrl: string,
  workers: number,
): Promise<void> {
  const repository = await createRepository({
    storage: memoryStorage(),
    key: null,
    compression: { algorithm: "none", level: 0 },
  });
  const backUp = async (limits?: DataLimits) => {
    const { backupId } = await backupDatabase({
      connect: () => connect({ url: sourceUrl }),
      repository,
      clock: systemClock,
      request: {
        origin: "manual",
        dump: DUMP_OPTIONS,
        jobs: limits === undefined ? 1 : workers,
        ...(limits === undefined ? {} : { limits, relationsAPart: RELATIONS_A_PART }),
      },
      writtenBy: "test",
    });
    return backupId;
  };
  let backupId = await backUp();
  if (workers > 1) {
    const whole = await contentsOf(repository, backupId);
    backupId = await backUp(SMALL_PARTS);
    assert.deepEqual(await contentsOf(repository, backupId), whole);
  }
  const restore = {
    connect: () => connect({ url: targetUrl }),
    repository,
    backupId,
    request: { mode: "empty" as const, jobs: workers },
    clock: systemClock,
    writtenBy: "test",
  };
  if (workers === 1) {
    await restoreDatabase(restore);
    return;
  }
  const jobId = `restore_${RUN}`;
  await runInProcess(
    restoreInParts({
      ...{ ...restore, jobId, limits: SMALL_UNITS, pollMs: 20 },
      ...{ relationsAPart: RELATIONS_A_PART, chunksAPart: 1 },
    }),
    {
      job: {
        ...{ jobId, kind: "restore", type: "database", backupId },
        ...{ reason: null, createdBy: "test" },
      },
      clock: systemClock,
      concurrency: workers,
    },
  );
}

/**
 * What a backup holds, whatever the parts: definitions, and rows by number and fingerprint. Left out is what may
 * change between two moments although nobody changes this database: roles of others on the server, and sizes, from
 * which the server may cut off empty pages.
 */
async function contentsOf(repository: Repository, backupId: string) {
  const { manifest } = await repository.readBackup(backupId);
  const rows = new Map<string, { rows: number; sum: bigint }>();
  for await (const part of repository.readLines<DataPart>(manifest.dataParts)) {
    const before = rows.get(part.entry) ?? { rows: 0, sum: 0n };
    rows.set(part.entry, {
      rows: before.rows + part.rows,
      sum: before.sum + BigInt(part.fingerprint?.sum ?? 0),
    });
  }
  const entries: Entry[] = [];
  for await (const entry of repository.readLines<Entry>(manifest.entries)) {
    if (isOfOthers(entry)) continue;
    const { table } = entry;
    entries.push(table ? { ...entry, table: { ...table, tableBytes: 0, toastBytes: 0 } } : entry);
  }
  return { entries, rows };
}

/** Of the whole server, and not made by the corpus. */
function isOfOthers({ kind, name }: Entry): boolean {
  return (kind.startsWith("role") || kind === "tablespace") && !name.includes("corpus");
}
