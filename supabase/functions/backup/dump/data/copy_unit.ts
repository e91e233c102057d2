/**
 * Copies the rows of a unit to a sink, in one session that has joined the backup's snapshot.
 *
 * Each unit runs in a savepoint that is rolled back at its end: the snapshot stays, but the locks that
 * the unit took are given back, so that workers hold no more of them than they need. Where somebody else
 * has queued for a table, the holder of the snapshot lets the worker go ahead; such a lock is kept.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Entry, TableData, TableFacts } from "../../core/model.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import type { Session } from "../../postgres/session.ts";
import { lockJoined, tryLockJoined } from "../snapshot_join.ts";
import {
  type CopiedPart,
  type CopyPartOptions,
  copyTablePart,
  copyTableParts,
  emptyPart,
  type TableRange,
} from "./copy_part.ts";
import { copyLargeObjects } from "./copy_large_objects.ts";
import { type Damage, findDamage, isDamage } from "./find_damage.ts";
import { copyHashed } from "./copy_hashed.ts";
import { measureRange } from "./measure_range.ts";
import { type RangeFacts, readFactsOf, readRangeFacts, tooLargeRemark } from "./range_facts.ts";
import { type DataLimits, type DataRange, type DataUnit, DEFAULT_LIMITS } from "./ranges.ts";
import type { OwnFingerprints } from "./own_fingerprints.ts";
import { inSavepoint } from "./savepoint.ts";

/** What {@linkcode copyUnit} needs besides session and unit. */
export interface CopyUnitOptions extends CopyPartOptions {
  entries: ReadonlyMap<string, Pick<Entry, "table">>;
  tableData: ReadonlyMap<string, TableData>;
  limits?: DataLimits;
  /** What to do about rows that the server cannot read. @default "fail" */
  onDamage?: "fail" | "skip";
  /** Makes fingerprints of the copied bytes where it can. @default the server makes all of them */
  fingerprints?: OwnFingerprints;
}

/**
 * The parts of a unit; `numberParts` gives them their numbers.
 *
 * @throws {BackupError} `lock_timeout` when there was no way past others who wait for a table: the unit
 * can be tried again; `damaged_source` naming table and ctid; `insufficient_privilege`
 */
export async function copyUnit(
  session: Session,
  unit: DataUnit,
  options: CopyUnitOptions,
): Promise<CopiedPart[]> {
  const tables = unit.ranges.flatMap((range) => whatOf(range, options).table?.sqlName ?? []);
  await session.execute("SAVEPOINT unit");
  if (!await tryLockJoined(session, tables)) {
    await session.execute("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit");
    // To the end of the transaction: going past a queue takes a second, and the next unit needs it again.
    await lockJoined(session, tables);
    await session.execute("SAVEPOINT unit");
  }
  try {
    const parts = await copySmallTables(session, unit, options) ??
      await copyRanges(session, unit, options);
    await session.execute("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit");
    return parts;
  } catch (error) {
    // Only a unit that may be tried again leaves the session fit for more.
    if (isBusy(error)) {
      await session.execute("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit");
    }
    throw error;
  }
}

/**
 * Copies a unit of small tables in three round trips. Null when there is anything to say about one of
 * them: then they are copied one by one.
 */
async function copySmallTables(
  session: Session,
  unit: DataUnit,
  options: CopyUnitOptions,
): Promise<CopiedPart[] | null> {
  const { maxPartBytes } = options.limits ?? DEFAULT_LIMITS;
  const ranges: TableRange[] = [];
  for (const range of unit.ranges) {
    const { table, data } = whatOf(range, options);
    if (table === undefined || range.pages !== null) return null;
    ranges.push({ table, data, range });
  }
  if (ranges.length < 2) return null;
  try {
    const facts = await readRangeFacts(session, ranges, { askAbove: maxPartBytes });
    if (facts.some(({ bytes }) => bytes > maxPartBytes)) return null;
    const known = ranges.map((range, index) => ({ ...range, facts: facts[index]! }));
    return await copyTableParts(session, known, options);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.fatal || isBusy(error)) throw error;
    options.sink.endPart().catch(() => {}); // what came before the error is not used
    await session.execute("ROLLBACK TO SAVEPOINT unit");
    await lockJoined(session, ranges.map(({ table }) => table.sqlName));
    return null;
  }
}

async function copyRanges(
  session: Session,
  unit: DataUnit,
  options: CopyUnitOptions,
): Promise<CopiedPart[]> {
  const parts: CopiedPart[] = [];
  for (const range of unit.ranges) {
    options.signal?.throwIfAborted();
    parts.push(...await copyEntryRange(session, range, options));
  }
  return parts;
}

/** Whether a unit failed because others wait for a lock of its table; it can be tried again. */
function isBusy(error: unknown): boolean {
  return error instanceof BackupError && error.code === "lock_timeout";
}

/** What a range is of; large objects have no table. @throws `internal` when the model does not know it */
function whatOf(
  range: DataRange,
  options: CopyUnitOptions,
): { table: TableFacts | undefined; data: TableData } {
  const entry = options.entries.get(range.entry);
  const data = options.tableData.get(range.entry);
  if (entry !== undefined && data !== undefined) return { table: entry.table, data };
  throw new BackupError("internal", `Cannot copy ${range.entry}: it is not in the model`);
}

async function copyEntryRange(
  session: Session,
  range: DataRange,
  options: CopyUnitOptions,
): Promise<CopiedPart[]> {
  const { table, data } = whatOf(range, options);
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

/** Copies a range; one whose values are larger than the table's average said is cut again, once. */
async function copyTableRange(
  session: Session,
  tableRange: TableRange & { isCut?: boolean },
  options: CopyUnitOptions,
): Promise<CopiedPart[]> {
  const { table, range, isCut = false } = tableRange;
  const limits = options.limits ?? DEFAULT_LIMITS;
  options.signal?.throwIfAborted();
  try {
    const hashed = isCut ? null : await copyHashed(session, tableRange, { ...options, limits });
    if (hashed !== null) return [hashed];
    return await inSavepoint(session, async () => {
      const facts = await readFactsOf(session, tableRange);
      const pieces = !isCut && facts.bytes > limits.maxPartBytes
        ? await measureRange(session, table, { range, limits })
        : [range];
      if (pieces.length === 1) return [await copyKnown(session, { ...tableRange, facts }, options)];
      const parts: CopiedPart[] = [];
      for (const piece of pieces) {
        const part = { ...tableRange, range: piece, isCut: true };
        parts.push(...await copyTableRange(session, part, options));
      }
      return parts;
    });
  } catch (error) {
    if (!isDamage(error) || table.accessMethod !== "heap") throw error;
    options.sink.endPart().catch(() => {}); // what came before the damage is not used
    return await copyAround(session, { ...tableRange, cause: error }, options);
  }
}

async function copyKnown(
  session: Session,
  part: TableRange & { facts: RangeFacts },
  options: CopyUnitOptions,
): Promise<CopiedPart> {
  if (part.facts.fingerprint === null && part.data.fingerprintExpression !== null) {
    options.onRemark?.(tooLargeRemark(part.table.sqlName));
  }
  return await copyTablePart(session, part, options);
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
    const facts = await readFactsOf(session, { table, data, range: piece });
    const copied = await copyKnown(session, { table, data, range: piece, facts }, options);
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
