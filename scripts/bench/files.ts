/**
 * Measures backups of files beside rclone: `deno run -A scripts/bench/files.ts --help`.
 *
 * One process gives the objects, as Supabase Storage and as a bucket of S3. rclone copies them into a
 * directory; the backup is written, encrypted and compressed, into another on the same disk. Contestants
 * take turns, and what counts are the ratios.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { parseArgs } from "node:util";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { ROOT, startPostgres } from "../embedded_postgres.ts";
import { dirname, fileURLToPath, join } from "../paths.ts";
import { BenchObjects, BUCKET } from "./files_place.ts";
import { type Measured, runMeasured } from "./run_measured.ts";
import { median } from "./result_table.ts";

const HELP = `deno run -A scripts/bench/files.ts: measures backups of files beside rclone sync

  --objects …      how many (default 10000; the bar is 100000)
  --bytes …        of each (default 10000)
  --runs …         of each contestant, of which the median counts (default 1)
  --threads …      of the backup, as a host has them (default 2; 0: none, as a function does it)
  --at-once …      parts of the backup at a time without threads (default 2)
  --only …         storage, s3 or rclone (repeatable)

rclone is taken from PATH and left out where there is none.`;

/** What one way of copying cost: first everything, then what had changed. */
interface Rounds {
  first: Measured & { reads: number };
  second: Measured & { reads: number };
}

interface Place {
  url: string;
  databaseUrl: string;
  serverPid: number;
  folder: string;
  atOnce: string;
  threads: string;
}

/** A way of copying from the place into a directory. */
interface Contestant {
  name: string;
  program: string;
  args(place: Place, directory: string): string[];
  env(place: Place): Record<string, string>;
}

const HERE = dirname(fileURLToPath(new URL(import.meta.url)));

/** What gives the objects at present. */
let running: Deno.ChildProcess | null = null;

const KEY = toBase64(crypto.getRandomValues(new Uint8Array(32)));

/** The heap of a hosted function; bytes outside of it are measured with it. */
const HEAP = "--v8-flags=--max-old-space-size=200";

function own(kind: "storage" | "s3"): Contestant {
  return {
    name: `backup from ${kind === "storage" ? "Storage, listed by SQL" : "S3"}`,
    program: Deno.execPath(),
    args: ({ url, databaseUrl, atOnce, threads }, directory) => [
      ...["run", "-A", "--no-check", HEAP, join(HERE, "files_backup.ts")],
      ...[kind, url, databaseUrl, directory, atOnce, "bench", threads],
    ],
    env: () => ({ BACKUP_ENCRYPTION_KEY: KEY }),
  };
}

function rclone(transfers: number): Contestant {
  return {
    name: `rclone sync from S3 --transfers ${transfers}`,
    program: "rclone",
    args: (_, directory) => [
      ...["sync", `place:${BUCKET}`, directory, "--use-server-modtime", "--fast-list"],
      ...["--transfers", String(transfers), "--checkers", "16"],
    ],
    env: ({ url, folder }) => ({
      RCLONE_CONFIG: join(folder, "rclone.conf"),
      // Not meant for it, and not understood by it.
      AWS_CA_BUNDLE: "",
      RCLONE_CONFIG_PLACE_TYPE: "s3",
      RCLONE_CONFIG_PLACE_PROVIDER: "Other",
      RCLONE_CONFIG_PLACE_LIST_VERSION: "2",
      RCLONE_CONFIG_PLACE_ENDPOINT: `${url}/s3`,
      RCLONE_CONFIG_PLACE_ACCESS_KEY_ID: "bench",
      RCLONE_CONFIG_PLACE_SECRET_ACCESS_KEY: "bench",
    }),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      objects: { type: "string", default: "10000" },
      bytes: { type: "string", default: "10000" },
      runs: { type: "string", default: "1" },
      threads: { type: "string", default: "2" },
      "at-once": { type: "string", default: "2" },
      only: { type: "string", multiple: true },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) return console.log(HELP);
  const [count, bytes, runs] = [values.objects, values.bytes, values.runs].map(Number) as [
    ...[number, number, number],
  ];
  const contestants: Contestant[] = [own("storage"), own("s3")];
  if (await isHere("rclone")) contestants.push(rclone(4), rclone(16));
  const wanted = contestants.filter(({ name }) =>
    values.only === undefined ||
    values.only.some((only) =>
      name.toLowerCase().startsWith(only === "rclone" ? only : `backup from ${only}`)
    )
  );
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-bench-" });
  await using server = await startPostgres({ major: 17, settings: { autovacuum: "off" } });
  // Ended from outside, it leaves nothing behind.
  Deno.addSignalListener("SIGTERM", () => {
    running?.kill("SIGKILL");
    const folders = Deno.remove(folder, { recursive: true }).catch(() => {});
    void Promise.all([server[Symbol.asyncDispose](), folders]).finally(() => Deno.exit(143));
  });
  const pidFile = await Deno.readTextFile(join(server.dataDirectory, "postmaster.pid"));
  const results = wanted.map(() => [] as Rounds[]);
  try {
    for (let run = 0; run < runs; run++) {
      for (const [index, contestant] of wanted.entries()) {
        const measured = await measure(contestant, {
          ...{ count, bytes, folder, atOnce: values["at-once"] ?? "2" },
          threads: values.threads ?? "2",
          ...{ databaseUrl: server.url(), serverPid: Number(pidFile.split("\n")[0]) },
        });
        results[index]!.push(measured);
        const { first, second } = measured;
        const told = `${inShort(first)}, then ${inShort(second)}`;
        console.error(`run ${run + 1} of ${runs}: ${contestant.name}: ${told}`);
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  console.log(table(wanted, results, { count, bytes }));
}

/** Copies everything, has one object in a thousand changed, copies again. */
async function measure(
  contestant: Contestant,
  { count, bytes, ...place }: Omit<Place, "url"> & { count: number; bytes: number },
): Promise<Rounds> {
  const objects = new BenchObjects(count, bytes);
  await fillRows(place.databaseUrl, objects);
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", join(HERE, "files_place.ts"), String(count), String(bytes)],
    stdout: "piped",
    cwd: ROOT,
  }).spawn();
  running = server;
  const directory = join(place.folder, "copy");
  await Deno.mkdir(directory);
  try {
    const { value } = await server.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
    const url = value!.trim();
    const readsOf = async () => Number(await (await fetch(`${url}/reads`)).text());
    const copy = async () => {
      const before = await readsOf();
      const measured = await runMeasured({
        program: contestant.program,
        args: contestant.args({ ...place, url }, directory),
        env: contestant.env({ ...place, url }),
        cwd: ROOT,
        serverPid: place.serverPid,
      });
      return { ...measured, reads: await readsOf() - before };
    };
    const first = await copy();
    const changed = await (await fetch(`${url}/change`)).json() as number[];
    objects.change();
    await changeRows(place.databaseUrl, objects, changed);
    return { first, second: await copy() };
  } finally {
    server.kill("SIGTERM");
    await server.status;
    running = null;
    await Deno.remove(directory, { recursive: true });
  }
}

/** The rows that Storage would have. */
async function fillRows(databaseUrl: string, objects: BenchObjects): Promise<void> {
  const session = await connect({ url: databaseUrl });
  try {
    await session.execute(`
      DROP SCHEMA IF EXISTS storage CASCADE;
      CREATE SCHEMA storage;
      CREATE TABLE storage.buckets (id text PRIMARY KEY, name text, public boolean);
      INSERT INTO storage.buckets VALUES ('${BUCKET}', '${BUCKET}', false);
      CREATE TABLE storage.objects (
        id uuid DEFAULT gen_random_uuid() PRIMARY KEY, bucket_id text, name text,
        version text DEFAULT gen_random_uuid()::text, metadata jsonb, user_metadata jsonb,
        created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(), owner_id text)`);
    await session.copyIn(
      "COPY storage.objects (bucket_id, name, metadata) FROM STDIN",
      (async function* () {
        for (let at = 0; at < objects.count; at++) {
          const line = `${BUCKET}\t${objects.name(at)}\t${
            JSON.stringify(metadataOf(objects, at))
          }\n`;
          yield new TextEncoder().encode(line.replaceAll("\\", "\\\\"));
        }
      })(),
    );
    await session.execute(`
      CREATE UNIQUE INDEX ON storage.objects (bucket_id, name);
      CREATE INDEX ON storage.objects (bucket_id, name COLLATE "C");
      ANALYZE storage.objects`);
  } finally {
    await session.close();
  }
}

async function changeRows(
  databaseUrl: string,
  objects: BenchObjects,
  changed: readonly number[],
): Promise<void> {
  const session = await connect({ url: databaseUrl });
  try {
    for (const at of changed) {
      await session.query(
        `UPDATE storage.objects SET version = gen_random_uuid()::text, metadata = $2::jsonb,
           updated_at = now() WHERE bucket_id = '${BUCKET}' AND name = $1`,
        [objects.name(at), JSON.stringify(metadataOf(objects, at))],
      );
    }
  } finally {
    await session.close();
  }
}

function metadataOf(objects: BenchObjects, at: number) {
  const mimetype = "application/octet-stream";
  return { eTag: `"${objects.eTag(at)}"`, size: objects.bytes, mimetype, cacheControl: "no-cache" };
}

function table(
  contestants: readonly Contestant[],
  results: readonly Rounds[][],
  { count, bytes }: { count: number; bytes: number },
): string {
  const rows = contestants.map(({ name }, index) => {
    const of = (pick: (rounds: Rounds) => number) => median(results[index]!.map(pick));
    const first = of((rounds) => rounds.first.seconds);
    const second = of((rounds) => rounds.second.seconds);
    const cpu = of((rounds) => rounds.first.cpuSeconds);
    const peak = Math.max(
      ...results[index]!.flatMap((rounds) => [rounds.first.peakBytes, rounds.second.peakBytes]),
    );
    return [
      ...[name, first.toFixed(1), (count / first).toFixed(0), cpu.toFixed(1)],
      ...[(count / cpu).toFixed(0), second.toFixed(2)],
      of((rounds) => rounds.second.cpuSeconds).toFixed(1),
      ...[`${(100 * second / first).toFixed(1)} %`, of((rounds) => rounds.second.reads)],
      ...[(peak / 1e6).toFixed(0), chargedMb(results[index]!)],
    ].join(" | ");
  });
  return [
    `**${count} objects of ${bytes} bytes, then again after ${Math.ceil(count / 1000)} changed**`,
    "",
    "| contestant | seconds | objects a second | CPU-s | objects a CPU-s | again, seconds | CPU-s | of the first | read again | peak MB | charged MB |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ...rows.map((row) => `| ${row} |`),
  ].join("\n");
}

/** What a platform would charge our own worker for, at the most. */
function chargedMb(rounds: readonly Rounds[]): string {
  const charged = rounds.flatMap(({ first, second }) => [first, second]).map(({ output }) =>
    Number(/"chargedBytes":(\d+)/.exec(output)?.[1] ?? NaN)
  );
  return Number.isNaN(charged[0]) ? "" : (Math.max(...charged) / 1e6).toFixed(0);
}

function inShort({ seconds, cpuSeconds, peakBytes }: Measured): string {
  const peak = (peakBytes / 1e6).toFixed(0);
  return `${seconds.toFixed(1)} s, ${cpuSeconds.toFixed(1)} CPU-s, ${peak} MB`;
}

async function isHere(program: string): Promise<boolean> {
  try {
    return (await new Deno.Command(program, { args: ["version"], stdout: "null" }).output())
      .success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main) await main();
