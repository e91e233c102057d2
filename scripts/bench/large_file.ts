/**
 * Shows how much memory it takes to save one huge object of Storage and to restore it:
 * `deno run -A scripts/bench/large_file.ts [gigabytes]`, else 5. The object is all zeros, so that the one
 * who gives and takes it needs no memory for it; every byte is read, sealed and sent all the same.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import type { SavedItem } from "../../supabase/functions/backup/core/items.ts";
import type { Json } from "../../supabase/functions/backup/core/part.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { filesTarget, StorageApi } from "../../supabase/functions/backup/project/mod.ts";
import { StorageServer } from "../../tests/support/storage_server.ts";
import { ROOT, startPostgres } from "../embedded_postgres.ts";
import { dirname, fileURLToPath, join } from "../paths.ts";
import { type Measured, runMeasured } from "./run_measured.ts";

const HERE = dirname(fileURLToPath(new URL(import.meta.url)));
const HEAP = "--v8-flags=--max-old-space-size=200";
const BUCKET = "large";
const NAME = "zeros.bin";

/** A worker restores about so many bytes, then another one goes on. */
const TURN_BYTES = 256 << 20;

/** Plays Storage until it is ended; prints where it is. */
async function play(bytes: number): Promise<void> {
  const server = await StorageServer.start("large_file");
  await server.addBucket(BUCKET);
  await server.put(BUCKET, NAME, { zeros: bytes });
  console.log(JSON.stringify([server.url, server.databaseUrl, server.key]));
}

/** Uploads the object under another name, in turns of several workers. */
async function restore(url: string, key: string, bytes: number): Promise<void> {
  const contents = [{ name: "object", bytes, sha256: null, pieces: [] }];
  const own = { key: `${BUCKET}/restored.bin`, revision: null, facts: {}, sizeBytes: bytes };
  const item: SavedItem = { ...own, contents, savedAt: new Date(0).toISOString() };
  const step = { key: item.key, action: "create" as const, title: "store it" };
  let resume: Json = null;
  for (;;) {
    const result = await filesTarget({
      api: new StorageApi({ url, key: new Secret(key) }),
      ...{ onExisting: "replace", database: null, ownersAndTimes: false },
    }).apply(step, {
      ...{ item, resume, maxBytes: TURN_BYTES, signal: new AbortController().signal },
      async *open(_, { from } = { from: 0 }) {
        for (let at = from; at < bytes; at += 1 << 20) {
          yield new Uint8Array(Math.min(1 << 20, bytes - at));
        }
      },
    });
    if (result.outcome !== "paused") return console.log(`${result.outcome}: ${result.checked}`);
    resume = result.resume ?? null;
  }
}

async function main(gigabytes: number): Promise<void> {
  const bytes = gigabytes * 1e9;
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-bench-" });
  await using server = await startPostgres({ major: 17 });
  const pidFile = await Deno.readTextFile(join(server.dataDirectory, "postmaster.pid"));
  const run = (script: string, ...args: string[]) =>
    runMeasured({
      program: Deno.execPath(),
      args: ["run", "-A", "--no-check", HEAP, join(HERE, script), ...args],
      env: { BACKUP_ENCRYPTION_KEY: toBase64(crypto.getRandomValues(new Uint8Array(32))) },
      ...{ cwd: ROOT, serverPid: Number(pidFile.split("\n")[0]) },
    });
  const storage = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(HERE, "large_file.ts"), "play", String(bytes)],
    env: { TEST_POSTGRES_17_URL: server.url() },
    ...{ cwd: ROOT, stdout: "piped" },
  }).spawn();
  try {
    const { value } = await storage.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
    const [url, databaseUrl, key] = JSON.parse(value!) as [string, string, string];
    const place = join(folder, "copy");
    print(
      "backup",
      await run("files_backup.ts", "storage", url, databaseUrl, place, "2", key),
      bytes,
    );
    print("restore", await run("large_file.ts", "restore", url, key, String(bytes)), bytes);
  } finally {
    storage.kill("SIGKILL");
    await storage.status;
    await Deno.remove(folder, { recursive: true });
  }
}

function print(what: string, { seconds, cpuSeconds, peakBytes, output }: Measured, bytes: number) {
  console.log(
    `${what} of ${bytes / 1e9} GB: ${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} CPU-s, ` +
      `peak ${(peakBytes / 1e6).toFixed(0)} MB; ${output.trim()}`,
  );
}

const [role, first = "", second = "", third = ""] = Deno.args;
if (import.meta.main) {
  if (role === "play") await play(Number(first));
  else if (role === "restore") await restore(first, second, Number(third));
  else await main(Number(role ?? 5));
}
