/**
 * A live database as the source of an export: one moment of it, and nothing written to it.
 *
 * @module
 */
import { concat } from "../../core/bytes.ts";
import { BackupError } from "../../core/errors.ts";
import type { ExportedRows } from "../../core/export_format.ts";
import type { Entry, TableData } from "../../core/model.ts";
import { pinSettings, refuseViewsOfUsers } from "../../postgres/pinned_settings.ts";
import type { Session } from "../../postgres/session.ts";
import type { DumpOptions } from "../context.ts";
import { readBinaryRows, type RowValues } from "../data/binary_rows.ts";
import { copyLargeObjectGroup, planLargeObjects } from "../data/copy_large_objects.ts";
import type { TableRange } from "../data/copy_part.ts";
import { isTooLarge, readRangeFacts } from "../data/range_facts.ts";
import { fromRange } from "../data/range_sql.ts";
import { DEFAULT_LIMITS } from "../data/ranges.ts";
import { describeTableData } from "../data/table_data.ts";
import { readDatabase } from "../read_database.ts";
import { recheck } from "../recheck.ts";
import { openSnapshot } from "../snapshot.ts";
import { matchesPattern } from "../selection.ts";
import type { ExportSource } from "./export_source.ts";

/** How a live database is read. */
export interface LiveSourceOptions {
  /** Opens a connection. */
  connect: () => Promise<Session>;
  dump: DumpOptions;
  /** `dump.includeTables` with their partitions are the only ones whose rows are read; definitions of all. */
  definitions: "all" | "chosen";
  /** How long to wait for the lock of a table. @default 60000 */
  lockTimeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** A source that holds a connection until it is closed. */
export interface LiveSource extends ExportSource {
  /** What the operator should know, in words. */
  remarks: string[];
  close(): Promise<void>;
}

const ATTEMPTS = 3;

/**
 * Opens a database for an export, in a read-only transaction that holds locks and snapshot until the
 * source is closed.
 *
 * @throws {BackupError} `lock_timeout`, `concurrent_ddl`, `insufficient_privilege`, `database_*`, and what
 * `readDatabase` throws
 */
export async function openLiveSource(options: LiveSourceOptions): Promise<LiveSource> {
  const sessions: Session[] = [];
  const open = async () => {
    const session = await options.connect();
    sessions.push(session);
    // The server may have nothing to say for long: it is told.
    options.signal?.addEventListener("abort", () => void session.cancel().catch(() => {}));
    await pinSettings(session);
    await refuseViewsOfUsers(session);
    return session;
  };
  const close = () => Promise.all(sessions.map((session) => session.close())).then(() => {});
  try {
    const [session, finder] = [await open(), await open()];
    const includeTables = await withPartitions(finder, options.dump.includeTables);
    const dump = { ...options.dump, includeTables };
    for (let attempt = 1;; attempt++) {
      try {
        const source = await openAt({ session, finder }, dump, options);
        return { ...source, close };
      } catch (error) {
        if (!isMoved(error) || attempt === ATTEMPTS) throw error;
        await session.execute("ROLLBACK");
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
}

function isMoved(error: unknown): boolean {
  return error instanceof BackupError && error.code === "concurrent_ddl";
}

async function openAt(
  { session, finder }: { session: Session; finder: Session },
  dump: DumpOptions,
  { definitions, lockTimeoutMs, signal }: LiveSourceOptions,
): Promise<Omit<LiveSource, "close">> {
  const snapshot = await openSnapshot(session, {
    ...{ finder, dump, signal },
    ...(lockTimeoutMs === undefined ? {} : { lockTimeoutMs }),
  });
  const chosen = dump.includeTables;
  const model = await readDatabase(
    session,
    definitions === "all" ? { ...dump, includeTables: [] } : dump,
  );
  await recheck(finder, model.rowVersions);
  const wanted = model.entries.filter((entry) =>
    chosen.length === 0 || entry.table === undefined ||
    chosen.some((pattern) => matchesPattern(pattern, `${entry.schema}.${entry.name}`))
  );
  refuseUnreadable(wanted, snapshot.locked);
  const tableData = await describeTableData(session, wanted, { copyFormat: "text" });
  const known = new Map(tableData.map((data) => [data.entry, data]));
  return {
    facts: model.source,
    of: `Database ${model.source.database}`,
    at: snapshot.takenAt,
    entries: model.entries,
    tableData: known,
    remarks: model.remarks,
    copyText: (entry, take) => copyTable(session, { entry, data: known.get(entry.key)! }, take),
    copyPages: (entry, take) => copyPages(session, known.get(entry.key)!, take),
  };
}

/** Adds the names of partitions whose tables are chosen. */
async function withPartitions(session: Session, patterns: string[]): Promise<string[]> {
  if (patterns.length === 0) return patterns;
  const partitions = await session.query(`
    select n.nspname || '.' || c.relname as name, array(
             select an.nspname || '.' || ac.relname
               from pg_catalog.pg_partition_ancestors(c.oid) as a (oid)
               join pg_catalog.pg_class ac on ac.oid = a.oid
               join pg_catalog.pg_namespace an on an.oid = ac.relnamespace) as above
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where c.relispartition and c.relkind in ('r', 'p')`);
  const isChosen = (name: string) => patterns.some((pattern) => matchesPattern(pattern, name));
  const names = partitions.filter(({ above }) => (above as string[]).some(isChosen))
    .map(({ name }) => name as string);
  return [...new Set([...patterns, ...names])];
}

/** @throws `insufficient_privilege` naming tables whose rows this role may not read */
function refuseUnreadable(entries: readonly Entry[], locked: ReadonlySet<number>): void {
  const tables = entries.filter(({ kind, table }) =>
    kind === "table-data" && table !== undefined && !locked.has(table.oid)
  ).map(({ table }) => table!.sqlName);
  if (tables.length === 0) return;
  throw new BackupError(
    "insufficient_privilege",
    `Cannot export ${tables.slice(0, 10).join(", ")}: this role has no right to read them`,
    { hint: "Grant SELECT on them (or pg_read_all_data), or name the tables to export." },
  );
}

/** Rows as the server writes them, with their fingerprint. */
async function copyTable(
  session: Session,
  { entry, data }: { entry: Entry; data: TableData },
  take: (slice: Uint8Array) => void | Promise<void>,
): Promise<ExportedRows> {
  const table = entry.table!;
  const range = { entry: entry.key, pages: null };
  const sum = await sumOf(session, { table, data, range });
  const columns = data.columns.map((name, index) => {
    const isByte = session.serverVersion < 160000 && data.columnTypes[index] === '"char"';
    return isByte ? byteAsText(`t.${name}`) : `t.${name}`;
  });
  const { rows } = await session.copyOut(
    `COPY (SELECT ${columns.join(", ")} ${fromRange(table, range)}) TO STDOUT`,
    take,
  );
  return { rows: String(rows), sum };
}

/** A `"char"` as servers since 16 write it: older ones write bytes that are no text of the encoding. */
function byteAsText(column: string): string {
  const code = `(256 + ${column}::pg_catalog.int4)`;
  return `CASE WHEN ${column}::pg_catalog.int4 < 0 THEN pg_catalog.concat(pg_catalog.chr(92), ` +
    `${code} / 64, ${code} / 8 % 8, ${code} % 8) ELSE ${column}::pg_catalog.text END`;
}

/** The sum of the rows' hashes; null where a row is too large to be hashed. */
async function sumOf(session: Session, range: TableRange): Promise<string | null> {
  await session.execute("SAVEPOINT facts");
  try {
    const [facts] = await readRangeFacts(session, [range]);
    return facts?.fingerprint?.sum ?? null;
  } catch (error) {
    if (!isTooLarge(error)) throw error;
    await session.execute("ROLLBACK TO SAVEPOINT facts");
    return null;
  }
}

async function copyPages(
  session: Session,
  data: TableData,
  take: (page: RowValues) => Promise<void>,
): Promise<ExportedRows> {
  let rows = 0;
  const range = { entry: data.entry, pages: null };
  for (const group of await planLargeObjects(session, DEFAULT_LIMITS)) {
    const slices: Uint8Array[] = [];
    await copyLargeObjectGroup(session, { group, data, range, limits: DEFAULT_LIMITS }, {
      sink: {
        append: (slice) => void slices.push(slice.slice()),
        endPart: () => Promise.resolve([]),
      },
    });
    for await (const page of readBinaryRows(once(concat(slices)), data.columnForms!)) {
      await take(page);
      rows++;
    }
  }
  return { rows: String(rows), sum: null };
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(bytes);
}
