/**
 * Shows what a restore by a served process costs, without threads and with them, by turns:
 * `deno run -A scripts/bench/served_restore.ts [case] [megabytes] [threads] [runs]`, else large, 270, 2 and 3.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { type EmbeddedPostgres, ROOT, startPostgres } from "../embedded_postgres.ts";
import { join } from "../paths.ts";
import { startService } from "../start_service.ts";
import { BENCH_CASES } from "./cases.ts";
import { runMeasured } from "./run_measured.ts";

const KEY = "sb_secret_bench_0123456789abcdef";

async function run(server: EmbeddedPostgres, sql: string, database?: string): Promise<void> {
  const session = await connect({ url: server.url(database) });
  await session.execute(sql).finally(() => session.close());
}

async function main(): Promise<void> {
  const [name = "large", megabytes = "270", threads = "2", runs = "3"] = Deno.args;
  const chosen = BENCH_CASES.find((each) => each.name === name);
  if (chosen === undefined) throw new Error(`there is no case ${name}`);
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-served-" });
  // As the bench has it.
  const settings = { max_wal_size: "8GB", shared_buffers: "512MB" };
  await using server = await startPostgres({ major: 17, settings });
  try {
    await run(server, "CREATE DATABASE source");
    await run(server, chosen.sql(Number(megabytes)), "source");
    await run(server, "VACUUM ANALYZE", "source");
    const pidFile = await Deno.readTextFile(join(server.dataDirectory, "postmaster.pid"));
    const serverPid = Number(pidFile.split("\n")[0]);
    const env = {
      SUPABASE_DB_URL: server.url("source"),
      TARGET_URL: server.url("target"),
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEY }),
      BACKUP_ENCRYPTION_KEY: toBase64(crypto.getRandomValues(new Uint8Array(32))),
      BACKUP_STORAGE_TYPE: "local",
      BACKUP_STORAGE_PATH: join(folder, "backups"),
    };
    const serve = async (...args: string[]) => {
      const program = join(ROOT, "scripts/bench/served_restore.ts");
      const all = ["run", "-A", "--no-check", program, "serve", ...args];
      return await runMeasured({ program: Deno.execPath(), args: all, env, serverPid });
    };
    await serve("backup", threads);
    for (let time = 0; time < Number(runs); time++) {
      for (const count of ["0", threads]) {
        await run(server, "CREATE DATABASE target");
        await run(server, "CHECKPOINT");
        const { output, cpuSeconds, serverCpuSeconds, peakBytes } = await serve("restore", count);
        console.log(
          `${count} threads: ${output.trim()}, ${cpuSeconds.toFixed(2)} CPU-s of the program, ` +
            `${serverCpuSeconds.toFixed(2)} of the server, peak ${(peakBytes / 1e6).toFixed(0)} MB`,
        );
        await run(server, "DROP DATABASE target");
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** One job of a served process that ends with it; says how long it took, and its main thread's CPU meanwhile. */
async function serve(what: string, threads: number): Promise<void> {
  const service = startService({}, { inherit: true, threads });
  const post = async (query: string, body: unknown) => {
    const answer = await fetch(`${service.url}?action=${query}`, {
      ...{ method: "POST", headers: { apikey: KEY }, body: JSON.stringify(body) },
    });
    const said = await answer.json();
    if (said.data?.status !== "completed") throw new Error(JSON.stringify(said));
  };
  if (what === "backup") {
    await fetch(`${service.url}?action=init`, { method: "POST", headers: { apikey: KEY } });
    await post("backup-database&wait=60", {});
  } else {
    const begun = performance.now();
    const before = await mainThreadSeconds();
    await post("restore&wait=60", {
      ...{ type: "database", backupId: "latest", mode: "empty" },
      targetDatabaseUrl: "env:TARGET_URL",
    });
    const seconds = (performance.now() - begun) / 1000;
    const cpu = await mainThreadSeconds() - before;
    console.log(`${seconds.toFixed(2)} s, ${cpu.toFixed(2)} CPU-s of the main thread`);
  }
  await service.stop();
}

/** CPU time of the thread that runs the program's own loop. */
async function mainThreadSeconds(): Promise<number> {
  const stat = await Deno.readTextFile(`/proc/self/task/${Deno.pid}/schedstat`);
  return Number(stat.split(" ")[0]) / 1e9;
}

if (Deno.args[0] === "serve") {
  await serve(Deno.args[1]!, Number(Deno.args[2]));
  Deno.exit(0);
}
await main();
