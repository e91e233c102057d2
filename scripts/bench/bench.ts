/**
 * Measures backups and restores beside PostgreSQL's own programs: `deno task bench --help`.
 *
 * Everything runs on one machine in one go. Contestants take turns, so that what else the machine does
 * meets all of them; figures are medians. What counts are the ratios.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { parseArgs } from "node:util";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { type PostgresMajor, startPostgres } from "../embedded_postgres.ts";
import { join } from "../paths.ts";
import { BENCH_CASES, type BenchCase } from "./cases.ts";
import {
  backups,
  type Contestant,
  type ContestantOptions,
  restores,
  schemaOnly,
  schemas,
} from "./contestants.ts";
import { measureSecondBackup } from "./second_backup.ts";
import { median, type Result, resultTable, schemaTable } from "./result_table.ts";
import { type Bench, folderBytes, runContestant, runSql } from "./bench_context.ts";

const HELP = `deno task bench: measures backups and restores beside pg_dump and pg_restore

  --full           sizes of hundreds of megabytes instead of small ones
  --case …         only this case (repeatable): ${BENCH_CASES.map(({ name }) => name).join(", ")}
  --runs …         runs of each contestant, of which the median counts (default 3)
  --jobs …         only contestants with this number of jobs: 1 or 2
  --only …         backup, restore, second or schema (which else only the case many has)
  --megabytes …    another size of the case
  --server …       major version of the server, 15 to 18 (default 17)
  --out …          writes the tables as Markdown into this file too

pg_dump and pg_restore are taken from the folder in PG_BIN, else from PATH; they must be of the server's
version or newer. restic is taken from PATH and left out where there is none.

Files are measured beside rclone by: deno run -A scripts/bench/files.ts --help`;

interface Options {
  full: boolean;
  cases: readonly BenchCase[];
  runs: number;
  jobs: number | null;
  only: string | null;
  megabytes: number | null;
  major: PostgresMajor;
  out: string | null;
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === null) return console.log(HELP);
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-bench-" });
  await using server = await startPostgres({
    major: options.major,
    settings: { max_wal_size: "4GB", shared_buffers: "512MB", autovacuum: "off" },
  });
  const pidFile = await Deno.readTextFile(join(server.dataDirectory, "postmaster.pid"));
  const bench: Bench = {
    server,
    serverPid: Number(pidFile.split("\n")[0]),
    folder,
    contestants: await contestantOptions(options),
    runs: options.runs,
  };
  try {
    for (const one of options.cases) await runCase(bench, one, options);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function runCase(bench: Bench, one: BenchCase, options: Options): Promise<void> {
  const megabytes = options.megabytes ?? one.megabytes[options.full ? "full" : "small"];
  const source = `bench_${one.name}`;
  await runSql(bench, `CREATE DATABASE ${source}`);
  await runSql(bench, `SET max_parallel_workers_per_gather = 0`, source);
  await runSql(bench, one.sql(megabytes), source);
  await runSql(bench, "CHECKPOINT"); // VACUUM marks no page whose rows' commit has not been flushed
  await runSql(bench, "VACUUM ANALYZE", source);
  await runSql(bench, "CHECKPOINT");
  const bytes = await databaseBytes(bench, source);
  const title = `${one.name}: ${one.title}, ${Math.round(bytes / 1e6)} MB in the server`;
  const wanted = (all: Contestant[]) =>
    all.filter(({ jobs }) => options.jobs === null || jobs === options.jobs);
  const does = (what: string) => options.only === null || options.only === what;
  const sections: string[] = [];
  if (does("backup")) {
    const results = await measureBackups(bench, wanted(backups(bench.contestants)), {
      ...one,
      source,
    });
    sections.push(resultTable(`Backup of ${title}`, results, bytes));
  }
  if (does("restore")) {
    const results = await measureRestores(bench, wanted(restores(bench.contestants)), source);
    sections.push(resultTable(`Restore of ${title}`, results, bytes));
  }
  if (options.only === "schema" || options.only === null && one.isMostlySchema === true) {
    const results = await measureSchema(bench, source);
    sections.push(schemaTable(`Definitions without rows of ${title}`, results));
  }
  if (does("second")) sections.push(await measureSecondBackup(bench, one, source));
  await runSql(bench, `DROP DATABASE ${source}`);
  for (const section of sections) console.log(`\n${section}`);
  if (options.out !== null) {
    await Deno.writeTextFile(options.out, sections.map((text) => `${text}\n\n`).join(""), {
      append: true,
    });
  }
}

async function measureBackups(
  bench: Bench,
  contestants: readonly Contestant[],
  { source, hasNoRows }: Pick<BenchCase, "hasNoRows"> & { source: string },
): Promise<Result[]> {
  const url = bench.server.url(source);
  const target = join(bench.folder, "backup");
  const measure = async (contestant: Contestant) => {
    const measured = await runContestant(bench, contestant, { url, folder: target });
    const storedBytes = await folderBytes(target);
    await Deno.remove(target, { recursive: true });
    return { ...measured, storedBytes };
  };
  return await inTurns(bench, contestants, async (contestant) => {
    const without = hasNoRows === true ? null : await measure(schemaOnly(contestant));
    const { seconds, ...measured } = await measure(contestant);
    const copySeconds = without === null ? null : seconds - without.seconds;
    return { ...measured, seconds, copySeconds };
  });
}

async function measureSchema(bench: Bench, source: string): Promise<Result[]> {
  const place = { url: bench.server.url(source), folder: join(bench.folder, "schema") };
  return await inTurns(bench, schemas(bench.contestants), async (contestant) => {
    await Deno.mkdir(place.folder);
    const measured = await runContestant(bench, contestant, place);
    const storedBytes = await folderBytes(place.folder);
    await Deno.remove(place.folder, { recursive: true });
    return { ...measured, storedBytes, copySeconds: null };
  });
}

async function measureRestores(
  bench: Bench,
  contestants: readonly Contestant[],
  source: string,
): Promise<Result[]> {
  const folders = new Map<string, string>();
  for (const contestant of backups({ ...bench.contestants, full: false })) {
    if (contestant.jobs !== 2) continue;
    const kind = contestant.name.split(" ").at(-1)!;
    const own = contestant.name.startsWith("backup");
    const folder = join(bench.folder, own ? "repository" : `dump_${kind.replace(":", "_")}`);
    await runContestant(bench, contestant, { url: bench.server.url(source), folder });
    folders.set(own ? "own" : kind, folder);
  }
  const results = await inTurns(bench, contestants, async (contestant) => {
    const kind = contestant.name.split(" ").at(-1)!;
    const folder = folders.get(contestant.name.startsWith("restore") ? "own" : kind)!;
    await runSql(bench, "CREATE DATABASE bench_target TEMPLATE template0");
    await runSql(bench, "CHECKPOINT");
    const url = bench.server.url("bench_target");
    const measured = await runContestant(bench, contestant, { url, folder });
    await runSql(bench, "DROP DATABASE bench_target");
    return { ...measured, storedBytes: null, copySeconds: null };
  });
  for (const folder of folders.values()) await Deno.remove(folder, { recursive: true });
  return results;
}

/** Every contestant once, then every one again; medians. */
async function inTurns(
  { runs }: Bench,
  contestants: readonly Contestant[],
  measure: (contestant: Contestant) => Promise<Omit<Result, "contestant">>,
): Promise<Result[]> {
  const all = contestants.map(() => [] as Omit<Result, "contestant">[]);
  for (let run = 0; run < runs; run++) {
    for (const [index, contestant] of contestants.entries()) {
      const result = await measure(contestant);
      const text = `${contestant.name}: ${result.seconds.toFixed(2)} s`;
      console.error(`run ${run + 1} of ${runs}: ${text} ${phasesOf(result.output)}`);
      all[index]!.push(result);
    }
  }
  return contestants.map((contestant, index) => {
    const of = (pick: (one: Omit<Result, "contestant">) => number | null) =>
      median(all[index]!.map(pick).filter((value) => value !== null));
    const first = all[index]![0]!;
    return {
      ...first,
      contestant,
      seconds: of((one) => one.seconds),
      cpuSeconds: of((one) => one.cpuSeconds),
      serverCpuSeconds: of((one) => one.serverCpuSeconds),
      peakBytes: Math.max(...all[index]!.map((one) => one.peakBytes)),
      copySeconds: first.copySeconds === null ? null : of((one) => one.copySeconds),
    };
  });
}

/** What a restore says about its phases, for whoever watches. */
function phasesOf(output: string): string {
  const seconds = /"seconds":(\{[^}]*\})/.exec(output)?.[1];
  return seconds === undefined ? "" : seconds.replaceAll('"', "");
}

async function databaseBytes(bench: Bench, database: string): Promise<number> {
  const session = await connect({ url: bench.server.url(database) });
  try {
    // What is copied: rows with their TOAST, and large objects; no indexes, no catalogs.
    const [row] = await session.query<{ bytes: string }>(`
      SELECT (pg_table_size('pg_largeobject') + coalesce(sum(pg_table_size(oid)), 0))::text AS bytes
        FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`);
    return Number(row?.bytes ?? 0);
  } finally {
    await session.close();
  }
}

async function contestantOptions({ full, major }: Options): Promise<ContestantOptions> {
  const postgresBin = Deno.env.get("PG_BIN") ?? null;
  const program = postgresBin === null ? "pg_dump" : join(postgresBin, "pg_dump");
  const { stdout } = await new Deno.Command(program, { args: ["--version"] }).output();
  const version = Number(/(\d+)\./.exec(new TextDecoder().decode(stdout))?.[1] ?? 0);
  if (version < major) {
    throw new Error(`${program} is of version ${version}, the server of ${major}: set PG_BIN`);
  }
  const key = toBase64(crypto.getRandomValues(new Uint8Array(32)));
  return { key, postgresBin, hasZstd: version >= 16, full };
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      full: { type: "boolean" },
      case: { type: "string", multiple: true },
      runs: { type: "string" },
      jobs: { type: "string" },
      only: { type: "string" },
      megabytes: { type: "string" },
      server: { type: "string" },
      out: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) return null;
  const names = values.case;
  return {
    full: values.full ?? false,
    cases: BENCH_CASES.filter(({ name }) => names === undefined || names.includes(name)),
    runs: Number(values.runs ?? 3),
    jobs: values.jobs === undefined ? null : Number(values.jobs),
    only: values.only ?? null,
    megabytes: values.megabytes === undefined ? null : Number(values.megabytes),
    major: Number(values.server ?? 17) as PostgresMajor,
    out: values.out ?? null,
  };
}

if (import.meta.main) await main();
