import assert from "node:assert/strict";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { startBackup } from "../../supabase/functions/backup/usecases/backup/start_backup.ts";
import { startVerify } from "../../supabase/functions/backup/usecases/verify/start_verify.ts";
import { startReceiver } from "../support/receiver.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const CALLER = { name: "default", requestId: "r1" };
const quiet = { sanitizeResources: false, sanitizeOps: false }; // the pools of the state tables

Deno.test(
  "people are told how backups and verifications end, whatever it was that failed",
  quiet,
  async () => {
    await using database = await temporaryDatabase("notify_jobs");
    await using receiver = startReceiver();
    const folder = await Deno.makeTempDir({ prefix: "supabase-backup-notify-" });
    const variables: Record<string, string> = {
      SUPABASE_DB_URL: database.url,
      BACKUP_DATABASE_PROFILE: "plain",
      BACKUP_STORAGE_TYPE: "local",
      BACKUP_STORAGE_PATH: folder,
      BACKUP_ENCRYPTION_KEY: newKey(),
      BACKUP_NOTIFICATION_CHANNELS: "webhook",
      BACKUP_WEBHOOK_URL: receiver.url,
      BACKUP_NOTIFY_ON_SUCCESS: "true",
    };
    const open = () => {
      const deps = createDeps({ environment: readEnvironment((name) => variables[name]) });
      deps.reportError = () => {};
      return Object.assign(deps, {
        async [Symbol.asyncDispose]() {
          await deps.idle();
          await deps.state.close();
        },
      });
    };
    await using deps = open();
    await deps.state.migrate();
    const ended = async (jobId: string) => (await deps.jobs.wait(jobId, 30_000))?.status;
    const last = () => receiver.received.at(-1)!.body.data;

    const good = await startBackup(deps, CALLER, { type: "database" });
    assert.equal(await ended(good.jobId), "completed");
    await receiver.until(1);
    assert.deepEqual([last().event, last().jobId], ["completed", good.jobId]);

    const chunk = await firstFile(`${folder}/chunks`);
    const bytes = await Deno.readFile(chunk);
    await Deno.writeFile(chunk, bytes.map((byte) => byte ^ 1));
    const verify = async () => {
      const job = await startVerify(deps, CALLER, { backupId: null, level: "full" });
      return await ended(job.jobId);
    };
    assert.equal(await verify(), "failed");
    await receiver.until(2);
    assert.deepEqual([last().kind, last().event, last().priority], [
      "damage",
      "opened",
      "critical",
    ]);
    assert.deepEqual(last().facts.find(([label]: [string]) => label === "backups")[1], good.jobId);
    assert.equal(await verify(), "failed");
    await Deno.writeFile(chunk, bytes);
    assert.equal(await verify(), "completed");
    await receiver.until(3);
    assert.deepEqual([last().event, last().title], [
      "recovered",
      "Stored backups are whole again (database)",
    ]);

    // Nobody works at it until its key is gone: no worker can say what the job is made of.
    await using idle = open();
    await idle.drive.end();
    await deps.drive.idle();
    const { jobId } = await startBackup(idle, CALLER, { type: "database" });
    variables.BACKUP_ENCRYPTION_KEY = newKey();
    await using keyless = open();
    keyless.drive.wake();
    await receiver.until(4);
    assert.deepEqual([last().kind, last().event, last().jobId], ["job-failed", "opened", jobId]);
    assert.match(last().text, /the key opens none of its key files$/);
    assert.equal((await idle.jobs.wait(jobId, 0))?.error?.code, "key_wrong");
    await Deno.remove(folder, { recursive: true });
  },
);

function newKey(): string {
  return toBase64(crypto.getRandomValues(new Uint8Array(32)));
}

async function firstFile(folder: string): Promise<string> {
  const names: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (!isDirectory) return `${folder}/${name}`;
    names.push(name);
  }
  return await firstFile(`${folder}/${names[0]}`);
}
