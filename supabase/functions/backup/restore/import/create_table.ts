/**
 * Makes a table as the header of an export says.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { ExportedNeed, ExportedTable } from "../../core/export_format.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import type { Session } from "../../postgres/session.ts";

const IS_THERE: Record<ExportedNeed["kind"], string> = {
  schema: "select from pg_catalog.pg_namespace where nspname = $2 and $1::text is null",
  type: `select from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
          where n.nspname = $1 and t.typname = $2`,
  sequence: `
    select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relname = $2`,
};

/** Makes what the table needs and the table, without its keys and indexes. @throws {BackupError} */
export async function createTable(session: Session, table: ExportedTable): Promise<void> {
  const { definition } = table;
  if (definition === undefined) {
    throw new BackupError(
      "target_unfit",
      `Cannot make ${table.schema}.${table.name}: the file does not say how`,
      { hint: "Nothing was changed. Make the table first." },
    );
  }
  for (const { kind, schema, name, create } of definition.needs) {
    const found = await session.query(IS_THERE[kind], [schema, name]);
    if (found.length === 0) await run(session, table, create);
  }
  await run(session, table, definition.before);
}

/** Gives a table that was made its keys, indexes and row level security. @throws {BackupError} */
export async function finishTable(session: Session, table: ExportedTable): Promise<void> {
  await run(session, table, table.definition?.after ?? []);
}

async function run(session: Session, table: ExportedTable, sql: readonly string[]): Promise<void> {
  for (const statement of sql) {
    try {
      await session.execute(statement);
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      throw new BackupError(
        error.code,
        `Cannot make ${table.schema}.${table.name}: ${error.facts.serverMessage} ` +
          `(SQLSTATE ${error.sqlState})`,
        {
          hint: "Nothing was changed. Make first what is missing, or import a whole export in SQL.",
          details: { ...error.details },
          cause: error,
        },
      );
    }
  }
}
