/**
 * Pages and values that a server can no longer read: a backup names them, or leaves them out and says so.
 *
 * @module
 */
import assert from "node:assert/strict";
import { join } from "../../scripts/paths.ts";
import { startPostgres } from "../../scripts/embedded_postgres.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { DataPart } from "../../supabase/functions/backup/core/model.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { restoreDatabase } from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";

const PAGE_BYTES = 8192;

/** Ten pages or so of rows with a number and a text; `torn` loses its page 3. */
const SAMPLE = `
  CREATE TABLE torn (id int PRIMARY KEY, t text);
  INSERT INTO torn SELECT i, repeat('x', 300) FROM generate_series(1, 200) i;
  CREATE TABLE toasted (id int PRIMARY KEY, t text);
  ALTER TABLE toasted ALTER t SET STORAGE EXTERNAL;
  INSERT INTO toasted SELECT i, repeat(i::text, 10000) FROM generate_series(1, 30) i;
  CREATE TABLE sound AS SELECT generate_series(1, 50) AS id;
  CHECKPOINT;
`;

Deno.test("a torn page and a missing TOAST value are named, or left out and marked", async () => {
  await using server = await startPostgres({ major: 17, initdbArguments: ["--data-checksums"] });
  const setup = await connect({ url: server.url() });
  await setup.execute(SAMPLE);
  await setup.execute("CREATE DATABASE target");
  const [torn] = await setup.query("SELECT pg_relation_filepath('torn') AS path");
  const [lost] = await setup.query(
    "SELECT count(*) AS rows FROM torn WHERE ctid::text LIKE '(3,%'",
  );
  const [toast] = await setup.query(
    "SELECT reltoastrelid::regclass::text AS name, pg_relation_filepath(reltoastrelid) AS path, " +
      "(SELECT ctid::text FROM toasted WHERE id = 17) AS ctid FROM pg_class WHERE relname = 'toasted'",
  );
  const [chunks] = await setup.query(
    `SELECT (ctid::text::point)[0]::int AS page FROM ${toast!.name} GROUP BY 1 HAVING ` +
      "min(chunk_id) = max(chunk_id) AND min(chunk_id) = " +
      "(SELECT pg_column_toast_chunk_id(t) FROM toasted WHERE id = 17) LIMIT 1",
  );
  await setup.close();
  await server.stop();
  const overwrite = async (path: string, at: number, bytes: Uint8Array) => {
    const file = await Deno.open(join(server.dataDirectory, path), { write: true });
    await file.seek(at, Deno.SeekMode.Start);
    await file.write(bytes);
    file.close();
  };
  await overwrite(torn!.path!, 3 * PAGE_BYTES + 5000, new Uint8Array(64).fill(0xa5));
  // A page of zeros is an empty one for the server: what it held is missing.
  await overwrite(toast!.path!, Number(chunks!.page) * PAGE_BYTES, new Uint8Array(PAGE_BYTES));
  await server.start();

  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const backUp = (onDamage: "fail" | "skip", only: string[] = []) =>
    backupDatabase({
      connect: () => connect({ url: server.url() }),
      repository,
      clock: systemClock,
      request: { origin: "manual", dump: { ...DUMP_OPTIONS, includeTables: only }, onDamage },
      writtenBy: "test",
    });
  for (const [table, ctid] of [["torn", "(3,*)"], ["toasted", toast!.ctid!]]) {
    await assert.rejects(backUp("fail", [`public.${table}`]), (error) => {
      assert.ok(error instanceof BackupError, String(error));
      assert.equal(error.code, "damaged_source");
      assert.ok(error.message.includes(`"public"."${table}" at ctid ${ctid}: `), error.message);
      return true;
    });
  }
  assert.deepEqual((await repository.listBackups()).backups, []);

  const record = await backUp("skip");
  assert.deepEqual(
    record.consistency.remarks.filter((remark) => remark.includes("ctid")).toSorted(),
    [
      `"public"."toasted": rows that the server cannot read were left out at ctid ${toast!.ctid}`,
      '"public"."torn": rows that the server cannot read were left out at ctid (3,*)',
    ],
  );
  const { manifest } = await repository.readBackup(record.backupId);
  const marks: string[] = [];
  for await (const part of repository.readLines<DataPart>(manifest.dataParts)) {
    for (const { ctid } of part.damaged ?? []) marks.push(ctid);
  }
  assert.deepEqual(marks.toSorted(), [toast!.ctid, "(3,*)"].toSorted());

  const restore = (acceptHazards: string[]) =>
    restoreDatabase({
      connect: () => connect({ url: server.url("target") }),
      repository,
      backupId: record.backupId,
      request: { mode: "empty", acceptHazards },
      clock: systemClock,
      writtenBy: "test",
    });
  await assert.rejects(restore([]), /these hazards were not accepted: damaged-backup/);
  await restore(["damaged-backup"]);
  const target = await connect({ url: server.url("target") });
  const [counted] = await target.query(
    "SELECT (SELECT count(*) FROM torn) AS torn, (SELECT count(*) FROM sound) AS sound, " +
      "(SELECT string_agg(id::text, ',' ORDER BY id) FROM toasted) AS toasted",
  );
  await target.close();
  const ids = Array.from({ length: 30 }, (_, i) => i + 1).filter((id) => id !== 17);
  assert.deepEqual({ ...counted }, {
    torn: String(200 - Number(lost!.rows)),
    sound: "50",
    toasted: ids.join(","),
  });
});
