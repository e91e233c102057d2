/**
 * Copies the rows of a unit to a sink, in one session that has joined the backup's snapshot.
 *
 * Each unit runs in a savepoint that is rolled back at its end: the snapshot stays, but the locks that
 * the unit took are given back. So workers never stand in the way of others, and the coordinator, whose
 * own locks last, can do a unit whose table somebody else has queued for.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Entry, TableData, TableFacts } from "../../core/model.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import type { Session } from "../../postgres/session.ts";
import {
  type CopiedPart,
  type CopyPartOptions,
  copyTablePart,
  emptyPart,
  type TableRange,
} from "./copy_part.ts";
import { copyLargeObjects } from "./copy_large_objects.ts";
import { type Damage, findDamage, isDamage } from "./find_damage.ts";
import { measureRange } from "./measure_range.ts";
import { type DataLimits, type DataRange, type DataUnit, DEFAULT_LIMITS } from "./ranges.ts";

/** What {@linkcode copyUnit} needs besides session and unit. */
export interface CopyUnitOptions extends CopyPartOptions {
  entries: ReadonlyMap<string, Entry>;
  tableData: ReadonlyMap<string, TableData>;
  limits?: DataLimits;
  /** What to do about rows that the server cannot read. @default "fail" */
  onDamage?: "fail" | "skip";
}

/**
 * The parts of a unit; `numberParts` gives them their numbers.
 *
 * @throws {BackupError} `lock_timeout` when somebody waits for an exclusive lock on a table: the
 * coordinator can do the unit; `damaged_source` naming table and ctid; `insufficient_privilege`
 */
export async function copyUnit(
  session: Session,
  unit: DataUnit,
  options: CopyUnitOptions,
): Promise<CopiedPart[]> {
  const parts: CopiedPart[] = [];
  await session.execute("SAVEPOINT unit");
  try {
    for (const range of unit.ranges) {
      options.signal?.throwIfAborted();
      parts.push(...await copyEntryRange(session, range, options));
    }
  } catch (error) {
    // Only a unit that somebody else may do leaves the session fit for more.
    if (isBusy(error)) {
      await session.execute("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit");
    }
    throw error;
  }
  await session.execute("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit");
  return parts;
}

/** Whether a unit failed because others wait for a lock of its table; the coordinator can do it. */
export function isBusy(error: unknown): boolean {
  return error instanceof BackupError && error.code === "lock_timeout";
}

async function copyEntryRange(
  session: Session,
  range: DataRange,
  options: CopyUnitOptions,
): Promise<CopiedPart[]> {
  const entry = options.entries.get(range.entry);
  const data = options.tableData.get(range.entry);
  if (entry === undefined || data === undefined) {
    throw new BackupError("internal", `Cannot copy ${range.entry}: it is not in the model`);
  }
  const { table } = entry;
  if (table === undefined) {
    const limits = options.limits ?? DEFAULT_LIMITS;
    return await copyLargeObjects(session, { data, range, limits }, options);
  }
  try {
    return await copyTableRange(session, { table, data, range }, options);
  } catch (error) {
    throw explain(error, table);
  }
}

async function copyTableRange(
  session: Session,
  { table, data, range }: TableRange,
  options: CopyUnitOptions,
): Promise<CopiedPart[]> {
  await session.execute(`LOCK TABLE ONLY ${table.sqlName} IN ACCESS SHARE MODE NOWAIT`);
  const parts: CopiedPart[] = [];
  for (const piece of await subranges(session, { table, data, range }, options)) {
    options.signal?.throwIfAborted();
    await session.execute("SAVEPOINT part");
    try {
      parts.push(await copyTablePart(session, { table, data, range: piece }, options));
      await session.execute("RELEASE SAVEPOINT part");
    } catch (error) {
      if (!isDamage(error) || table.accessMethod !== "heap") throw error;
      await session.execute("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part");
      options.sink.endPart().catch(() => {}); // what came before the damage is not used
      parts.push(
        ...await copyAround(session, { table, data, range: piece, cause: error }, options),
      );
    }
  }
  return parts;
}

async function subranges(
  session: Session,
  { table, range }: TableRange,
  options: CopyUnitOptions,
): Promise<DataRange[]> {
  const limits = options.limits ?? DEFAULT_LIMITS;
  const bytes = Number(table.tableBytes) + Number(table.toastBytes);
  // Compression packs values to a hundredth at best; below this no cut can be needed.
  if (table.accessMethod !== "heap" || bytes * 100 <= limits.maxPartBytes) return [range];
  await session.execute("SAVEPOINT measuring");
  try {
    const cut = await measureRange(session, table, { range, limits });
    await session.execute("RELEASE SAVEPOINT measuring");
    return cut;
  } catch (error) {
    if (!isDamage(error)) throw error;
    await session.execute("ROLLBACK TO SAVEPOINT measuring; RELEASE SAVEPOINT measuring");
    return [range];
  }
}

/** Copies what can be read around damaged rows, or fails naming them. */
async function copyAround(
  session: Session,
  { table, data, range, cause }: TableRange & { cause: unknown },
  options: CopyUnitOptions,
): Promise<CopiedPart[]> {
  const { good, damaged } = await findDamage(session, { table, data, range });
  if (options.onDamage !== "skip" || damaged.length === 0) {
    throw damageError(table, damaged, cause);
  }
  options.onRemark?.(
    `${table.sqlName}: rows that the server cannot read were left out at ctid ${places(damaged)}`,
  );
  const parts: CopiedPart[] = [];
  for (const piece of good) {
    const copied = await copyTablePart(session, { table, data, range: piece }, options);
    if (copied.part.rows > 0) parts.push(copied);
  }
  const first = parts[0] ?? emptyPart(range, data);
  return [{ ...first, part: { ...first.part, damaged } }, ...parts.slice(1)];
}

function damageError(table: TableFacts, damaged: readonly Damage[], cause: unknown): BackupError {
  const reason = damaged[0]?.reason ?? (cause instanceof Error ? cause.message : "unknown");
  const where = damaged.length === 0 ? "" : ` at ctid ${places(damaged)}`;
  return new BackupError("damaged_source", `Cannot read ${table.sqlName}${where}: ${reason}`, {
    hint: "Repair or delete these rows, or let the backup leave them out and mark them.",
    details: { table: table.sqlName, damaged: damaged.slice(0, 100).map(({ ctid }) => ctid) },
    cause,
  });
}

function places(damaged: readonly Damage[]): string {
  const shown = damaged.slice(0, 20).map(({ ctid }) => ctid).join(", ");
  return damaged.length > 20 ? `${shown} and ${damaged.length - 20} more` : shown;
}

function explain(error: unknown, table: TableFacts): unknown {
  if (!(error instanceof DatabaseError)) return error;
  if (error.sqlState === "XX001" || error.sqlState === "XX002") {
    return damageError(table, [], error);
  }
  if (error.sqlState !== "42501") return error;
  const why = /row-level security/.test(error.message)
    ? "its row level security would hide rows from this role"
    : "this role has no right to read it";
  return new BackupError("insufficient_privilege", `Cannot save ${table.sqlName}: ${why}`, {
    hint: "Use a role with BYPASSRLS and pg_read_all_data, or leave out this table's data.",
    details: { table: table.sqlName },
    cause: error,
  });
}
