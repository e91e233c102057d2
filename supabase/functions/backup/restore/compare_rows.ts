/**
 * Compares the rows of loaded tables with the fingerprints that the backup took in its own moment.
 *
 * @module
 */
import type { RowsFingerprint } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import type { Difference } from "./compare_models.ts";
import type { TableLoad } from "./plan_types.ts";

/** What one table's rows should be; `sum` is null when only their number is known. */
export interface ExpectedRows {
  rows: bigint;
  sum: bigint | null;
}

/** Adds up the parts of a table. */
export function expectedRows(load: TableLoad): ExpectedRows {
  let rows = 0n;
  let sum: bigint | null = load.data?.fingerprintExpression == null ? null : 0n;
  for (const part of load.parts) {
    rows += BigInt(part.rows);
    if (part.fingerprint === null) sum = null;
    else if (sum !== null) sum += BigInt(part.fingerprint.sum);
  }
  return { rows, sum };
}

/** Reads one table's rows and compares; null when they are the same. */
export async function compareRows(session: Session, load: TableLoad): Promise<Difference | null> {
  const table = load.entry.table;
  if (load.entry.kind !== "table-data" || table === undefined) return null;
  const expected = expectedRows(load);
  const found = await readRows(session, load, expected.sum !== null);
  const identity = load.entry.identity;
  if (BigInt(found.rows) !== expected.rows) {
    return { identity, what: `${found.rows} rows, not ${expected.rows}` };
  }
  if (expected.sum !== null && BigInt(found.sum) !== expected.sum) {
    return { identity, what: "other rows by their fingerprint" };
  }
  return null;
}

async function readRows(
  session: Session,
  load: TableLoad,
  withSum: boolean,
): Promise<RowsFingerprint> {
  const table = load.entry.table!;
  const sum = withSum
    ? `coalesce(sum((${load.data!.fingerprintExpression})::pg_catalog.numeric), 0)::text`
    : "'0'";
  const [row] = await session.query<{ rows: string; sum: string }>(
    `SELECT count(*)::text AS rows, ${sum} AS sum FROM ONLY ${table.sqlName} t ${
      table.condition ?? ""
    }`,
  );
  return row!;
}
