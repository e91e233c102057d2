/**
 * Cuts the rows of a database into ranges, and packs ranges into units of work.
 *
 * Cuts do not depend on time or on the number of workers, so that what has not changed gives the same
 * bytes in the next backup: ranges are powers of two of pages, and small tables share a unit by the
 * alphabet and by sizes rounded up.
 *
 * @module
 */
import type { DataPart, Entry, TableData, TableFacts } from "../../core/model.ts";

/** Sizes that the data is cut by. */
export interface DataLimits {
  /** Bytes of heap and TOAST that a range aims at. @default 8 MiB */
  partBytes: number;
  /** Estimated bytes of values above which a range is cut again, down to one row. @default 32 MiB */
  maxPartBytes: number;
}

/** The sizes that backups have unless somebody says otherwise. */
export const DEFAULT_LIMITS: DataLimits = { partBytes: 8 << 20, maxPartBytes: 32 << 20 };

/** A run of rows of one entry. */
export type DataRange = Pick<DataPart, "entry" | "pages" | "tuples">;

/** What one worker does in one go and what shares chunks. */
export interface DataUnit {
  ranges: DataRange[];
  /** Estimate, for progress. */
  bytes: number;
}

/** What {@linkcode planUnits} works on. */
export interface DataModel {
  entries: readonly Pick<Entry, "key" | "table">[];
  tableData: readonly TableData[];
}

const PAGE_BYTES = 8192;
/** Tables to a unit at most, so that many tiny ones are shared among the workers too. */
const TABLES_PER_UNIT = 64;

/** Units for all rows of a model, large tables first. */
export function planUnits(model: DataModel, limits: DataLimits = DEFAULT_LIMITS): DataUnit[] {
  const entries = new Map(model.entries.map((entry) => [entry.key, entry]));
  const large: DataUnit[] = [];
  const small: { range: DataRange; bytes: number; name: string }[] = [];
  for (const { entry: key } of model.tableData) {
    const table = entries.get(key)?.table;
    const bytes = table === undefined ? 0 : sizeOf(table);
    const whole: DataRange = { entry: key, pages: null };
    if (table === undefined) {
      large.push({ ranges: [whole], bytes });
    } else if (bytes > limits.partBytes) {
      for (const range of cut(key, table, limits)) large.push(range);
    } else {
      small.push({ range: whole, bytes, name: table.sqlName });
    }
  }
  small.sort((a, b) => a.name < b.name ? -1 : 1);
  return [...large, ...pack(small, limits)];
}

function sizeOf(table: TableFacts): number {
  return Number(table.tableBytes) + Number(table.toastBytes);
}

/** Pages of a table in ranges, the last one open; tables that have no pages in one piece. */
function cut(entry: string, table: TableFacts, limits: DataLimits): DataUnit[] {
  const pages = Math.ceil(Number(table.tableBytes) / PAGE_BYTES);
  const bytes = sizeOf(table);
  if (table.accessMethod !== "heap" || pages <= 1 || table.condition !== null) {
    return [{ ranges: [{ entry, pages: table.accessMethod === "heap" ? WHOLE : null }], bytes }];
  }
  const step = powerOfTwo(limits.partBytes / (bytes / pages));
  const units: DataUnit[] = [];
  for (let from = 0; from < pages; from += step) {
    const to = from + step >= pages ? null : from + step;
    const share = Math.min(step, pages - from) / pages;
    units.push({ ranges: [{ entry, pages: { from, to } }], bytes: Math.round(bytes * share) });
  }
  return units;
}

const WHOLE = { from: 0, to: null };

/** The largest power of two that is not above a number, at least 1. */
export function powerOfTwo(value: number): number {
  return value < 2 ? 1 : 2 ** Math.floor(Math.log2(value));
}

/** Puts small tables together, in order of name, until their rounded sizes fill a part. */
function pack(
  small: readonly { range: DataRange; bytes: number }[],
  limits: DataLimits,
): DataUnit[] {
  const units: DataUnit[] = [];
  let unit: DataUnit = { ranges: [], bytes: 0 };
  let filled = 0;
  for (const { range, bytes } of small) {
    const rounded = powerOfTwo(Math.max(bytes, PAGE_BYTES)) * 2;
    if (
      unit.ranges.length > 0 &&
      (filled + rounded > limits.partBytes || unit.ranges.length >= TABLES_PER_UNIT)
    ) {
      units.push(unit);
      unit = { ranges: [], bytes: 0 };
      filled = 0;
    }
    unit.ranges.push(range);
    unit.bytes += bytes;
    filled += rounded;
  }
  if (unit.ranges.length > 0) units.push(unit);
  return units;
}

/** Parts of a backup in their final order, numbered within each entry. */
export function numberParts(parts: readonly DataPart[]): DataPart[] {
  const order = new Map<string, DataPart[]>();
  for (const part of parts) {
    const list = order.get(part.entry);
    if (list === undefined) order.set(part.entry, [part]);
    else list.push(part);
  }
  const numbered: DataPart[] = [];
  for (const entry of [...order.keys()].sort()) {
    const list = order.get(entry)!;
    list.sort((a, b) =>
      (a.pages?.from ?? 0) - (b.pages?.from ?? 0) || (a.tuples?.from ?? 0) - (b.tuples?.from ?? 0)
    );
    list.forEach((part, index) => numbered.push({ ...part, part: index }));
  }
  return numbered;
}
