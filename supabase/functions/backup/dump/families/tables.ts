/**
 * Tables: ordinary, partitioned and foreign ones, with their columns, checks and inheritance.
 *
 * A partition is made as a table of its own; the family of partitions attaches it.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { type Column, columnActions, defaultClause } from "./columns.ts";
import { tablespaceClause, withClause } from "./options.ts";
import { definedRelations, type Relation, relationRights, relationsOf } from "./relations.ts";
import {
  comesUnnoticed,
  constraintDraft,
  isCarried,
  keepValidatedByChildren,
  needsName,
  orderNamedConstraints,
  readTableConstraints,
  type TableConstraint,
} from "./table_constraints.ts";

/** What CREATE TABLE is written from. */
interface TableParts {
  table: Relation;
  constraints: TableConstraint[];
  version: number;
  /**
   * Made with all columns and constraints of its own and given its parents afterwards: partitions by
   * an entry of their own; other tables right behind, where INHERITS would change their column order
   * and all that they inherit is theirs as well.
   */
  isStandalone: boolean;
}

/** The family of tables. */
export const tablesFamily: CatalogFamily = {
  name: "tables",
  catalogs: ["pg_class", "pg_attribute", "pg_foreign_table", "pg_partitioned_table"],
  async read(context: DumpContext): Promise<void> {
    const tables = await definedRelations(context, "rpf");
    const relations = await relationsOf(context);
    const constraints = await readTableConstraints(context, tables);
    for (const table of tables) {
      const own = constraints.get(table.oid) ?? [];
      const isStandalone = table.isPartition ||
        (isReordered(table, relations) && isAllLocal(table, own));
      const parts = { table, constraints: own, version: context.version, isStandalone };
      addTable(context, parts);
      for (const constraint of parts.constraints) {
        if (comesUnnoticed(constraint)) continue;
        context.drafts.add(constraintDraft(table, constraint));
      }
    }
    orderNamedConstraints(context, constraints.values());
    keepValidatedByChildren(context, { tables, constraints });
  },
};

// INHERITS puts the parents' columns first, in their order.
function isReordered(table: Relation, relations: Map<number, Relation>): boolean {
  const names = new Set(
    table.parents.flatMap((parent) => relations.get(parent.oid)?.columns ?? [])
      .concat(table.columns)
      .map((column) => column.name),
  );
  const order = [...names];
  return table.columns.some((column, at) => column.name !== order[at]);
}

function isAllLocal(table: Relation, constraints: TableConstraint[]): boolean {
  return table.columns.every((column) => column.isLocal) &&
    // Those never checked are added after the data, and by the parent to its children.
    constraints.every((one) => one.isLocal || !one.isValidated);
}

function addTable(context: DumpContext, parts: TableParts): void {
  const { table } = parts;
  const drop = [`DROP ${table.address}`];
  context.drafts.add({
    catalog: "pg_class",
    oid: table.oid,
    part: null,
    kind: "table",
    section: "pre-data",
    schema: table.schema,
    name: table.name,
    create: createTable(parts, new Set()),
    drop,
    address: table.address,
    owner: table.owner,
    rights: relationRights(table),
    commentable: true,
    dependsOn: table.isPartition
      ? []
      : table.parents.map((parent) => Drafts.key("pg_class", parent.oid)),
    withoutInline: (separate) => ({ create: createTable(parts, separate), drop }),
  });
}

function createTable(parts: TableParts, separate: ReadonlySet<string>): string[] {
  const { table } = parts;
  const { row } = table;
  const elements = [
    ...table.columns.flatMap((column) => columnElement(parts, column, separate)),
    ...checkElements(parts, separate),
  ];
  // Partitioned tables cannot be unlogged from 18 on, and never used it before.
  const unlogged = row.persistence === "u" && table.kind !== "p" ? "UNLOGGED " : "";
  const ofType = row.of_type === null ? "" : ` OF ${row.of_type}`;
  const body = elements.length === 0
    ? (row.of_type === null ? " ()" : "")
    : ` (\n    ${elements.join(",\n    ")}\n)`;
  const statement = `CREATE ${unlogged}${table.address}${ofType}${body}` + inheritsClause(parts) +
    (row.partition_key === null ? "" : `\nPARTITION BY ${row.partition_key}`) +
    (row.server === null ? "" : `\nSERVER ${quoteIdentifier(row.server)}`) +
    foreignOptionsClause(row.foreign_options) +
    (row.access_method === null ? "" : `\nUSING ${quoteIdentifier(row.access_method)}`) +
    withClause(row.options, row.toast_options) +
    tablespaceClause(row.tablespace);
  const actions = [
    ...table.columns.flatMap((column) => [
      ...inheritedColumnActions(parts, column),
      ...columnActions(column),
    ]),
    ...replicaIdentityActions(table),
    ...inheritActions(parts),
  ];
  if (actions.length === 0) return [statement];
  return [statement, `${table.alter} ONLY ${table.sqlName}\n    ${actions.join(",\n    ")}`];
}

function isPrinted(table: Relation, column: Column): boolean {
  return column.isLocal || table.isPartition;
}

function columnElement(
  parts: TableParts,
  column: Column,
  separate: ReadonlySet<string>,
): string[] {
  const { table } = parts;
  const name = quoteIdentifier(column.name);
  const notNull = notNullClause(parts, column);
  if (!isPrinted(table, column)) {
    // A NOT NULL of its own on an inherited column; before 18 it had no name and no such syntax.
    return notNull === "" || parts.version < 180000
      ? []
      : [`${notNull.trimStart().replace(/NOT NULL/, () => `NOT NULL ${name}`)}`];
  }
  const default_ = defaultOf(parts, column, separate);
  if (table.row.of_type !== null) {
    return default_ === "" && notNull === "" ? [] : [`${name}${default_}${notNull}`];
  }
  const options = column.foreignOptions.length > 0 && table.kind === "f"
    ? ` OPTIONS (${column.foreignOptions.join(", ")})`
    : "";
  const collation = column.collation === null ? "" : ` COLLATE ${column.collation}`;
  return [`${name} ${column.type}${options}${collation}${default_}${notNull}`];
}

function defaultOf(
  { isStandalone }: TableParts,
  column: Column,
  separate: ReadonlySet<string>,
): string {
  if (column.defaultOid === null) {
    // The parent's default would be inherited otherwise.
    return column.inheritsDefault && !isStandalone ? " DEFAULT NULL" : "";
  }
  // Inherited expressions come with the parent; servers before 16 refuse to hear them again.
  if (column.generated !== "" && column.inheritsGenerated && !isStandalone) return "";
  // A generation expression cannot stand alone.
  const key = Drafts.key("pg_attrdef", column.defaultOid);
  if (column.generated === "" && separate.has(key)) return "";
  return defaultClause(column);
}

function notNullClause(parts: TableParts, column: Column): string {
  const { table, constraints, version, isStandalone } = parts;
  if (version < 180000) {
    const isOwn = column.isNotNull && (isStandalone || !column.inheritsNotNull);
    return isOwn ? " NOT NULL" : "";
  }
  const constraint = constraints.find((one) => one.type === "n" && one.column === column.number);
  if (constraint === undefined || !constraint.isValidated) return "";
  const isOwn = constraint.isLocal || isStandalone || needsName(constraint) ||
    (table.parents.length > 0 && !column.inheritsNotNull);
  if (!isOwn) return "";
  const noInherit = constraint.noInherit ? " NO INHERIT" : "";
  return ` CONSTRAINT ${quoteIdentifier(constraint.name)} NOT NULL${noInherit}`;
}

function checkElements(parts: TableParts, separate: ReadonlySet<string>): string[] {
  return parts.constraints
    .filter((one) => one.type === "c" && isCarried(parts.table, one))
    .filter((one) => !separate.has(Drafts.key("pg_constraint", one.oid)))
    .map((one) => `CONSTRAINT ${quoteIdentifier(one.name)} ${one.definition}`);
}

function inheritsClause({ table, isStandalone }: TableParts): string {
  if (isStandalone || table.parents.length === 0) return "";
  return `\nINHERITS (${table.parents.map((parent) => parent.sqlName).join(", ")})`;
}

function inheritActions({ table, isStandalone }: TableParts): string[] {
  if (!isStandalone || table.isPartition) return [];
  return table.parents.map((parent) => `INHERIT ${parent.sqlName}`);
}

function foreignOptionsClause(options: string[]): string {
  return options.length === 0 ? "" : `\nOPTIONS (${options.join(", ")})`;
}

// What differs from the parent in a column that CREATE TABLE does not name.
function inheritedColumnActions(parts: TableParts, column: Column): string[] {
  const { table, version } = parts;
  if (isPrinted(table, column)) return [];
  const alter = `ALTER COLUMN ${quoteIdentifier(column.name)}`;
  const actions: string[] = [];
  if (column.defaultOid === null && column.inheritsDefault) actions.push(`${alter} DROP DEFAULT`);
  if (column.generated !== "" && !column.inheritsGenerated && version >= 170000) {
    actions.push(`${alter} SET EXPRESSION AS (${column.defaultExpression})`);
  }
  if (version < 180000 && notNullClause(parts, column) !== "") {
    actions.push(`${alter} SET NOT NULL`);
  }
  return actions;
}

// An index as identity is said with the index.
function replicaIdentityActions(table: Relation): string[] {
  if (table.kind === "f") return [];
  if (table.row.replica_identity === "n") return ["REPLICA IDENTITY NOTHING"];
  if (table.row.replica_identity === "f") return ["REPLICA IDENTITY FULL"];
  return [];
}
