/**
 * Compares the project's own connection with the `postgres` package at COPY, each client in a process of its own:
 * `deno run -A scripts/bench/copy_clients.ts [--plain] [megabytes] [runs]`, else 100 and 3. Nothing is compressed
 * or stored: only what passes through the connection is measured. Starting the program and reading the rows to send
 * are left out.
 *
 * The server asks for a password by SCRAM, and the line is TLS with a certificate that both check; `--plain`
 * leaves TLS out. The package's own TLS does not work on Deno 2.1: it is then given the service's own socket, as
 * the service does for its tables.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { once } from "node:events";
import postgres from "postgres";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { driverSocket } from "../../supabase/functions/backup/state/driver_socket.ts";
import { makeCertificates } from "../../tests/support/server_certificates.ts";
import { type EmbeddedPostgres, ROOT, startPostgres } from "../embedded_postgres.ts";
import { join } from "../paths.ts";
import { BENCH_CASES } from "./cases.ts";
import { runMeasured } from "./run_measured.ts";

const OUT = "COPY events TO STDOUT (FORMAT binary)";
const IN = "COPY loaded FROM STDIN (FORMAT binary)";
const CLIENTS = ["own", "postgres"] as const;
const DIRECTIONS = ["out", "in"] as const;

const CONNECT_MS = 30_000;

type Client = typeof CLIENTS[number];
/** What a run without the COPY does: rows to send are read all the same. */
const BESIDES = { out: "nothing", in: "read" } as const;
type Direction = typeof DIRECTIONS[number] | typeof BESIDES[typeof DIRECTIONS[number]];

if (import.meta.main) {
  const [first, ...rest] = Deno.args;
  if (first === "copy") await copy(rest as [Client, Direction, string, string]);
  else {
    const [megabytes = 100, runs = 3] = Deno.args.filter((arg) => arg !== "--plain").map(Number);
    await bench({ megabytes, runs, plain: Deno.args.includes("--plain") });
  }
}

async function bench(
  { megabytes, runs, plain }: { megabytes: number; runs: number; plain: boolean },
): Promise<void> {
  await using server = await startPostgres({
    ...{ major: 17, password: crypto.randomUUID(), settings: { autovacuum: "off" } },
  });
  const url = plain ? server.url() : await demandTls(server);
  const session = await connect({ url });
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
          ...[client, direction, url, file],
        ],
        serverPid: Number(pidFile.split("\n")[0]),
      });
      const [same] = await session.query(
        "SELECT (SELECT count(*) FROM loaded) = (SELECT count(*) FROM events) AS loaded",
      );
      if (same?.loaded !== (direction === "in")) throw new Error(`${client} lost rows`);
      return cpuSeconds;
    };
    const line = plain ? "in clear" : "over TLS";
    console.log(
      `COPY of ${
        (bytes / 1e6).toFixed(0)
      } MB ${line}, password by SCRAM, Deno ${Deno.version.deno}: ` +
        `CPU seconds of the client per gigabyte, median of ${runs}`,
    );
    for (const direction of DIRECTIONS) {
      const found: Record<Client, number[]> = { own: [], postgres: [] };
      for (let run = 0; run < runs; run++) {
        for (const client of CLIENTS) {
          const start = await cost(client, BESIDES[direction]);
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
  if (direction === "read") await (await Deno.open(path)).readable.pipeTo(new WritableStream());
  if (client === "own") {
    const session = await connect({ url });
    if (direction === "out") await session.copyOut(OUT, () => {});
    if (pieces !== null) await session.copyIn(IN, pieces);
    await session.close();
    return;
  }
  const sql = await openPackage(url);
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

/** Lets nobody in without TLS any more. @returns an address by which the server's certificate is checked */
async function demandTls(server: EmbeddedPostgres): Promise<string> {
  const authority = await makeCertificates(server.dataDirectory);
  const hba = join(server.dataDirectory, "pg_hba.conf");
  const rules = await Deno.readTextFile(hba);
  await Deno.writeTextFile(hba, rules.replaceAll(/^host\b/gm, "hostssl"));
  await server.stop();
  await server.start();
  return `${server.url()}?sslmode=verify-full&sslrootcert=${encodeURIComponent(authority)}`;
}

async function openPackage(url: string): Promise<postgres.Sql> {
  const address = new URL(url);
  const authority = address.searchParams.get("sslrootcert");
  address.search = "";
  if (authority === null) return postgres(address.href, { max: 1 });
  const tls = Deno.version.deno.startsWith("2.1.")
    ? { ssl: false, socket: () => driverSocket(url, CONNECT_MS) }
    : { ssl: { ca: await Deno.readTextFile(authority) } };
  return postgres(address.href, { max: 1, ...tls } as postgres.Options<Record<string, never>>);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
