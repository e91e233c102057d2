/**
 * Compares the rows of loaded tables with the fingerprints that the backup took in its own moment.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import type { Difference } from "./compare_models.ts";
import { bytesOf } from "./plan_loads.ts";
import type { TableLoad } from "./plan_types.ts";

/** What the rows of some tables should be together; `sum` is null when only their number is known. */
export interface ExpectedRows {
  rows: bigint;
  sum: bigint | null;
}

/** Loads whose rows are compared together: alone, or all that went through one partitioned table. */
export type ComparedLoads = readonly [TableLoad, ...TableLoad[]];

/** Puts together what can only be compared together. */
export function groupLoads(loads: readonly TableLoad[]): ComparedLoads[] {
  const groups = new Map<string, [TableLoad, ...TableLoad[]]>();
  for (const load of loads) {
    if (load.entry.kind !== "table-data" || load.entry.table === undefined) continue;
    const name = load.root ?? load.entry.key;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [load]);
    else group.push(load);
  }
  return [...groups.values()];
}

/** Adds up the parts of tables. */
export function expectedRows(loads: ComparedLoads): ExpectedRows {
  let rows = 0n;
  // Partitions with columns in another order hash otherwise than the whole.
  const expressions = new Set(loads.map((load) => load.data?.fingerprintExpression ?? null));
  let sum: bigint | null = expressions.size > 1 || expressions.has(null) ? null : 0n;
  for (const part of loads.flatMap((load) => load.parts)) {
    rows += BigInt(part.rows);
    if (part.fingerprint === null) sum = null;
    else if (sum !== null) sum += BigInt(part.fingerprint.sum);
  }
  return { rows, sum };
}

/** Raw bytes of rows that one query reads, about. */
export const BATCH_BYTES = 16 << 20;

/** Tables in it at most, when small ones are put together. */
const BATCH_GROUPS = 50;

/** Puts small tables together, to be compared in one round trip. */
export function batchGroups(groups: readonly ComparedLoads[]): ComparedLoads[][] {
  const batches: ComparedLoads[][] = [];
  let filled = Infinity;
  for (const group of groups) {
    const bytes = group.reduce((sum, load) => sum + bytesOf(load), 0);
    const open = batches.at(-1);
    if (open !== undefined && filled + bytes <= BATCH_BYTES && open.length < BATCH_GROUPS) {
      open.push(group);
      filled += bytes;
    } else {
      batches.push([group]);
      filled = bytes;
    }
  }
  return batches;
}

/** Reads the rows of several groups and compares. */
export async function compareGroups(
  session: Session,
  groups: readonly ComparedLoads[],
): Promise<Difference[]> {
  const queries = groups.map((loads, at) => `SELECT ${at} AS at, (${rowsQuery(loads)}) AS found`);
  const rows = await session.query(queries.join(" UNION ALL "));
  return rows.flatMap(({ at, found }) => compareFound(groups[at]!, found) ?? []);
}

/**
 * A query of one text value, for {@linkcode compareFound}: how many rows there are, and their sum.
 *
 * @param condition for some of the rows only
 */
export function rowsQuery(loads: ComparedLoads, condition = ""): string {
  const sum = expectedRows(loads).sum === null
    ? "0::pg_catalog.numeric"
    : `coalesce(sum((${loads[0].data!.fingerprintExpression})::pg_catalog.int8), 0)`;
  const each = sourcesOf(loads).map((from) =>
    `SELECT count(*) AS rows, ${sum} AS sum FROM ${from} ${condition}`
  );
  return `SELECT sum(rows)::text || ' ' || sum(sum)::text FROM (${each.join(" UNION ALL ")}) f`;
}

/** Compares what {@linkcode rowsQuery} found; null when it is as it should be. */
export function compareFound(loads: ComparedLoads, found: string): Difference | null {
  const [rows, sum] = found.split(" ").map(BigInt);
  const expected = expectedRows(loads);
  const identity = loads[0].entry.identity;
  if (rows !== expected.rows) return { identity, what: `${rows} rows, not ${expected.rows}` };
  if (expected.sum !== null && sum !== expected.sum) {
    return { identity, what: "other rows by their fingerprint" };
  }
  return null;
}

/** What stands behind FROM: a new partitioned table as a whole, else exactly what was loaded. */
function sourcesOf(loads: ComparedLoads): string[] {
  const [{ root }] = loads;
  if (root !== undefined && loads.every((load) => load.clear === "none")) return [`${root} t`];
  return loads.map(({ entry: { table } }) => `ONLY ${table!.sqlName} t ${table!.condition ?? ""}`);
}
