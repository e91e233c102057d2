/**
 * Backups that read definitions in parts, and restores that compare them in parts, each part by a worker that
 * knows nothing of the others.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { readEntries } from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { DataPart, Entry } from "../../supabase/functions/backup/core/model.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";
import {
  createRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { EntryPacker } from "../../supabase/functions/backup/core/packed_entries.ts";
import { planRestore } from "../../supabase/functions/backup/restore/mod.ts";
import {
  readLiveSlices,
  readTarget,
} from "../../supabase/functions/backup/usecases/restore/restore_facts.ts";
import { CONNECTED_SCHEMA } from "../support/connected_schema.ts";
import { backupInMemory, DUMP_OPTIONS, openPinned } from "../support/memory_backup.ts";
import { endOf, onlyParts, type PartBackup, partBackup } from "../support/part_backup.ts";
import { PartsOfRestore } from "../support/parts_of_restore.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

const RELATIONS_A_PART = 60;
const ROWS = "insert into one.t3 (other) select null from generate_series(1, 100);";

/** Lets a worker after the other do one part each, until the job has ended; names of the parts. */
async function workPartByPart(backup: PartBackup, jobId: string): Promise<string[]> {
  const names: string[] = [];
  const store = (tables: PartStore): PartStore =>
    new Proxy(tables, {
      get(target, key) {
        const value = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        if (key !== "claim") return value.bind(target);
        return async (...given: Parameters<PartStore["claim"]>) => {
          const lease = await target.claim(...given);
          if (lease !== null) names.push(lease.name);
          return lease;
        };
      },
    });
  while ((await backup.job(jobId)).status === "running") {
    await backup.work(jobId, { store, budget: onlyParts(1) });
  }
  return names;
}

/** Entries in their order, without what other tests and the server's own work change meanwhile. */
async function entriesIn(repository: Repository, backupId: string): Promise<Partial<Entry>[]> {
  const { manifest } = await repository.readBackup(backupId);
  const entries = await Array.fromAsync(repository.readLines<Entry>(manifest.entries));
  return entries.filter(({ schema }) => schema !== null).map(({ table, ...rest }) => ({
    ...rest,
    ...(table === undefined ? {} : { columns: table.columns, first: table.referencedTables }),
  }));
}

Deno.test("definitions that are read in parts by a worker each are those that are read at once", async () => {
  await using database = await temporaryDatabase("in_parts");
  await runSql(database.url, CONNECTED_SCHEMA + ROWS);
  await using cut = await partBackup(database.url, { relationsAPart: RELATIONS_A_PART });
  const jobId = await cut.begin();
  const names = await workPartByPart(cut, jobId);
  await cut.expectSaved(jobId);
  const countOf = (name: string) => names.filter((each) => each === name).length;
  assert.equal(countOf("reading-definitions"), 0);
  assert.ok(countOf("reading-some-definitions") > 3, names.join());
  assert.ok(countOf("reading-circular-definitions") > 0, names.join());
  assert.ok(countOf("storing-definitions") > 1, names.join());

  await using whole = await partBackup(database.url, { storage: cut.storage });
  const other = await whole.begin();
  await whole.work(other);
  assert.deepEqual(
    await entriesIn(await cut.repository(), jobId),
    await entriesIn(await whole.repository(), other),
  );
});

/** Names of all chunks that a backup refers to. */
async function chunksOf(repository: Repository): Promise<string[]> {
  const { manifest } = await repository.readBackup("latest");
  const parts = await Array.fromAsync(repository.readLines<DataPart>(manifest.dataParts));
  const lists = [manifest.entries, manifest.tableData, manifest.dataParts];
  return [
    ...lists.flatMap(({ chunks }) => chunks.map(({ name }) => name)),
    ...parts.flatMap(({ pieces }) => pieces.map(({ chunk }) => chunk)),
  ];
}

Deno.test("one process reads very many definitions slice by slice, and leaves in the storage only what the backup refers to", async () => {
  await using database = await temporaryDatabase("in_parts");
  await runSql(database.url, CONNECTED_SCHEMA + ROWS);
  const models: Partial<Entry>[][] = [];
  for (const relationsAPart of [null, RELATIONS_A_PART]) {
    const storage = memoryStorage();
    const repository = await createRepository({ storage, key: null });
    const phases = new Set<string>();
    await backupDatabase({
      ...{ connect: () => connect({ url: database.url }), repository, clock: systemClock },
      request: { origin: "manual", dump: DUMP_OPTIONS, relationsAPart },
      writtenBy: "test",
      onProgress: ({ phase }) => void phases.add(phase),
    });
    assert.equal(phases.has("ordering definitions"), relationsAPart !== null);
    const stored = await Array.fromAsync(storage.list("chunks/"));
    assert.equal(stored.length, new Set(await chunksOf(repository)).size);
    const { totals } = (await repository.readBackup("latest")).manifest;
    const storedBytes = stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    assert.deepEqual([totals.newChunks, totals.newStoredBytes], [stored.length, storedBytes]);
    models.push(await entriesIn(repository, "latest"));
  }
  assert.ok(models[0]!.length > 100);
  assert.deepEqual(models[1], models[0]);
});

Deno.test("a target that is read slice by slice has the entries of one that is read at once", async () => {
  await using database = await temporaryDatabase("in_parts");
  await runSql(database.url, CONNECTED_SCHEMA + ROWS);
  const session = await openPinned(database.url);
  try {
    const { entries, source } = (await backupInMemory(database.url)).facts;
    const read = async (relationsAtOnce: number) => {
      const limits = { relationsAtOnce, relationsASlice: RELATIONS_A_PART };
      const slices = await Array.fromAsync(readLiveSlices(session, { source, entries }, limits));
      const actual = slices.flatMap((slice) => slice.actual)
        .map(({ identity, statements }) => ({ identity, statements }))
        .sort((a, b) => a.identity < b.identity ? -1 : 1);
      assert.equal(slices.filter(({ isRest }) => isRest).length, 1);
      return { slices: slices.length, actual };
    };
    const [atOnce, inSlices] = [await read(100_000), await read(RELATIONS_A_PART)];
    assert.deepEqual([atOnce.slices, inSlices.slices > 3], [1, true]);
    assert.deepEqual(inSlices.actual, atOnce.actual);
    const ordered = await readEntries(session, DUMP_OPTIONS, { relationsAtOnce: RELATIONS_A_PART });
    // What is packed compares as what it says.
    const withoutEstimates = ({ table: _, ...entry }: Entry) => JSON.parse(JSON.stringify(entry));
    assert.deepEqual(ordered.map(withoutEstimates), entries.map(withoutEstimates));
  } finally {
    await session.close();
  }
});

Deno.test("a backup begins again when what its parts have kept is gone, and nothing else is lost", async () => {
  await using database = await temporaryDatabase("in_parts");
  await runSql(database.url, CONNECTED_SCHEMA + ROWS);
  await using backup = await partBackup(database.url, { relationsAPart: RELATIONS_A_PART });
  const jobId = await backup.begin();
  const session = await connect({ url: database.url });
  const ordered = async () =>
    (await session.query(
      "select from backup_internal.job_parts where name = 'storing-definitions'",
    )).length > 0;
  while (!await ordered()) await backup.work(jobId, { budget: onlyParts(1) });
  await session.close();
  for await (const { name } of backup.storage.list("chunks/")) await backup.storage.delete(name);
  for (let pause = 0; pause < 5 && (await backup.job(jobId)).status === "running"; pause++) {
    await backup.work(jobId);
    backup.advance(600_000);
  }
  assert.deepEqual(endOf(await backup.job(jobId)), { status: "completed", code: null });
  await backup.expectSaved(jobId);
});

Deno.test("a comparison in parts finds what is other and what is missing, as one at once does", async () => {
  await using source = await temporaryDatabase("in_parts");
  await runSql(source.url, CONNECTED_SCHEMA + ROWS);
  const saved = await backupInMemory(source.url, DUMP_OPTIONS);
  const ends: unknown[] = [];
  for (const relationsAPart of [null, RELATIONS_A_PART]) {
    await using target = await temporaryDatabase("in_parts");
    const restore = new PartsOfRestore(saved, target.url, { relationsAPart, limits: undefined! });
    const compare = await restore.workUntil(({ name }) => name === "comparing-definitions");
    assert.ok(compare !== null);
    const session = await connect({ url: target.url });
    await session.execute("alter table two.t1 add column late int; drop view one.second cascade");
    await session.close();
    const end = await restore.workUntil().catch((error) => error);
    // Whatever slice it stood in: its place among the others says nothing.
    const differences = (end.details.differences as { identity: string }[])
      .toSorted((a, b) => a.identity < b.identity ? -1 : 1);
    ends.push([end.code, differences]);
    const compared = restore.done.filter(({ name }) => name === "comparing-definitions").length;
    assert.equal(compared > 3, relationsAPart !== null);
  }
  assert.deepEqual(ends[1], ends[0]);
  assert.match(JSON.stringify(ends[0]), /restore_mismatch.*missing/);
});

Deno.test("a backup whose entries are packed gives the same plans, of an empty target and over the source", async () => {
  await using database = await temporaryDatabase("in_parts");
  await using empty = await temporaryDatabase("in_parts_empty");
  await runSql(database.url, CONNECTED_SCHEMA + ROWS);
  const { facts } = await backupInMemory(database.url);
  const packer = new EntryPacker();
  const packed = {
    ...facts,
    entries: facts.entries.map((entry) => packer.entry(entry)),
    tableData: facts.tableData.map((data) => packer.tableData(data)),
    dataParts: facts.dataParts.map((part) => packer.dataPart(part)),
  };
  for (const url of [empty.url, database.url]) {
    const session = await openPinned(url);
    try {
      const target = await readTarget(session, facts);
      const plan = (backup: typeof facts) =>
        planRestore({ backup, target, request: {}, safetyBackup: true });
      const [plain, other] = [plan(facts), plan(packed)];
      assert.ok(plain.load.length > 0);
      assert.deepEqual(JSON.parse(JSON.stringify(other)), JSON.parse(JSON.stringify(plain)));
    } finally {
      await session.close();
    }
  }
});
