/**
 * Shows how much memory a backup and a restore need with as many jobs as anybody may ask for, and what they,
 * exports and imports need of one huge value, each a process of its own:
 * `deno run -A scripts/bench/memory.ts [megabytes of text] [megabytes of bytea]`, else 200 and 900. Or of how much
 * they need of very many tables of seven objects each: `deno run -A scripts/bench/memory.ts tables [how many]`,
 * else 10000.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { type EmbeddedPostgres, ROOT, startPostgres } from "../embedded_postgres.ts";
import { join } from "../paths.ts";
import { makeTables } from "../soak/many_tables.ts";
import { taskFlags } from "./task_flags.ts";

/** Limits the heap to what a hosted function has; bytes outside of it are measured. */
const V8_FLAGS = "--v8-flags=--max-old-space-size=200";

/** Values of 9.6 kB that nothing compresses, about 320 MB of them. */
const MANY_ROWS = `
  CREATE TABLE filled AS
    SELECT i, (SELECT string_agg(sha256((i * 1000 + j)::text::bytea), '')
                 FROM generate_series(1, 300) j) AS value
      FROM generate_series(1, 33000) i;
  ANALYZE`;
const KEY = toBase64(crypto.getRandomValues(new Uint8Array(32)));

/** Runs a program of this project; its peak of resident memory in megabytes, and its seconds. */
async function measure(
  script: string,
  args: string[],
  flags: readonly string[] = [V8_FLAGS],
): Promise<{ peak: number; seconds: number }> {
  const begun = Date.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...flags, join(ROOT, script), ...args],
    cwd: ROOT,
    env: { BACKUP_ENCRYPTION_KEY: KEY },
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let peak = 0;
  const look = () => {
    try {
      const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1000);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // it has ended
    }
  };
  const looking = setInterval(look, 20);
  try {
    const { success, stderr } = await child.output();
    if (!success) throw new Error(`${script} failed: ${new TextDecoder().decode(stderr)}`);
  } finally {
    clearInterval(looking);
  }
  return { peak, seconds: (Date.now() - begun) / 1000 };
}

async function run(server: EmbeddedPostgres, sql: string, database?: string): Promise<void> {
  const session = await connect({ url: server.url(database) });
  await session.execute(sql).finally(() => session.close());
}

function print(what: string, { peak, seconds }: { peak: number; seconds: number }, idle: number) {
  const above = (peak - idle).toFixed(0);
  console.log(
    `${what.padEnd(24)} ${peak.toFixed(0).padStart(5)} MB, ${above.padStart(4)} MB above idle, ` +
      `${seconds.toFixed(1)} s`,
  );
}

async function main(): Promise<void> {
  if (Deno.args[0] === "tables") return await measureTables(Number(Deno.args[1] ?? 10_000));
  const [text = 200, bytea = 900] = Deno.args.map(Number);
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-memory-" });
  await using server = await startPostgres({ major: 17, settings: { max_wal_size: "8GB" } });
  try {
    const help = await measure("scripts/backup.ts", ["--help"]);
    print("idle", help, help.peak);
    await measureJobs(server, { folder, idle: help.peak });
    const values = [
      { name: "text", megabytes: text, bytes: 32, value: "string_agg(md5(i::text), '')" },
      { name: "bytea", megabytes: bytea, bytes: 64, value: "string_agg(sha512(int4send(i)), '')" },
    ];
    for (const { name, megabytes, bytes, value } of values) {
      const target = `${name}_target`;
      const repository = ["--repository", `file://${join(folder, name)}`];
      const title = `of ${megabytes} MB ${name}`;
      await run(server, `CREATE DATABASE ${name}_source`);
      await run(server, `CREATE DATABASE ${target}`);
      const pieces = Math.floor(megabytes * 1_000_000 / bytes);
      await run(
        server,
        `CREATE TABLE huge (value ${name}); ALTER TABLE huge ALTER value SET STORAGE EXTERNAL; ` +
          `INSERT INTO huge SELECT ${value} FROM generate_series(1, ${pieces}) i`,
        `${name}_source`,
      );
      const from = ["--database-url", server.url(`${name}_source`)];
      const to = ["--database-url", server.url(target)];
      const one = ["--jobs", "1"];
      const backup = await measure("scripts/backup.ts", [...repository, ...from, ...one]);
      print(`backup ${title}`, backup, help.peak);
      const restore = await measure("scripts/restore.ts", [...repository, ...to, ...one]);
      print(`restore ${title}`, restore, help.peak);
      if (name === "bytea" && megabytes > 500) continue; // no server loads it as text
      const file = join(folder, "export");
      const output = ["--output", file, "--force"];
      const exported = await measure("scripts/export.ts", [...repository, ...output]);
      print(`export ${title}`, exported, help.peak);
      const live = ["--from", server.url(`${name}_source`), "--format", "json", ...output];
      print(`live, JSON ${title}`, await measure("scripts/export.ts", live), help.peak);
      const input = ["--input", file, "--mode", "replace"];
      print(`import ${title}`, await measure("scripts/import.ts", [...to, ...input]), help.peak);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Very many tables. */
async function measureTables(tables: number): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-memory-" });
  // A backup locks each table, in the session that holds the moment and in those that read.
  const settings = { max_wal_size: "8GB", max_locks_per_transaction: "2048" };
  await using server = await startPostgres({ major: 17, settings });
  try {
    const repository = ["--repository", `file://${folder}/repository`];
    const idle = await measure("scripts/backup.ts", ["--help"]);
    print("idle", idle, idle.peak);
    for (const name of ["source", "target"]) await run(server, `CREATE DATABASE ${name}`);
    const source = await connect({ url: server.url("source") });
    await makeTables(source, tables).finally(() => source.close());
    await run(server, "ANALYZE", "source");
    const from = [...repository, "--database-url", server.url("source")];
    const backup = await measure("scripts/backup.ts", from, taskFlags("backup"));
    print(`backup, ${tables} tables`, backup, idle.peak);
    const to = [...repository, "--database-url", server.url("target")];
    const restore = await measure("scripts/restore.ts", to, taskFlags("restore"));
    print(`restore, ${tables} tables`, restore, idle.peak);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Each with a backup and a restore. */
async function measureJobs(
  server: EmbeddedPostgres,
  { folder, idle }: { folder: string; idle: number },
): Promise<void> {
  await run(server, "CREATE DATABASE rows_source");
  await run(server, MANY_ROWS, "rows_source");
  for (const jobs of ["2", "4", "16"]) {
    const target = `rows_target_${jobs}`;
    await run(server, `CREATE DATABASE ${target}`);
    const repository = ["--repository", `file://${join(folder, `rows_${jobs}`)}`, "--jobs", jobs];
    const from = ["--database-url", server.url("rows_source")];
    print(
      `backup, --jobs ${jobs}`,
      await measure("scripts/backup.ts", [...repository, ...from]),
      idle,
    );
    const to = ["--database-url", server.url(target)];
    print(
      `restore, --jobs ${jobs}`,
      await measure("scripts/restore.ts", [...repository, ...to]),
      idle,
    );
  }
}

if (import.meta.main) await main();
