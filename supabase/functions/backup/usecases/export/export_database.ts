/**
 * Writes a backup or a live database as plain SQL that psql loads, or as lines of JSON: readable without
 * this product.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Entry } from "../../core/model.ts";
import {
  ExportOutput,
  type ExportSource,
  type ExportTarget,
  matchesPattern,
  openLiveSource,
  parentsFirst,
  writeJson,
  writeSql,
} from "../../dump/mod.ts";
import type { Session } from "../../postgres/session.ts";
import type { Repository } from "../../repository/mod.ts";
import { ownObjects } from "../database_access.ts";
import { exportSourceOfBackup } from "./export_source_of_backup.ts";

/** What {@linkcode exportDatabase} writes and how. */
export interface ExportRequest {
  format: "sql" | "json";
  /** Patterns `schema.table`: only the rows of these and of their partitions. @default everything */
  tables?: readonly string[];
  /** With `tables`, in SQL: also makes the tables. JSON always says how. @default false */
  definitions?: boolean;
}

/** Where from: a backup by its id or `latest`, or a live database. */
export type ExportFrom =
  | { repository: Repository; backup: string }
  | { connect: () => Promise<Session>; lockTimeoutMs?: number };

/** What was written. */
export interface ExportReport {
  /** What was exported, in words. */
  of: string;
  /** The moment that it shows, ISO 8601. */
  at: string;
  tables: number;
  rows: number;
  /** What the export lacks. */
  remarks: string[];
}

/**
 * Writes the export.
 *
 * @throws {BackupError} `backup_not_found`, `not_found` when no table matches, `unsupported_object` for
 * what psql could not be given safely, `object_*`, `storage_*`, `database_*`, `lock_timeout`,
 * `insufficient_privilege`, `concurrent_ddl`
 */
export async function exportDatabase(
  from: ExportFrom,
  request: ExportRequest,
  { target, signal }: { target: ExportTarget; signal?: AbortSignal },
): Promise<ExportReport> {
  const { source, remarks, close } = "repository" in from
    ? await openBackup(from)
    : await openLive(from, request, signal);
  try {
    const { chosen, leftOut } = choose(source, request);
    const output = new ExportOutput(target, signal);
    const rows = request.format === "json"
      ? await writeJson(output, source, chosen)
      : await writeSql(output, source, { rows: chosen, definitions: definitionsOf(request) });
    const { of, at } = source;
    return { of, at, tables: chosen.length, rows, remarks: [...remarks, ...leftOut] };
  } finally {
    await close();
  }
}

function definitionsOf({ tables, definitions = false }: ExportRequest): "all" | "tables" | "none" {
  if (tables === undefined) return "all";
  return definitions ? "tables" : "none";
}

async function openBackup(from: { repository: Repository; backup: string }) {
  const source = await exportSourceOfBackup(from.repository, from.backup);
  return { source, remarks: [], close: () => Promise.resolve() };
}

/** The service's own tables are no part of the database. */
async function openLive(
  { connect, lockTimeoutMs }: { connect: () => Promise<Session>; lockTimeoutMs?: number },
  request: ExportRequest,
  signal: AbortSignal | undefined,
) {
  const session = await connect();
  const own = await ownObjects(session).finally(() => session.close());
  const source = await openLiveSource({
    ...{ connect, lockTimeoutMs, signal },
    dump: {
      profile: "plain",
      includeSchemas: [],
      excludeSchemas: own.schemas,
      includeTables: [...request.tables ?? []],
      excludeTables: own.tables,
      excludeFunctions: own.functions,
      excludeTableData: [],
      copyFormat: "text",
    },
    definitions: request.format === "json" || request.definitions === true ? "all" : "chosen",
  }).catch((error) => {
    const isUnknown = error instanceof BackupError && error.code === "invalid_request";
    throw isUnknown ? noSuchTable(request.tables ?? [], "the database", error) : error;
  });
  return { source, remarks: source.remarks, close: () => source.close() };
}

/** The entries whose rows are written, in their order. */
function choose(
  source: ExportSource,
  { tables, format }: ExportRequest,
): { chosen: Entry[]; leftOut: string[] } {
  const withRows = source.entries.filter((entry) => source.tableData.has(entry.key));
  const isNamed = namedTables(source.entries, tables);
  const wanted = withRows.filter(isNamed);
  if (tables !== undefined && wanted.length === 0) throw noSuchTable(tables, source.of);
  // A whole database in SQL makes its foreign keys after the rows.
  if (format === "sql" && tables === undefined) return { chosen: wanted, leftOut: [] };
  const chosen = parentsFirst(wanted.filter((entry) => entry.table !== undefined));
  const leftOut = chosen.length < wanted.length
    ? ["large objects are left out: JSON holds tables only; export as SQL"]
    : [];
  return { chosen, leftOut };
}

function noSuchTable(tables: readonly string[], of: string, cause?: unknown): BackupError {
  return new BackupError(
    "not_found",
    `Cannot export ${tables.join(", ")}: ${of} has no such table`,
    {
      hint: "Name tables as schema.table; * and ? match any run and any one character.",
      cause,
    },
  );
}

/** Whether an entry's table, or one that it is a partition of, matches one of the patterns. */
function namedTables(
  entries: readonly Entry[],
  patterns: readonly string[] | undefined,
): (entry: Entry) => boolean {
  if (patterns === undefined) return () => true;
  const byKey = new Map(entries.map((entry) => [entry.key, entry]));
  const above = new Map<string, string[]>();
  for (const { key, kind, dependsOn } of entries) {
    if (kind !== "table-attach") continue;
    const child = key.replace(/:attach$/, "");
    above.set(child, dependsOn.filter((each) => each !== child));
  }
  const isMatch = ({ schema, name }: Entry) =>
    patterns.some((pattern) => matchesPattern(pattern, `${schema}.${name}`));
  const isNamed = (key: string): boolean => {
    const table = byKey.get(key);
    if (table === undefined || table.kind !== "table") return false;
    return isMatch(table) || (above.get(key) ?? []).some(isNamed);
  };
  return (entry) =>
    entry.table !== undefined && (isMatch(entry) || isNamed(`pg_class:${entry.table.oid}`));
}
