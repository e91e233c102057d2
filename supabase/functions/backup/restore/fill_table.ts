/**
 * Loads rows into a table that stands, in the transaction that proves that only this restore has filled
 * it: others may write to a live database at any time, and what they write must not be taken for the
 * backup's, nor the other way round.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Session } from "../postgres/session.ts";
import { filledMark, filledMarks, filledName } from "./broken_off.ts";
import { type LoadItem, loadPart, type ReadPieces } from "./load_rows.ts";
import type { TableFill, TableLoad } from "./plan_types.ts";
import { MARKS_TABLE, markStatement } from "./restore_marks.ts";
import { runStatements } from "./run_statements.ts";

/** What stands behind FROM to find the rows of what is filled, and no others. */
export function filledRows(load: TableLoad): string {
  if (load.root !== undefined) return `${load.root} t`;
  return `ONLY ${filledName(load)} t ${load.entry.table!.condition ?? ""}`;
}

/** What {@linkcode fillTable} works with. */
export interface FillTableOptions extends LoadItem {
  jobId: string;
  fill: TableFill;
  readPieces: ReadPieces;
}

/**
 * Loads one part in the open transaction. Nobody else writes to the table until that ends.
 *
 * @throws {BackupError} `restore_mismatch` when the table holds rows that this job has not loaded, or
 * lacks some that it has
 */
export async function fillTable(
  session: Session,
  { jobId, fill, load, part, readPieces }: FillTableOptions,
): Promise<void> {
  // What is set aside needs the stronger lock; to ask for it later could end in a deadlock.
  const mode = fill.aside.drop.length > 0 ? "ACCESS EXCLUSIVE" : "SHARE ROW EXCLUSIVE";
  await session.execute(`LOCK TABLE ${filledName(load)} IN ${mode} MODE`);
  await refuseOthersRows(session, { jobId, load });
  const { identity } = load.entry;
  await runStatements(session, fill.aside.drop, identity);
  await loadPart(session, { load, part, readPieces });
  await runStatements(session, fill.aside.make, identity);
  await session.execute(markStatement(jobId, filledMark(load, part), String(part.rows)));
}

/** Parts before which rows are counted; what is more, a gigabyte or two, takes longer than a worker may wait. */
const MOST_COUNTED = 64;

/**
 * Counts at the first part, the second, the fourth and so on, while the table is small. What comes between and
 * later is found by the comparison at the end, which the server makes however long it takes.
 */
async function refuseOthersRows(
  session: Session,
  { jobId, load }: { jobId: string; load: TableLoad },
): Promise<void> {
  const [loaded] = await session.query(
    `select count(*)::int as parts, coalesce(sum(detail::bigint), 0)::text as rows
       from ${MARKS_TABLE} where job_id = $1 and name ^@ $2`,
    [jobId, filledMarks(load)],
  );
  const { parts, rows } = loaded as { parts: number; rows: string };
  if (parts > MOST_COUNTED || (parts & (parts - 1)) !== 0) return;
  const [found] = await session.query(
    `SELECT count(*)::text AS rows FROM (SELECT FROM ${filledRows(load)} LIMIT ${
      BigInt(rows) + 1n
    }) r`,
  );
  if (found!.rows === rows) return;
  const what = BigInt(found!.rows) > BigInt(rows)
    ? "the table holds rows that this restore has not loaded"
    : "the table lacks rows that this restore has loaded";
  throw new BackupError(
    "restore_mismatch",
    `Cannot load ${load.entry.identity}: ${what}; somebody else writes to it`,
    { hint: "Nothing of theirs was changed. Stop what writes to the database, and restore again." },
  );
}
