import assert from "node:assert/strict";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { startBackup } from "../../supabase/functions/backup/usecases/backup/start_backup.ts";
import { startVerify } from "../../supabase/functions/backup/usecases/verify/start_verify.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const CALLER = { name: "default", requestId: "r1" };
const quiet = { sanitizeResources: false, sanitizeOps: false }; // the pools of the state tables

Deno.test("a backup that ends while a verification goes on is not called lost", quiet, async () => {
  await using database = await temporaryDatabase("verify_meets");
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-verify-meets-" });
  const variables: Record<string, string> = {
    SUPABASE_DB_URL: database.url,
    BACKUP_DATABASE_PROFILE: "plain",
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: folder,
    BACKUP_ENCRYPTION_KEY: toBase64(crypto.getRandomValues(new Uint8Array(32))),
  };
  const open = () => createDeps({ environment: readEnvironment((name) => variables[name]) });
  const [deps, other] = [open(), open()];
  try {
    await deps.state.migrate();
    const ended = async (jobId: string) => (await deps.jobs.wait(jobId, 30_000))?.status;
    const backUp = async () => {
      const { jobId } = await startBackup(other, CALLER, { type: "database" });
      assert.equal(await ended(jobId), "completed");
      return jobId;
    };
    const verify = async () => {
      const { jobId } = await startVerify(deps, CALLER, { backupId: null, level: "full" });
      return await ended(jobId);
    };
    await backUp();

    // The verification has its list when the second backup begins, and reads on when that has ended.
    const { openRepository } = deps;
    let second: Promise<string> | undefined;
    deps.openRepository = async (...given) => {
      const repository = await openRepository(...given);
      const list = repository.backupIds.bind(repository);
      repository.backupIds = async (...options) => {
        const ids = await list(...options);
        second ??= backUp();
        await second;
        return ids;
      };
      return repository;
    };
    assert.equal(await verify(), "completed");
    assert.ok(second !== undefined);

    deps.openRepository = openRepository;
    await Deno.remove(`${folder}/backups/${await second}`);
    assert.equal(await verify(), "failed");
  } finally {
    for (const each of [deps, other]) {
      await each.idle();
      await each.state.close();
    }
    await Deno.remove(folder, { recursive: true });
  }
});
