import assert from "node:assert/strict";
import { startPostgres } from "../../scripts/embedded_postgres.ts";
import { join } from "../../scripts/paths.ts";
import { startService } from "../../scripts/start_service.ts";
import type { DataPart } from "../../supabase/functions/backup/core/model.ts";
import type { Execution } from "../../supabase/functions/backup/core/recovery.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { openRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { call, KEYS } from "../support/service.ts";

const PAGE_BYTES = 8192;

Deno.test("database_failure restores a table that cannot be read, and first saves what can", async () => {
  await using server = await startPostgres({ major: 17, initdbArguments: ["--data-checksums"] });
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-damage-" });
  await using service = serve({
    SUPABASE_DB_URL: server.url(),
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secret }),
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: folder,
    BACKUP_ENABLE_ENCRYPTION: "false",
  });
  const tell = async (query: string, body: unknown = {}) => {
    const answer = await call(service, query, { method: "POST", body });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body.data;
  };
  const ask = async (sql: string) => {
    const session = await connect({ url: server.url() });
    const rows = await session.query(sql).finally(() => session.close());
    return rows[0] ?? {};
  };
  await ask(
    "create table torn as select i as id, repeat('x', 300) as t from generate_series(1, 200) i",
  );
  await tell("init");
  await tell("backup-database&wait=60");
  await ask("insert into torn values (201, 'newer than the backup')");
  const { path } = await ask("select pg_relation_filepath('torn') as path");
  await server.stop();
  const file = await Deno.open(join(server.dataDirectory, path), { write: true });
  await file.seek(3 * PAGE_BYTES + 5000, Deno.SeekMode.Start);
  await file.write(new Uint8Array(64).fill(0xa5));
  file.close();
  await server.start();

  const trigger = { planId: "database_failure", trigger: "database_corruption" };
  const execution: Execution = await tell("disaster-recovery&wait=60", trigger);
  assert.equal(execution.status, "success", JSON.stringify(execution));
  const [assessed, restored] = execution.steps;
  assert.match(assessed!.found!, /^damaged .* "public"\."torn" cannot be read: invalid page/);
  assert.equal((await ask("select count(*)::int as n from torn")).n, 200);

  const repository = await openRepository({ storage: localStorage(folder), key: null });
  const { manifest } = await repository.readBackup(String(restored!.details.safetyBackupId));
  const parts = await Array.fromAsync(repository.readLines<DataPart>(manifest.dataParts));
  const torn = parts.filter(({ damaged }) => damaged !== undefined);
  assert.deepEqual(torn.flatMap(({ damaged }) => damaged!.map(({ ctid }) => ctid)), ["(3,*)"]);
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  assert.ok(rows > 150 && rows < 201, `${rows} rows could be read`);
  await Deno.remove(folder, { recursive: true });
});

function serve(variables: Record<string, string>) {
  const service = startService(variables);
  return { ...service, [Symbol.asyncDispose]: () => service.stop() };
}
