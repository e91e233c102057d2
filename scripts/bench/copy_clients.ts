/**
 * Compares the project's own connection with the `postgres` package at COPY, each client in a process of its own:
 * `deno run -A scripts/bench/copy_clients.ts [megabytes] [runs]`, else 100 and 3. Nothing is compressed or stored:
 * only what passes through the connection is measured, start of the program left out.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { once } from "node:events";
import postgres from "postgres";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { ROOT, startPostgres } from "../embedded_postgres.ts";
import { join } from "../paths.ts";
import { BENCH_CASES } from "./cases.ts";
import { runMeasured } from "./run_measured.ts";

const OUT = "COPY events TO STDOUT (FORMAT binary)";
const IN = "COPY loaded FROM STDIN (FORMAT binary)";
const CLIENTS = ["own", "postgres"] as const;
const DIRECTIONS = ["out", "in"] as const;

type Client = typeof CLIENTS[number];
type Direction = typeof DIRECTIONS[number] | "nothing";

if (import.meta.main) {
  const [first, ...rest] = Deno.args;
  if (first === "copy") await copy(rest as [Client, Direction, string, string]);
  else await bench(Number(first ?? 100), Number(rest[0] ?? 3));
}

async function bench(megabytes: number, runs: number): Promise<void> {
  await using server = await startPostgres({ major: 17, settings: { autovacuum: "off" } });
  const session = await connect({ url: server.url() });
  await session.execute(BENCH_CASES.find(({ name }) => name === "large")!.sql(megabytes));
  await session.execute("CREATE TABLE loaded (LIKE events)");
  const file = await Deno.makeTempFile({ prefix: "supabase-backup-copy-" });
  try {
    const bytes = await writeCopy(session, file);
    const pidFile = await Deno.readTextFile(join(server.dataDirectory, "postmaster.pid"));
    const cost = async (client: Client, direction: Direction) => {
      await session.execute("TRUNCATE loaded");
      const { cpuSeconds } = await runMeasured({
        program: Deno.execPath(),
        args: [
          ...["run", "-A", "--no-check", "--no-lock"],
          ...[join(ROOT, "scripts", "bench", "copy_clients.ts"), "copy"],
          ...[client, direction, server.url(), file],
        ],
        serverPid: Number(pidFile.split("\n")[0]),
      });
      const [same] = await session.query(
        "SELECT (SELECT count(*) FROM loaded) = (SELECT count(*) FROM events) AS loaded",
      );
      if (same?.loaded !== (direction === "in")) throw new Error(`${client} lost rows`);
      return cpuSeconds;
    };
    console.log(
      `COPY of ${
        (bytes / 1e6).toFixed(0)
      } MB, CPU seconds of the client per gigabyte, median of ${runs}`,
    );
    for (const direction of DIRECTIONS) {
      const found: Record<Client, number[]> = { own: [], postgres: [] };
      for (let run = 0; run < runs; run++) {
        for (const client of CLIENTS) {
          const start = await cost(client, "nothing");
          found[client].push((await cost(client, direction) - start) / (bytes / 1e9));
        }
      }
      const [own, other] = CLIENTS.map((client) => median(found[client])) as [number, number];
      console.log(
        `${direction}: own ${own.toFixed(2)}, postgres ${other.toFixed(2)}, ${
          (other / own).toFixed(1)
        } times`,
      );
    }
  } finally {
    await session.close();
    await Deno.remove(file);
  }
}

async function writeCopy(
  session: Awaited<ReturnType<typeof connect>>,
  path: string,
): Promise<number> {
  using file = await Deno.open(path, { write: true });
  const writer = file.writable.getWriter();
  const { bytes } = await session.copyOut(OUT, (slice) => writer.write(slice.slice()));
  await writer.close();
  return bytes;
}

/** What a child does: all bytes pass, in pieces that its client likes. */
async function copy([client, direction, url, path]: [Client, Direction, string, string]) {
  const pieces = direction === "in" ? (await Deno.open(path)).readable : null;
  if (client === "own") {
    const session = await connect({ url });
    if (direction === "out") await session.copyOut(OUT, () => {});
    if (pieces !== null) await session.copyIn(IN, pieces);
    await session.close();
    return;
  }
  const sql = postgres(url, { max: 1 });
  await sql`SELECT 1`;
  if (direction === "out") {
    const stream = await sql.unsafe(OUT).readable();
    stream.on("data", () => {});
    await once(stream, "end");
  }
  if (pieces !== null) {
    const stream = await sql.unsafe(IN).writable();
    for await (const piece of pieces) if (!stream.write(piece)) await once(stream, "drain");
    stream.end();
    await once(stream, "finish");
  }
  await sql.end();
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
