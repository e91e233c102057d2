/**
 * PostgreSQL servers for tests.
 *
 * @module
 */
import {
  type EmbeddedPostgres,
  type PostgresMajor,
  startPostgres,
} from "../../scripts/embedded_postgres.ts";

/** A server that tests may make databases on; it is shared, so they use names of their own. */
export interface TestServer {
  readonly major: PostgresMajor;
  readonly port: number;
  /** The URL of a database as the bootstrap superuser. @default "postgres" */
  url(database?: string): string;
}

const servers = new Map<PostgresMajor, Promise<TestServer>>();
const started: EmbeddedPostgres[] = [];

/**
 * A server of this major version: the one at `TEST_POSTGRES_<major>_URL` when that is set, else an
 * embedded one that is started once and ends with the process.
 */
export function testServer(major: PostgresMajor): Promise<TestServer> {
  let server = servers.get(major);
  if (server === undefined) {
    server = open(major);
    servers.set(major, server);
  }
  return server;
}

async function open(major: PostgresMajor): Promise<TestServer> {
  const given = Deno.env.get(`TEST_POSTGRES_${major}_URL`);
  if (given !== undefined && given !== "") {
    const base = new URL(given);
    return {
      major,
      port: Number(base.port || 5432),
      url(database = "postgres") {
        const url = new URL(base);
        url.pathname = `/${encodeURIComponent(database)}`;
        return url.href;
      },
    };
  }
  const server = await startPostgres({ major, settings: { max_prepared_transactions: "10" } });
  if (started.length === 0) globalThis.addEventListener("unload", killAll);
  started.push(server);
  return { major, port: server.port, url: (database) => server.url(database) };
}

/** At the end of the process only synchronous work is possible: the server is told to stop at once. */
function killAll(): void {
  for (const server of started) {
    const pidFile = Deno.readTextFileSync(`${server.dataDirectory}/postmaster.pid`);
    Deno.kill(Number(pidFile.split("\n")[0]), "SIGQUIT");
  }
}
