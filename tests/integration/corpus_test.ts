/**
 * Every case of the corpus goes through a backup into an empty database; a real pg_dump must not be able
 * to tell the two apart, except where pg_dump's own round trip of the same database loses the same.
 *
 * `CORPUS_PAIRS` (such as `15:15,17:18`) chooses servers, `CORPUS_CASES` a part of the cases' names.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { PostgresMajor } from "../../scripts/embedded_postgres.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup_database.ts";
import { restoreDatabase } from "../../supabase/functions/backup/usecases/restore_database.ts";
import {
  type CorpusCase,
  dropCorpusDatabase,
  fits,
  makeCorpusRoles,
  readCorpus,
} from "../support/corpus.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import {
  differences,
  loadByPsql,
  pgDump,
  pgDumpAvailable,
  statementsOf,
} from "../support/pg_dump.ts";
import { testServer } from "../support/servers.ts";

const PAIRS = (Deno.env.get("CORPUS_PAIRS") ?? "15:15,17:17").split(",").map((pair) => {
  const [from, to] = pair.split(":").map(Number);
  return { from: from as PostgresMajor, to: to as PostgresMajor };
});
const RUN = crypto.randomUUID().slice(0, 8);
const SOURCE = `corpus_source_${RUN}`;
const TARGET = `corpus_target_${RUN}`;
const NATIVE = `corpus_native_${RUN}`;

for (const { from, to } of PAIRS) {
  const judged = await pgDumpAvailable(Math.max(from, to));
  const why = judged ? "" : ` (left out: no pg_dump ${Math.max(from, to)} here)`;
  for (const each of readCorpus(Deno.env.get("CORPUS_CASES"))) {
    Deno.test({
      name: `corpus ${each.name} from PostgreSQL ${from} to ${to}${why}`,
      ignore: !judged || !fits(each.meta, from) || !fits(each.meta, to),
      fn: () => roundTrip(each, from, to),
    });
  }
}

async function roundTrip(each: CorpusCase, from: PostgresMajor, to: PostgresMajor): Promise<void> {
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

    await backUpAndRestore(sourceUrl, targetUrl);

    const create = each.name.startsWith("database--");
    const dump = await pgDump(sourceUrl, { create });
    const source = statementsOf(dump, SOURCE);
    const lost = differences(source, statementsOf(await pgDump(targetUrl, { create }), TARGET));
    if (lost !== "" && !create) {
      await make(targetAdmin, NATIVE, each);
      if (await loadByPsql(targetServer.url(NATIVE), dump)) {
        const native = statementsOf(await pgDump(targetServer.url(NATIVE)), NATIVE);
        if (differences(source, native) === lost) return; // pg_dump's own round trip loses the same
      }
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

for (const { from, to } of PAIRS) {
  const why = chinook === null ? " (left out: ../shared/data/chinook.sql is not there)" : "";
  Deno.test({
    name: `chinook from PostgreSQL ${from} to ${to}${why}`,
    ignore: chinook === null || !await pgDumpAvailable(Math.max(from, to)),
    fn: () => {
      // The file makes a database of its own and goes there by psql.
      const data = chinook!.replace(/^(?:\\c|DROP DATABASE|CREATE DATABASE)\b.*$/gm, "");
      return roundTrip({ name: "chinook", schema: "", data, meta: {} }, from, to);
    },
  });
}

async function make(admin: Session, database: string, each: CorpusCase): Promise<void> {
  await makeCorpusRoles(admin);
  const encoding = each.meta.encoding ?? "UTF8";
  await admin.execute(
    `CREATE DATABASE ${database} TEMPLATE template0 ENCODING '${encoding}' LOCALE 'C'`,
  );
}

async function backUpAndRestore(sourceUrl: string, targetUrl: string): Promise<void> {
  const repository = await createRepository({
    storage: memoryStorage(),
    key: null,
    compression: { algorithm: "none", level: 0 },
  });
  await backupDatabase({
    connect: () => connect({ url: sourceUrl }),
    repository,
    clock: systemClock,
    request: { origin: "manual", dump: DUMP_OPTIONS },
    writtenBy: "test",
  });
  await restoreDatabase({
    connect: () => connect({ url: targetUrl }),
    repository,
    backupId: "latest",
    request: { mode: "empty" },
    clock: systemClock,
    writtenBy: "test",
  });
}
