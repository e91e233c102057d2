/**
 * A complete verification of a long history, one part after the other in this process: what each part costs
 * of a worker's CPU and memory. The bucket is served by another process.
 *
 *     deno run -A scripts/bench/long_verification.ts --backups 2500 --chunks 100000
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { parseArgs } from "node:util";
import { fromUtf8 } from "../../supabase/functions/backup/core/bytes.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import { openRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { countedStorage } from "../../supabase/functions/backup/storage/counted.ts";
import { s3Storage } from "../../supabase/functions/backup/storage/s3.ts";
import { verifyInParts } from "../../supabase/functions/backup/usecases/verify/verify_in_parts.ts";
import { writeManyBackups } from "../../tests/support/many_backups.ts";
import { startMemoryS3Server } from "../../tests/support/memory_s3_server.ts";
import { fileURLToPath } from "../paths.ts";

const KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const SHARED_CHUNKS = 20;

const { values } = parseArgs({
  options: {
    backups: { type: "string", default: "2500" },
    chunks: { type: "string", default: "100000" },
    serve: { type: "boolean", default: false },
  },
});

/** Milliseconds that this process's own thread has worked. */
function cpuMs(): number {
  const spent = Deno.readTextFileSync(`/proc/self/task/${Deno.pid}/schedstat`);
  return Number(spent.split(" ")[0]) / 1e6;
}

/** Makes the history, serves it, and says where. */
async function serve(): Promise<void> {
  const backups = Number(values.backups);
  const storage = await writeManyBackups({
    ...{ key: new Secret(KEY), backups, sharedChunks: SHARED_CHUNKS },
    ownChunks: Math.ceil(Number(values.chunks) / backups),
    newest: new Date(Date.now() - 86_400_000),
  });
  console.log(startMemoryS3Server(storage).endpoint);
}

async function measure(): Promise<void> {
  const self = fileURLToPath(import.meta.url);
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-lock", self, "--serve", ...Deno.args],
    stdout: "piped",
  }).spawn();
  try {
    const reader = server.stdout.getReader();
    const endpoint = fromUtf8((await reader.read()).value!).trim();
    reader.releaseLock();
    await verify(endpoint);
  } finally {
    server.kill();
    await server.stdout.cancel();
    await server.status;
  }
}

async function verify(endpoint: string): Promise<void> {
  const storage = countedStorage(s3Storage({
    ...{ bucket: "backups", prefix: "", region: "us-east-1", endpoint, pathStyle: true },
    credentials: { accessKeyId: "id", secretAccessKey: new Secret("key"), sessionToken: null },
  }));
  const repository = await openRepository({ storage, key: new Secret(KEY) });
  const definition = verifyInParts({ repository, level: "full", backups: [] });
  const kinds = new Map<string, { parts: number; cpuMs: number; dearestMs: number }>();
  let peakBytes = 0;
  const look = () => {
    const { heapUsed, external } = Deno.memoryUsage();
    peakBytes = Math.max(peakBytes, heapUsed + external);
  };
  const looking = setInterval(look, 200);
  const startedAt = performance.now();
  const job = await runInProcess({
    ...definition,
    async run(lease, context) {
      const before = cpuMs();
      const outcome = await definition.run(lease, context);
      const took = cpuMs() - before;
      const kind = kinds.get(lease.name) ?? { parts: 0, cpuMs: 0, dearestMs: 0 };
      kind.parts += 1;
      kind.cpuMs += took;
      kind.dearestMs = Math.max(kind.dearestMs, took);
      kinds.set(lease.name, kind);
      look();
      return outcome;
    },
  }, {
    job: {
      ...{ jobId: "verify_20260101T000000000Z_0000000001", kind: "verify", type: "database" },
      ...{ backupId: null, reason: null, createdBy: null },
    },
    ...{ clock: systemClock, concurrency: 1 },
  });
  clearInterval(looking);
  const { objectsChecked, problems } = job.result as {
    objectsChecked: number;
    problems: unknown[];
  };
  for (const [name, { parts, cpuMs, dearestMs }] of kinds) {
    console.log(
      `${name}: ${parts} parts, ${(cpuMs / 1000).toFixed(1)} CPU-s, ` +
        `the dearest ${(dearestMs / 1000).toFixed(2)}`,
    );
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  console.log(
    `${objectsChecked} objects, ${problems.length} problems, ${seconds} s, ` +
      `peak ${(peakBytes / 1e6).toFixed(0)} MB`,
  );
}

if (values.serve) await serve();
else await measure();
