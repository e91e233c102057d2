/**
 * Saves files into a directory once, as a process of its own that can be measured. Its arguments: `storage`
 * or `s3`, the address, the database's, the directory, parts at a time, the key of Storage, and the threads
 * of a host; without threads it is done as a function does it. It enters `project/` beside its door, because a
 * service has loaded all of it long before.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import {
  type FilesAccess,
  openFilesSource,
} from "../../supabase/functions/backup/project/files_access.ts";
import {
  createRepository,
  openRepository,
  repositoryExists,
} from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { backupItems } from "../../supabase/functions/backup/usecases/items/backup_items.ts";
import { nativeCode } from "../host/native_code.ts";
import { ThreadPool } from "../host/thread_pool.ts";
import { threadSaver } from "../host/thread_saver.ts";
import { BUCKET } from "./files_place.ts";

const [kind = "", address = "", databaseUrl = "", directory = "", ...more] = Deno.args;
const [atOnce = "2", apiKey = "bench", threadCount = "0"] = more;
const threads = Number(threadCount);
const key = Deno.env.get("BACKUP_ENCRYPTION_KEY") ?? "";
const files = accessOf(kind);
const pool = threads === 0 ? null : new ThreadPool({
  kind: "save",
  threads,
  access: { databaseUrl, repositoryUrl: `file://${directory}`, key, files },
});
const storage = localStorage(directory);
const open = await repositoryExists(storage) ? openRepository : createRepository;
const repository = await open({
  ...{ storage, key: new Secret(key) },
  ...(pool === null ? {} : nativeCode()),
});
let session: Session | null = null;
const source = await openFilesSource(files, {
  projectRef: null,
  openDatabase: async () => session = await connect({ url: databaseUrl }),
});
const backupId = newJobId("backup", systemClock.now(), "files");
const definition = backupItems({
  ...{ backupId, reason: null, origin: "manual", database: "bench", repository, source },
  ...{ clock: systemClock, writtenBy: "bench" },
  ...(pool === null ? {} : { saver: threadSaver(() => pool) }),
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
  ...{ clock: systemClock, concurrency: Math.max(Number(atOnce), pool?.concurrency ?? 0) },
  maxAttempts: 3,
});
clearInterval(looking);
await pool?.close();
await (session as Session | null)?.close();
const { manifest } = await repository.readBackup(backupId, { type: "files" });
console.log(JSON.stringify({ ...manifest.totals, chargedBytes }));

function accessOf(kind: string): FilesAccess {
  if (kind === "storage") return { url: address, key: apiKey };
  return {
    bucket: {
      BACKUP_FILES_SOURCE_BUCKET: BUCKET,
      BACKUP_FILES_SOURCE_ENDPOINT: `${address}/s3`,
      BACKUP_FILES_SOURCE_ACCESS_KEY: "bench",
      BACKUP_FILES_SOURCE_SECRET_KEY: "bench",
    },
  };
}
