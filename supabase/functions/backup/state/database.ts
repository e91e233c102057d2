/**
 * The connection to the service's own tables: a small pool that opens on first use.
 *
 * @module
 */
import postgres from "postgres";
import { BackupError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import { parseDatabaseUrl } from "../postgres/database_url.ts";
import { driverSocket } from "./driver_socket.ts";
import { ignoreNullWrites } from "./ignore_null_writes.ts";
import { toStateError } from "./state_error.ts";

/** What runs statements: the pool, or a transaction on it. */
export type Sql = postgres.Sql | postgres.TransactionSql;

const CONNECT_SECONDS = 5;

/** Opens lazily, so that a service with its database down still starts. */
export class StateDatabase {
  readonly #url: Secret | null;
  #pool: postgres.Sql | null = null;

  constructor(url: Secret | null) {
    this.#url = url;
  }

  /** Runs one or more statements. @throws see {@linkcode toStateError} */
  async run<T>(doing: string, work: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    try {
      return await work(this.#open());
    } catch (error) {
      throw toStateError(error, doing);
    }
  }

  /** Runs statements in one transaction. @throws see {@linkcode toStateError} */
  async transaction<T>(
    doing: string,
    work: (sql: postgres.TransactionSql) => Promise<T>,
  ): Promise<T> {
    try {
      return await this.#open().begin(work) as T;
    } catch (error) {
      throw toStateError(error, doing);
    }
  }

  /** Ends all connections. */
  async close(): Promise<void> {
    const pool = this.#pool;
    this.#pool = null;
    await pool?.end({ timeout: 2 });
  }

  #open(): postgres.Sql {
    if (this.#pool) return this.#pool;
    if (this.#url === null) {
      throw new BackupError("invalid_config", "Cannot reach the database: no address is set", {
        hint: "Set SUPABASE_DB_URL.",
      });
    }
    const url = this.#url.reveal();
    ignoreNullWrites();
    this.#pool = postgres(driverUrl(url), {
      ...bySocketOf(url),
      max: 2,
      idle_timeout: 20,
      connect_timeout: CONNECT_SECONDS,
      backoff: () => 0.1, // seconds; the driver's own would make each answer wait while the database is down
      prepare: false, // poolers in transaction mode have no prepared statements
      onnotice: () => {},
      connection: { application_name: "supabase-backup" },
    });
    return this.#pool;
  }
}

/** By the sockets that backups use, whose TLS works everywhere and whose work is counted. */
function bySocketOf(url: string): Record<string, unknown> {
  return { ssl: false, socket: () => driverSocket(url, CONNECT_SECONDS * 1000) };
}

/** The driver reads only proper URLs; ours may hold a password that was pasted as it is. */
function driverUrl(given: string): string {
  const url = given.replace(/([?&])(?:(?:sslmode|sslrootcert)=[^&]*(?:&|$))+/g, "$1")
    .replace(/[?&]$/, "");
  const proper = URL.canParse(url) && (new URL(url).username !== "" || !url.includes("@"));
  if (proper) return url;
  const { user, password, host, port, database } = parseDatabaseUrl(given);
  const secret = password === undefined ? "" : `:${encodeURIComponent(password)}`;
  return `postgres://${encodeURIComponent(user)}${secret}@${host}:${port}/${
    encodeURIComponent(database)
  }`;
}
