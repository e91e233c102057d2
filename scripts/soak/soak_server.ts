/**
 * Servers for long trials: Debian's with pg_cron where it is installed, else the one from npm with a
 * stand-in for pg_cron.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { startCronStandIn } from "../../tests/support/cron_stand_in.ts";
import { debianServer, hasDebianServer } from "../../tests/support/debian_server.ts";
import { type EmbeddedPostgres, startPostgres } from "../embedded_postgres.ts";
import { endedOnInterrupt } from "./on_interrupt.ts";

/** A database with a clock, and an empty one on a server of the same kind. */
export interface SoakServer extends AsyncDisposable {
  sourceUrl: string;
  targetUrl: string;
  /** What it is, for a report. */
  title: string;
  /** Makes the target anew. */
  emptyTarget(): Promise<void>;
}

/** Counts statements. */
const COUNTER = "pg_stat_statements";
const SETTINGS = {
  max_wal_size: "2GB",
  shared_buffers: "256MB",
  // Each table of a backup is locked; pg_dump needs as many.
  max_locks_per_transaction: "512",
  // Each COPY of a range is a statement of its own to the counter; it forgets what is beyond this.
  [`${COUNTER}.max`]: "100000",
};

/** Starts servers of its own. With `pgCron` keepers begin by the minute; the stand-in begins them at once. */
export async function startSoakServer({ pgCron }: { pgCron: boolean }): Promise<SoakServer> {
  const real = pgCron && hasDebianServer(["pg_cron"]);
  const server = await startServer(real, "soak");
  // An extension like pg_cron is at home in one database of a server: a restored one needs another server.
  const other = real ? await startServer(real, "soak_target") : server;
  try {
    await runIn(server.url(), "CREATE DATABASE soak TEMPLATE template0");
    const sourceUrl = server.url("soak");
    if (real) await runIn(sourceUrl, "CREATE EXTENSION pg_cron");
    const cron = real ? null : await startCronStandIn(sourceUrl);
    return endedOnInterrupt({
      sourceUrl,
      targetUrl: other.url("soak_target"),
      title: `PostgreSQL ${server.major}, ${real ? "pg_cron" : "a stand-in for pg_cron"}`,
      async emptyTarget() {
        await runIn(other.url(), "DROP DATABASE IF EXISTS soak_target WITH (FORCE)");
        await runIn(other.url(), "CREATE DATABASE soak_target TEMPLATE template0");
      },
      async [Symbol.asyncDispose]() {
        await cron?.[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
        if (other !== server) await other[Symbol.asyncDispose]();
      },
    });
  } catch (error) {
    await server[Symbol.asyncDispose]();
    if (other !== server) await other[Symbol.asyncDispose]();
    throw error;
  }
}

async function startServer(real: boolean, cronDatabase: string): Promise<EmbeddedPostgres> {
  if (!real) {
    return endedOnInterrupt(
      await startPostgres({
        major: 17,
        settings: { ...SETTINGS, shared_preload_libraries: COUNTER },
      }),
    );
  }
  const server = await debianServer({
    preload: ["pg_cron", COUNTER],
    settings: { ...SETTINGS, "cron.database_name": cronDatabase, max_worker_processes: "16" },
  });
  if (server === null) throw new Error("Cannot start Debian's server: it is not installed");
  return endedOnInterrupt(server);
}

async function runIn(url: string, sql: string): Promise<void> {
  const session = await connect({ url });
  await session.execute(sql).finally(() => session.close());
}
