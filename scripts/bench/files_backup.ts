/**
 * Saves files into a directory once, as a process of its own that can be measured. Its arguments: `storage`
 * or `s3`, the address, the database's, the directory, parts at a time, and the key of Storage.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import type { ItemSource } from "../../supabase/functions/backup/core/items.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { filesSource, s3Source, StorageApi } from "../../supabase/functions/backup/project/mod.ts";
import {
  createRepository,
  openRepository,
  repositoryExists,
} from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { backupItems } from "../../supabase/functions/backup/usecases/items/backup_items.ts";
import { BUCKET } from "./files_place.ts";

const [kind = "", address = "", databaseUrl = "", directory = "", atOnce = "2", apiKey = "bench"] =
  Deno.args;
const key = new Secret(Deno.env.get("BACKUP_ENCRYPTION_KEY") ?? "");
const storage = localStorage(directory);
const open = await repositoryExists(storage) ? openRepository : createRepository;
const repository = await open({ storage, key });
const session = kind === "storage" ? await connect({ url: databaseUrl }) : null;
if (session !== null) await pinSettings(session);
const backupId = newJobId("backup", systemClock.now(), "files");
const definition = backupItems({
  ...{ backupId, reason: null, origin: "manual", database: "bench", repository },
  ...{ source: sourceOf(session), clock: systemClock, writtenBy: "bench" },
});
// What a platform charges a worker for: its heap and the bytes outside of it, not the runtime itself.
let chargedBytes = 0;
const looking = setInterval(() => {
  const { heapUsed, external } = Deno.memoryUsage();
  chargedBytes = Math.max(chargedBytes, heapUsed + external);
}, 20);
await runInProcess(definition, {
  job: {
    jobId: backupId,
    kind: "backup",
    type: "files",
    backupId,
    reason: null,
    createdBy: "bench",
  },
  ...{ clock: systemClock, concurrency: Number(atOnce), maxAttempts: 3 },
});
clearInterval(looking);
await session?.close();
const { manifest } = await repository.readBackup(backupId, { type: "files" });
console.log(JSON.stringify({ ...manifest.totals, chargedBytes }));

function sourceOf(database: Session | null): ItemSource {
  if (kind === "storage") {
    const api = new StorageApi({ url: address, key: new Secret(apiKey) });
    return filesSource({ api, projectRef: null, database });
  }
  return s3Source({
    ...{
      bucket: BUCKET,
      prefix: "",
      region: "us-east-1",
      pathStyle: true,
      endpoint: `${address}/s3`,
    },
    credentials: { accessKeyId: "bench", secretAccessKey: new Secret("bench"), sessionToken: null },
  });
}
