/**
 * Brings the rows of one table into the target, and compares them with what the export says of them.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { Session } from "../../postgres/session.ts";
import type { ExportSection } from "./export_reader.ts";
import type { TargetTable } from "./match_tables.ts";

/** What is done about rows that are there. */
export const IMPORT_MODES = ["append", "replace", "skip-existing"] as const;

/** One of {@linkcode IMPORT_MODES}. */
export type ImportMode = typeof IMPORT_MODES[number];

/** What came of a table. */
export interface ImportedTable {
  /** `schema.name` */
  table: string;
  /** Rows of the file. */
  rows: number;
  added: number;
  /** Rows whose key was there already. */
  skipped: number;
  /** How it was proved that the rows arrived. */
  compared: "content" | "number";
  remarks: string[];
}

/** What {@linkcode importTable} works with. */
export interface ImportTableOptions {
  /** For messages. */
  file: string;
  section: ExportSection;
  target: TargetTable;
  mode: ImportMode;
  /** Encoding of the rows. */
  encoding: string;
  /** Hash of a row of the table aliased `t`; null where types differ. */
  hash: string | null;
  signal?: AbortSignal | undefined;
}

/**
 * Brings the rows in; with `replace` the table has been emptied.
 *
 * @throws {BackupError} `restore_mismatch` when other rows arrived, else what the file or the server says,
 * with the line of the file
 */
export async function importTable(
  session: Session,
  options: ImportTableOptions,
): Promise<ImportedTable> {
  const { section, target, mode, hash } = options;
  const { schema, name } = section.table;
  const isAside = mode === "skip-existing";
  const into = isAside ? await makeAside(session, target) : target.sqlName;
  const source = isAside ? into : target.source;
  const before = mode === "append" ? await measure(session, source, hash) : NOTHING;
  const { rows } = await load(session, into, options);
  const expected = await section.end();
  const sum = expected.sum === null || hash === null ? null : BigInt(expected.sum);
  const after = await measure(session, source, sum === null ? null : hash);
  const arrived = after.rows - before.rows;
  const isSame = arrived === BigInt(expected.rows) && rows === Number(expected.rows) &&
    (sum === null || after.sum - before.sum === sum);
  if (!isSame) throw mismatch(options, { arrived, expected: BigInt(expected.rows) });
  const added = isAside ? await takeFromAside(session, target) : rows;
  return {
    table: `${schema}.${name}`,
    ...{ rows, added, skipped: rows - added },
    compared: sum === null ? "number" : "content",
    remarks: target.remarks,
  };
}

async function load(
  session: Session,
  into: string,
  { file, section, target, encoding, signal }: ImportTableOptions,
): Promise<{ rows: number }> {
  const columns = columnList(target);
  const sql = `COPY ${into}${columns === "" ? "" : ` (${columns})`} ` +
    `FROM STDIN (FORMAT text, ENCODING ${quoteLiteral(encoding)})`;
  try {
    return await session.copyIn(sql, watched(section.rows(), signal));
  } catch (error) {
    throw located(error, { file, firstLine: section.firstLine });
  }
}

/** The rows, until somebody says stop. */
async function* watched(rows: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
  for await (const slice of rows) {
    signal?.throwIfAborted();
    yield slice;
  }
}

/** The server's error with the place in the file. */
export function located(
  error: unknown,
  { file, firstLine }: { file: string; firstLine: number },
): unknown {
  if (!(error instanceof DatabaseError) || error.fatal) return error;
  const { copyLine, copyColumn, serverMessage } = error.facts;
  const line = copyLine === undefined ? "" : `, line ${firstLine + copyLine - 1}`;
  const column = copyColumn === undefined ? "" : `, column ${quoteIdentifier(copyColumn)}`;
  return new BackupError(
    error.code,
    `Cannot import ${file}${line}${column}: ${serverMessage} (SQLSTATE ${error.sqlState})`,
    {
      hint: `Nothing was changed. ${error.facts.serverHint ?? ""}`.trimEnd(),
      details: { ...error.details },
      cause: error,
    },
  );
}

interface Measured {
  rows: bigint;
  sum: bigint;
}

const NOTHING: Measured = { rows: 0n, sum: 0n };

async function measure(session: Session, source: string, hash: string | null): Promise<Measured> {
  const sum = hash === null ? "0" : `coalesce(sum((${hash})::pg_catalog.int8), 0)`;
  const [found] = await session.query(
    `SELECT count(*)::text AS rows, (${sum})::text AS sum FROM ${source} t`,
  );
  return { rows: BigInt(found!.rows), sum: BigInt(found!.sum) };
}

const ASIDE = `pg_temp."imported rows"`;

/** An empty table of the session with the columns of the target. @throws without a primary key */
async function makeAside(session: Session, target: TargetTable): Promise<string> {
  const names = new Set(target.columns.map(({ name }) => name));
  if (target.primaryKey.length === 0 || !target.primaryKey.every((name) => names.has(name))) {
    throw new BackupError(
      "target_unfit",
      `Cannot import into ${target.sqlName} without what is there: it has no primary key`,
      { hint: "Nothing was changed. Give it one, or choose mode append or replace." },
    );
  }
  await session.execute(
    `CREATE TEMPORARY TABLE "imported rows" AS SELECT ${columnList(target)} ` +
      `FROM ${target.sqlName} WITH NO DATA`,
  );
  return ASIDE;
}

/** Takes the rows over whose keys are not there; gives back their number. */
async function takeFromAside(session: Session, target: TargetTable): Promise<number> {
  const columns = columnList(target);
  const key = target.primaryKey.map(quoteIdentifier).join(", ");
  const [found] = await session.query(
    `WITH added AS (INSERT INTO ${target.sqlName} (${columns}) OVERRIDING SYSTEM VALUE ` +
      `SELECT ${columns} FROM ${ASIDE} ON CONFLICT (${key}) DO NOTHING RETURNING 1) ` +
      "SELECT count(*)::text AS rows FROM added",
  );
  await session.execute(`DROP TABLE ${ASIDE}`);
  return Number(found!.rows);
}

function columnList({ columns }: TargetTable): string {
  return columns.map(({ name }) => quoteIdentifier(name)).join(", ");
}

function mismatch(
  { file, section, target }: ImportTableOptions,
  { arrived, expected }: { arrived: bigint; expected: bigint },
): BackupError {
  const why = arrived === expected
    ? "the rows differ from those of the export by their fingerprint"
    : `it has ${arrived} new rows, not ${expected}`;
  return new BackupError(
    "restore_mismatch",
    `Cannot import ${file} into ${target.sqlName}: ${why}`,
    {
      hint:
        "Nothing was changed. A trigger may have changed rows: say --without-triggers. If the file " +
        `was edited by hand, write null for "sum" behind the rows of ${section.table.name}.`,
    },
  );
}
