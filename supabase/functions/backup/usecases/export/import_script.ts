/**
 * Runs a whole export in SQL inside the open transaction, and compares the rows of each table as they come.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import { quoteQualified } from "../../postgres/quote.ts";
import type { Session } from "../../postgres/session.ts";
import {
  type ExportReader,
  type ExportSection,
  type ImportedTable,
  importTable,
  located,
  matchTable,
  type TargetTable,
} from "../../restore/import/mod.ts";
import type { ImportReport } from "./import_database.ts";

/** What {@linkcode runScript} needs besides. */
export interface RunScriptOptions {
  /** Gives the hash of a table's row. */
  hash: (target: TargetTable) => Promise<string>;
  signal?: AbortSignal | undefined;
}

/** Runs it. @throws {BackupError} naming the line of the statement or row that failed */
export async function runScript(
  session: Session,
  reader: ExportReader,
  options: RunScriptOptions,
): Promise<ImportReport> {
  const { signal } = options;
  const items = reader.items();
  const tables: ImportedTable[] = [];
  let statements = 0;
  for (let item; (item = await items.next()) !== null;) {
    signal?.throwIfAborted();
    if (item.kind === "statement") {
      await runStatement(session, item, reader.name);
      statements++;
    } else {
      const { sql, section } = item;
      tables.push(await loadRows(session, { sql, section, reader }, options));
    }
  }
  return { tables, rows: tables.reduce((sum, { rows }) => sum + rows, 0), statements };
}

async function runStatement(
  session: Session,
  { sql, line }: { sql: string; line: number },
  file: string,
): Promise<void> {
  try {
    await session.execute(sql);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.fatal) throw error;
    const { serverMessage } = error.facts;
    throw new BackupError(
      error.code,
      `Cannot import ${file}, the statement in line ${line}: ${serverMessage} ` +
        `(SQLSTATE ${error.sqlState})`,
      {
        hint: "Nothing was changed. A whole export needs a database without its objects; for the " +
          "rows alone name the tables: --table.",
        details: { ...error.details },
        cause: error,
      },
    );
  }
}

async function loadRows(
  session: Session,
  { sql, section, reader }: { sql: string; section: ExportSection; reader: ExportReader },
  { hash, signal }: RunScriptOptions,
): Promise<ImportedTable> {
  const { schema, name } = section.table;
  if (!sql.startsWith(`COPY ${quoteQualified(schema, name)}`)) {
    return await loadThroughRoot(session, { sql, section, reader });
  }
  const target = await matchTable(session, section.table, { acceptOtherTypes: true });
  return await importTable(session, {
    ...{ file: reader.name, section, target, mode: "append", signal },
    encoding: reader.header.encoding,
    hash: target.hasSameTypes ? await hash(target) : null,
  });
}

/** Rows of a partition that may belong into another one here are only counted. */
async function loadThroughRoot(
  session: Session,
  { sql, section, reader }: { sql: string; section: ExportSection; reader: ExportReader },
): Promise<ImportedTable> {
  const { schema, name } = section.table;
  try {
    const { rows } = await session.copyIn(sql, section.rows());
    const expected = await section.end();
    if (rows !== Number(expected.rows)) {
      throw new BackupError(
        "restore_mismatch",
        `Cannot import ${reader.name} into ${schema}.${name}: ${rows} rows arrived, not ${expected.rows}`,
        { hint: "Nothing was changed." },
      );
    }
    const counts = { rows, added: rows, skipped: 0 };
    return { table: `${schema}.${name}`, ...counts, compared: "number", remarks: [] };
  } catch (error) {
    throw located(error, { file: reader.name, firstLine: section.firstLine });
  }
}
