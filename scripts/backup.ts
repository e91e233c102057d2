/**
 * Backs a database up into a repository, without the service: `deno task backup --help`.
 *
 * @module
 */
import { systemClock } from "../supabase/functions/backup/core/clock.ts";
import { matchesPattern } from "../supabase/functions/backup/core/match_pattern.ts";
import { RELEASE } from "../supabase/functions/backup/core/release.ts";
import { Secret } from "../supabase/functions/backup/core/secret.ts";
import type { DumpOptions } from "../supabase/functions/backup/dump/mod.ts";
import {
  parseDatabaseUrl,
  projectRefOf,
} from "../supabase/functions/backup/postgres/database_url.ts";
import { connect } from "../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../supabase/functions/backup/postgres/session.ts";
import { backupDatabase } from "../supabase/functions/backup/usecases/backup/backup_database.ts";
import { ownObjects } from "../supabase/functions/backup/usecases/database_access.ts";
import { type CommandValues, runCommand, UsageError } from "./cli/command.ts";
import {
  openCommandRepository,
  parseCompression,
  REPOSITORY_OPTIONS,
  threadAccess,
} from "./cli/repository.ts";
import { formatBytes, showProgress } from "./cli/show_progress.ts";
import { countObjects, definitionsWithin } from "./host/definitions_memory.ts";
import { startEarly, threadCopier } from "./host/thread_copier.ts";
import { ThreadPool } from "./host/thread_pool.ts";
import { MEMORY_OPTION, threadsWithin } from "./host/threads_within.ts";

await runCommand({
  name: "deno task backup",
  summary: "saves a database in a repository, which is made if there is none",
  options: {
    "database-url": { type: "string", help: "postgres://…, else SUPABASE_DB_URL" },
    ...REPOSITORY_OPTIONS,
    jobs: {
      type: "string",
      help: "threads that copy rows, each with a connection (default: one to a processor)",
    },
    ...MEMORY_OPTION,
    compression: { type: "string", default: "zstd:1", help: "zstd, gzip or none, with a level" },
    profile: { type: "string", default: "plain", help: "plain or supabase" },
    include: {
      type: "string",
      multiple: true,
      help: "schema, or schema.table alone; * and ? match",
    },
    exclude: { type: "string", multiple: true, help: "schema, or schema.table" },
    "exclude-data": {
      type: "string",
      multiple: true,
      help: "schema.table whose rows are left out",
    },
    format: { type: "string", default: "auto", help: "of rows: auto, or text for other versions" },
    "on-damage": {
      type: "string",
      default: "fail",
      help: "fail, or skip rows that cannot be read",
    },
    "lock-timeout": { type: "string", default: "60", help: "seconds to wait for a table's lock" },
    reason: { type: "string", help: "kept with the backup" },
  },
  async run(values, { signal, json }) {
    const url = new Secret(values.text("database-url") ?? Deno.env.get("SUPABASE_DB_URL") ?? "");
    if (url.reveal() === "") throw new UsageError("--database-url is missing");
    const dump = dumpOptions(values);
    const onDamage = oneOf(values, "on-damage", ["fail", "skip"] as const);
    const compression = parseCompression(values.required("compression"));
    const open = () => connect({ url, signal });
    const [asked, lockTimeout] = [values.count("jobs"), values.count("lock-timeout") ?? 60];
    values.count("memory"); // what is no number is said before anything is done
    // Both at once: one waits for the storage, the other for the database. No repository is left half made.
    const opening = openCommandRepository(values, { create: true, compression });
    const preparing = open().then((session) => prepare(session).finally(() => session.close()));
    const [repository, { pool, jobs, note, own }] = await Promise.all([opening, preparing])
      .finally(() => opening.catch(() => {}));
    dump.excludeSchemas.push(...own.schemas);
    dump.excludeTables.push(...own.tables);
    dump.excludeFunctions = own.functions;
    const progress = showProgress(json, note);
    const record = await backupDatabase({
      connect: open,
      repository,
      ...(pool === null ? {} : { copier: threadCopier(pool) }),
      clock: systemClock,
      request: {
        origin: "manual",
        projectRef: projectRefOf(parseDatabaseUrl(url.reveal())),
        reason: values.text("reason") ?? null,
        dump,
        onDamage,
        jobs,
        lockTimeoutMs: lockTimeout * 1000,
      },
      writtenBy: RELEASE,
      signal,
      onProgress: progress.listener,
    }).finally(progress.end).finally(() => pool?.close());
    const { totals } = record;
    const text = [
      `${record.backupId}: ${totals.tables} tables, ${totals.rows} rows, ` +
      `${formatBytes(totals.rawBytes)}, ${formatBytes(totals.newStoredBytes)} new in storage`,
      ...record.consistency.remarks.map((remark) => `  note: ${remark}`),
    ].join("\n");
    return { json: record, text };

    /** Finds out what fits into memory, and has a thread start while everything else begins. */
    async function prepare(session: Session) {
      const saved = await countObjects(session, (schema) => isTaken(dump, schema));
      const taken = definitionsWithin(values, { saved });
      const { jobs, threads, note } = threadsWithin(values, { kind: "copy", asked, taken });
      const access = { ...threadAccess(values, url), compression };
      const pool = threads === 0 ? null : new ThreadPool({ kind: "copy", threads, access });
      if (pool !== null) {
        await opening; // a thread opens it for itself
        await startEarly(pool, session);
      }
      return { pool, jobs, note, own: await ownObjects(session) };
    }
  },
});

/** Whether a schema's objects are saved; null for what is in none. Chosen tables are few. */
function isTaken(dump: DumpOptions, schema: string | null): boolean {
  const { includeSchemas, includeTables, excludeSchemas } = dump;
  const matches = (pattern: string) => schema !== null && matchesPattern(pattern, schema);
  if (excludeSchemas.some(matches)) return false;
  return includeSchemas.length + includeTables.length === 0 || includeSchemas.some(matches);
}

function dumpOptions(values: CommandValues): DumpOptions {
  const tables = (patterns: string[]) => patterns.filter((pattern) => pattern.includes("."));
  const schemas = (patterns: string[]) => patterns.filter((pattern) => !pattern.includes("."));
  return {
    profile: oneOf(values, "profile", ["plain", "supabase"] as const),
    includeSchemas: schemas(values.list("include")),
    includeTables: tables(values.list("include")),
    excludeSchemas: schemas(values.list("exclude")),
    excludeTables: tables(values.list("exclude")),
    excludeTableData: values.list("exclude-data"),
    copyFormat: oneOf(values, "format", ["auto", "text"] as const),
  };
}

function oneOf<T extends string>(values: CommandValues, name: string, allowed: readonly T[]): T {
  const value = values.required(name);
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw new UsageError(`--${name} must be ${allowed.join(" or ")}`);
  return found;
}
