/**
 * Finds the tables of an export in the target, and refuses what does not fit before any row.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { type ExportedTable, shownType } from "../../core/export_format.ts";
import { quoteIdentifier, quoteQualified } from "../../postgres/quote.ts";
import type { Session } from "../../postgres/session.ts";

/** A table of the target that takes rows. */
export interface TargetTable {
  oid: number;
  /** Quoted and qualified. */
  sqlName: string;
  /** What stands behind FROM to read exactly what a COPY into it brings. */
  source: string;
  isPartitioned: boolean;
  /** Its columns in the order of the export. */
  columns: { name: string; typeOid: number }[];
  /** Names of the primary key's columns; empty without one. */
  primaryKey: string[];
  /** Whether the columns have the types that the export names. */
  hasSameTypes: boolean;
  /** What differs and was accepted, in words. */
  remarks: string[];
}

const TABLE = `
  select c.oid, c.relkind::text as kind,
         array(select a.attname::text from pg_catalog.pg_index i
                 join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = any (i.indkey)
                where i.indrelid = c.oid and i.indisprimary) as primary_key
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where n.nspname = $1 and c.relname = $2`;

const COLUMNS = `
  select a.attname::text as name, a.atttypid as type_oid, a.attgenerated::text as generated,
         pg_catalog.format_type(a.atttypid, a.atttypmod) as type_name
    from pg_catalog.pg_attribute a
   where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum`;

/** Whether the target has a table, or anything else, of this name. */
export async function hasRelation(session: Session, table: ExportedTable): Promise<boolean> {
  return (await session.query(TABLE, [table.schema, table.name])).length > 0;
}

/**
 * The table of the target.
 *
 * @throws {BackupError} `not_found`, or `target_unfit` naming every column that does not fit
 */
export async function matchTable(
  session: Session,
  table: ExportedTable,
  { acceptOtherTypes }: { acceptOtherTypes: boolean },
): Promise<TargetTable> {
  const shown = `${table.schema}.${table.name}`;
  const [found] = await session.query(TABLE, [table.schema, table.name]);
  if (found === undefined) {
    throw new BackupError("not_found", `Cannot import ${shown}: the database has no such table`, {
      hint: "Nothing was changed. Make the table first, or let it be made: --create.",
    });
  }
  if (found.kind !== "r" && found.kind !== "p") {
    throw unfit(shown, ["it is not a table"]);
  }
  const { columns, problems, remarks } = compareColumns(
    table,
    await readColumns(session, found.oid),
  );
  if (!acceptOtherTypes) problems.push(...remarks);
  if (problems.length > 0) throw unfit(shown, problems, problems.length === remarks.length);
  const sqlName = quoteQualified(table.schema, table.name);
  return {
    oid: found.oid,
    sqlName,
    source: found.kind === "p" ? sqlName : `ONLY ${sqlName}`,
    isPartitioned: found.kind === "p",
    columns,
    primaryKey: found.primary_key,
    hasSameTypes: remarks.length === 0,
    remarks,
  };
}

interface FoundColumn {
  name: string;
  type_oid: number;
  type_name: string;
  generated: string;
}

/** With all names in quotes, as the export has them. */
async function readColumns(session: Session, oid: number): Promise<FoundColumn[]> {
  await session.execute("SET LOCAL quote_all_identifiers = on");
  const columns = await session.query(COLUMNS, [oid]);
  await session.execute("SET LOCAL quote_all_identifiers = off");
  return columns as FoundColumn[];
}

function compareColumns(table: ExportedTable, found: readonly FoundColumn[]) {
  const there = new Map(found.map((column) => [column.name, column]));
  const inFile = new Set(table.columns.map(({ name }) => name));
  const problems: string[] = [];
  const remarks: string[] = [];
  const columns: TargetTable["columns"] = [];
  if (inFile.size < table.columns.length) problems.push("the file names a column twice");
  for (const { name, type } of table.columns) {
    const column = there.get(name);
    const shown = quoteIdentifier(name);
    if (column === undefined) problems.push(`it lacks column ${shown} of the file`);
    else if (column.generated !== "") problems.push(`its column ${shown} is generated`);
    else {
      columns.push({ name, typeOid: column.type_oid });
      const own = shownType(column.type_name);
      if (own !== type) remarks.push(`column ${shown} is ${own}, and ${type} in the file`);
    }
  }
  for (const { name, generated } of found) {
    if (generated !== "" || inFile.has(name)) continue;
    problems.push(`the file lacks its column ${quoteIdentifier(name)}`);
  }
  return { columns, problems, remarks };
}

function unfit(table: string, problems: readonly string[], onlyTypes = false): BackupError {
  const shown = problems.slice(0, 10).join("; ") + (problems.length > 10 ? "; …" : "");
  return new BackupError("target_unfit", `Cannot import ${table}: ${shown}`, {
    hint: onlyTypes
      ? "Nothing was changed. Alter the table, or say --accept-other-types: then the rows are only counted."
      : "Nothing was changed. Alter the table so that it has the columns of the file, and no others.",
    details: { table, problems: problems.slice(0, 100) },
  });
}
