/**
 * A database for a restore test, beside the live one on the same server and inert: nobody else may connect
 * to it, and nothing of it acts on or reaches out to anything.
 *
 * Its name holds the id of the job that made it, so that one whose worker died is known and dropped later.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Entry, EntryKind } from "../../core/model.ts";
import { Secret } from "../../core/secret.ts";
import type { Settings } from "../../core/settings.ts";
import { connect } from "../../postgres/connect.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { Session } from "../../postgres/session.ts";
import type { Repository } from "../../repository/mod.ts";
import { databaseUrl } from "../database_access.ts";
import type { Deps } from "../deps.ts";
import { viewOf } from "../points/repository_view.ts";

const PREFIX = "backup_scratch_";

/** Roles, memberships and tablespaces are the cluster's: the live database would feel them. */
const OF_CLUSTER: readonly EntryKind[] = ["role", "role-membership", "role-setting", "tablespace"];

/** What would act, reach out, or open the database to others. */
const NOT_INERT: readonly EntryKind[] = [
  "database",
  "database-setting",
  "event-trigger",
  "subscription",
  "cron-job",
  "foreign-server",
  "user-mapping",
];

/** Extensions whose workers would look into the database or send from it. */
const NOT_INERT_EXTENSIONS = ["pg_cron", "pg_net", "dblink", "postgres_fdw"];

/** What a restore test leaves out of what it tests, for its report. */
export const NOT_TESTED = [...OF_CLUSTER, ...NOT_INERT];

/** Name of a job's scratch database. */
export function scratchName(jobId: string): string {
  return PREFIX + jobId;
}

/** The address of another database of the same server. */
export function urlOfDatabase(url: Secret, database: string): Secret {
  const [, server = "", query = ""] =
    /^(postgres(?:ql)?:\/\/(?:.*@)?[^/?@]*)(?:\/[^?]*)?(\?.*)?$/is.exec(url.reveal()) ?? [];
  return new Secret(`${server}/${encodeURIComponent(database)}${query}`);
}

/**
 * Makes the database, closed to everybody but its owner.
 *
 * @throws `insufficient_privilege`, `database_*`
 */
export async function createScratchDatabase(
  session: Session,
  options: { name: string; encoding: string },
): Promise<void> {
  const name = quoteIdentifier(options.name);
  const [source] = await session.query(`
    select datcollate as collate, datctype as ctype from pg_catalog.pg_database
    where datname = pg_catalog.current_database()`);
  await session.execute(`CREATE DATABASE ${name} TEMPLATE template0
    ENCODING ${quoteLiteral(options.encoding)} LC_COLLATE ${quoteLiteral(String(source?.collate))}
    LC_CTYPE ${quoteLiteral(String(source?.ctype))} CONNECTION LIMIT 0`);
  await session.execute(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`);
  // Zero connections until here, so that nobody came in before PUBLIC lost the right to.
  await session.execute(`ALTER DATABASE ${name} CONNECTION LIMIT 32`);
}

/** Drops it, with whoever is still connected. */
export async function dropScratchDatabase(session: Session, name: string): Promise<void> {
  await session.execute(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`);
}

/**
 * Drops scratch databases whose job does not run any more. A job of another service on this server is not
 * in our tables, so its database is left alone.
 */
export async function dropScratchDatabases(deps: Deps): Promise<string[]> {
  await deps.state.jobs.failInterrupted();
  const session = await connect({
    url: databaseUrl(deps),
    applicationName: "supabase-backup",
    connectTimeoutMs: 8000,
  });
  try {
    const rows = await session.query(`
      select d.datname as name from pg_catalog.pg_database d
      join public.restore_jobs j on d.datname = '${PREFIX}' || j.job_id
      where j.status not in ('pending', 'running') order by 1`);
    const names = rows.map((row) => String(row.name));
    for (const name of names) await dropScratchDatabase(session, name);
    return names;
  } finally {
    await session.close();
  }
}

/** What is known of the room on the database's disk. */
export interface Room {
  /** The larger of the backup's content and the live database. */
  neededBytes: number;
  /** Null where nobody says how large the disk is: SQL cannot see it. */
  freeBytes: number | null;
}

/**
 * Refuses a restore test that would leave the live database without room.
 *
 * @throws `target_unfit` when less than twice the size is known to be free
 */
export async function checkRoom(
  session: Session,
  settings: Settings,
  rawBytes: number,
): Promise<Room> {
  const [sizes] = await session.query(`
    select pg_catalog.pg_database_size(pg_catalog.current_database()) as live,
      (select sum(case when pg_catalog.has_database_privilege(oid, 'CONNECT')
          or pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')
        then pg_catalog.pg_database_size(oid) end) from pg_catalog.pg_database) as all_of_server`);
  const neededBytes = 2 * Math.max(rawBytes, Number(sizes?.live ?? 0));
  if (settings.databaseDiskBytes === undefined) return { neededBytes, freeBytes: null };
  const freeBytes = settings.databaseDiskBytes - Number(sizes?.all_of_server ?? 0);
  if (freeBytes >= neededBytes) return { neededBytes, freeBytes };
  throw new BackupError(
    "target_unfit",
    `Cannot test the restore: it needs ${neededBytes} bytes of room and the disk has ${freeBytes}`,
    {
      hint:
        "Make room on the database's disk, say how large it is (databaseDiskBytes), or restore " +
        "into another server.",
      details: { neededBytes, freeBytes },
    },
  );
}

/** The same repository, whose backups hold only what a scratch database may get. */
export function inertView(repository: Repository): Repository {
  return viewOf(repository, withoutActing);
}

/** Lines of entries lose what is not inert, with all that needs it; other lines stay. */
function withoutActing<T>(lines: readonly T[]): readonly T[] {
  const entries = lines.filter((line): line is T & Entry => isEntry(line));
  const out = new Set(
    entries.filter((entry) =>
      NOT_INERT.includes(entry.kind) ||
      (entry.kind === "extension" && NOT_INERT_EXTENSIONS.includes(entry.name))
    ).map((entry) => entry.key),
  );
  for (let before = -1; before < out.size;) {
    before = out.size;
    for (const entry of entries) {
      if (entry.dependsOn.some((key) => out.has(key))) out.add(entry.key);
    }
  }
  // Nothing falls with a role or a tablespace: the live cluster has them, or the restore does without.
  return lines.filter((line) =>
    !isEntry(line) || (!out.has(line.key) && !OF_CLUSTER.includes(line.kind))
  );
}

function isEntry(line: unknown): line is Entry {
  return typeof line === "object" && line !== null && "statements" in line && "kind" in line;
}
