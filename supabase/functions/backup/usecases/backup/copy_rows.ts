/**
 * Copies rows of a backup: one part of the work, for any worker or thread that has joined the backup's
 * snapshot. Its payload says everything, so nobody needs the model of the database for it.
 *
 * @module
 */
import type { DataPart, TableData, TableFacts } from "../../core/model.ts";
import {
  type CopiedPart,
  copyLargeObjectGroup,
  copyUnit,
  type CopyUnitOptions,
  type DataLimits,
  type DataModel,
  type DataRange,
  type DataUnit,
  DEFAULT_LIMITS,
  type LargeObjectGroup,
  numberParts,
  type OwnFingerprints,
} from "../../dump/data/mod.ts";
import type { Session } from "../../postgres/session.ts";
import type { Repository, WrittenTotals } from "../../repository/mod.ts";

/** What is to be copied. Survives JSON. */
export interface CopyRowsPayload {
  /** Place among the backup's units: results are put together in this order. */
  order: number[];
  ranges: DataRange[];
  /** By entry; `table` is null for large objects. */
  tables: Record<string, { table: TableFacts | null; data: TableData }>;
  /** The large objects that it is, for one that is of these. */
  largeObjects?: LargeObjectGroup;
  limits: DataLimits;
  onDamage: "fail" | "skip";
}

/** What came of it. Survives JSON. */
export interface CopyRowsResult {
  /** Not yet numbered. */
  parts: DataPart[];
  /** What the operator should know. */
  remarks: string[];
  written: WrittenTotals;
  /** Entries whose fingerprints cannot be believed, in whatever result they are; see {@linkcode storedParts}. */
  doubtful?: string[];
}

/** What {@linkcode copyPart} works with. */
export interface CopyRowsOptions {
  /** Has joined the snapshot. Fit for more afterwards, also after `lock_timeout`. */
  session: Session;
  repository: Repository;
  /** Hears of bytes as they pass; a negative number takes back those that will pass again. */
  onBytes?: (bytes: number) => void;
  /** Called when all rows are read and the session is free, while the last of them are being stored. */
  onRead?: () => void;
  signal?: AbortSignal | undefined;
  /** For a host, where CPU time of the server counts as much as that of the program. */
  fingerprints?: OwnFingerprints;
}

/** Threads of a host, each with a connection and a repository of its own, to copy rows in. */
export interface RowCopier {
  /** Parts that it does at a time. */
  readonly concurrency: number;
  /** Estimated bytes of rows below which starting it takes longer than it saves. */
  readonly leastBytes: number;
  /**
   * Does what {@linkcode copyPart} does, in a session that joins the snapshot; null when no thread is left to do
   * it. @throws as that
   */
  copy(
    payload: CopyRowsPayload,
    options: {
      snapshotId: string;
      onBytes?: (bytes: number) => void;
      signal?: AbortSignal | undefined;
    },
  ): Promise<{ result: CopyRowsResult; bytes: number } | null>;
}

/**
 * Copies the rows and returns where they are, once all of them are stored. Doing it twice does no harm.
 *
 * The piece writer is the part's own, so that what shares a chunk does not depend on who was faster.
 *
 * @throws {BackupError} as `copyUnit`: `lock_timeout` when somebody waits for a table's exclusive lock
 */
export async function copyPart(
  payload: CopyRowsPayload,
  { session, repository, onBytes, onRead, signal, fingerprints }: CopyRowsOptions,
): Promise<{ result: CopyRowsResult; bytes: number }> {
  const ofSignal = signal === undefined ? {} : { signal };
  const remarks = new Set<string>();
  const sink = repository.pieceWriter(ofSignal);
  const facts = Object.entries(payload.tables);
  const copied = await copyPayload(session, payload, {
    entries: new Map(facts.map(([key, { table }]) => [key, table === null ? {} : { table }])),
    tableData: new Map(facts.map(([key, { data }]) => [key, data])),
    limits: payload.limits,
    onDamage: payload.onDamage,
    onRemark: (remark) => remarks.add(remark),
    ...(onBytes === undefined ? {} : { onBytes }),
    ...(fingerprints === undefined ? {} : { fingerprints }),
    sink,
    ...ofSignal,
  });
  onRead?.();
  await sink.finish();
  const parts: DataPart[] = [];
  for (const { part, pieces } of copied) parts.push({ ...part, pieces: await pieces });
  const doubtful = [...fingerprints?.doubtful ?? []];
  return {
    result: {
      ...{ parts, remarks: [...remarks].sort(), written: { ...sink.written } },
      ...(doubtful.length === 0 ? {} : { doubtful }),
    },
    bytes: parts.reduce((sum, part) => sum + part.rawBytes, 0),
  };
}

/**
 * All parts of a backup, numbered. A table of which one fingerprint was found wrong has none: others of it,
 * in any thread, were not checked, and a wrong one would look like lost rows after a restore.
 */
export function storedParts(results: readonly CopyRowsResult[]): DataPart[] {
  const doubtful = new Set(results.flatMap((result) => result.doubtful ?? []));
  const parts = results.flatMap((result) => result.parts);
  return numberParts(
    parts.map((part) => doubtful.has(part.entry) ? { ...part, fingerprint: null } : part),
  );
}

async function copyPayload(
  session: Session,
  payload: CopyRowsPayload,
  options: CopyUnitOptions,
): Promise<CopiedPart[]> {
  const { ranges, tables, largeObjects: group, limits } = payload;
  if (group === undefined) return await copyUnit(session, { ranges, bytes: 0 }, options);
  const range = ranges[0]!;
  const { data } = tables[range.entry]!;
  return [await copyLargeObjectGroup(session, { group, data, range, limits }, options)];
}

/** The payloads of a backup's units, in their order. */
export function copyPayloads(
  model: DataModel,
  units: readonly DataUnit[],
  options: {
    limits?: DataLimits;
    onDamage?: "fail" | "skip";
    largeObjects?: readonly LargeObjectGroup[];
  } = {},
): { payload: CopyRowsPayload; bytes: number }[] {
  const entries = new Map(model.entries.map((entry) => [entry.key, entry]));
  const tableData = new Map(model.tableData.map((data) => [data.entry, data]));
  return units.flatMap(({ ranges, bytes }, index) => {
    const tables: CopyRowsPayload["tables"] = {};
    for (const { entry } of ranges) {
      tables[entry] = { table: entries.get(entry)?.table ?? null, data: tableData.get(entry)! };
    }
    const { limits = DEFAULT_LIMITS, onDamage = "fail", largeObjects = [] } = options;
    const payload: CopyRowsPayload = { order: [index], ranges, tables, limits, onDamage };
    const isTables = Object.values(tables).some(({ table }) => table !== null);
    if (isTables || largeObjects.length === 0) return [{ payload, bytes }];
    return largeObjects.map((group) => ({
      payload: { ...payload, order: [index, group.index], largeObjects: group },
      bytes: group.bytes,
    }));
  });
}

const PAGE_BYTES = 8192;

/**
 * Payloads that together do the same, for one that did not fit into a worker: a list of ranges is cut
 * into its ranges, a range of pages into halves. Null for what cannot be cut here.
 */
export function splitPayload(payload: CopyRowsPayload): CopyRowsPayload[] | null {
  const ranges = payload.ranges.length > 1 ? payload.ranges : halves(payload);
  if (ranges === null) return null;
  return ranges.map((range, index) => ({
    ...payload,
    order: [...payload.order, index],
    ranges: [range],
    tables: { [range.entry]: payload.tables[range.entry]! },
  }));
}

/** A single range in two, at a power of two of pages. */
function halves({ ranges, tables }: CopyRowsPayload): DataRange[] | null {
  const range = ranges[0]!;
  const { table } = tables[range.entry]!;
  if (table === null || table.accessMethod !== "heap" || range.tuples !== undefined) return null;
  const from = range.pages?.from ?? 0;
  const to = range.pages?.to ?? Math.ceil(Number(table.tableBytes) / PAGE_BYTES);
  if (to - from <= 1) return null;
  const middle = from + 2 ** Math.floor(Math.log2((to - from) / 2 + 0.5));
  const { entry } = range;
  return [
    { entry, pages: { from, to: middle } },
    { entry, pages: { from: middle, to: range.pages?.to ?? null } },
  ];
}
