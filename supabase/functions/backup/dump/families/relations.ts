/**
 * The relations of a database (tables, views, materialized views, sequences) as the families of
 * relations share them: read once per dump, before the first family needs them.
 *
 * @module
 */
import { quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { type CatalogSlice, Drafts, type DumpContext, type DumpOptions } from "../context.ts";
import { matchesPattern, takesWholeSchema } from "../selection.ts";
import { sideBySide } from "../side_by_side.ts";
import { type Column, readColumns } from "./columns.ts";
import { presentDefinition } from "./present_definition.ts";
import { DETAILS, EXTENSIONS, RELATIONS, SYSTEM_COLUMN_RIGHTS } from "./relation_queries.ts";

/** A relation, with what only its own kind has in `row` (columns of the queries below). */
export interface Relation {
  oid: number;
  /** pg_class.relkind: r, p, f, v, m or S. */
  kind: string;
  schema: string;
  name: string;
  /** Quoted and qualified. */
  sqlName: string;
  owner: string;
  /** Keyword of CREATE, ALTER and COMMENT ON, such as `FOREIGN TABLE`. */
  keyword: string;
  /** `<keyword> <sqlName>`. */
  address: string;
  /** `ALTER TABLE`, or `ALTER FOREIGN TABLE`. */
  alter: string;
  /** The backup holds its definition: selected, in a saved schema, of no extension, not temporary. */
  isDefined: boolean;
  /** Extension that it is a member of. */
  extension: string | null;
  /** Key of that extension's entry. */
  extensionKey: string | null;
  isPartition: boolean;
  /** Tables it inherits from, in order; the parent of a partition. They may be of another slice. */
  parents: { oid: number; sqlName: string; isDefined: boolean }[];
  /** Live columns; empty for sequences. */
  columns: Column[];
  /** Rights on system columns, such as ctid, which may be granted as any other. */
  systemColumns: Pick<Column, "name" | "acl" | "initial">[];
  /** WHERE clause of an extension's configuration table, `""` for all rows, null when it is none. */
  configuration: string | null;
  row: Row;
}

const KEYWORDS: Record<string, string> = {
  r: "TABLE",
  p: "TABLE",
  f: "FOREIGN TABLE",
  v: "VIEW",
  m: "MATERIALIZED VIEW",
  S: "SEQUENCE",
};

const readings = new WeakMap<DumpContext, Promise<Map<number, Relation>>>();

/** The relations by oid; the first call of a dump reads them. */
export function relationsOf(context: DumpContext): Promise<Map<number, Relation>> {
  let reading = readings.get(context);
  if (reading === undefined) {
    reading = readRelations(context);
    readings.set(context, reading);
  }
  return reading;
}

/** Those whose definition the backup holds, of the kinds given (letters of pg_class.relkind). */
export async function definedRelations(context: DumpContext, kinds: string): Promise<Relation[]> {
  const relations = await relationsOf(context);
  return [...relations.values()].filter((one) => one.isDefined && kinds.includes(one.kind));
}

/** Numbers as the text of an `oid[]` parameter. */
export function oidArray(oids: Iterable<number>): string {
  return `{${[...oids].join(",")}}`;
}

/** What the passes need of the rights on a relation and its columns. */
export function relationRights(relation: Relation) {
  const columns = [...relation.columns, ...relation.systemColumns]
    .filter((column) => column.acl !== null || column.initial !== null)
    .map(({ name, acl, initial }) => ({ name, acl, initial }));
  return {
    grantType: relation.kind === "S" ? "SEQUENCE" : "TABLE",
    grantName: relation.sqlName,
    acl: relation.row.acl,
    aclDefault: relation.row.acl_default,
    initial: relation.row.initial,
    ...(columns.length === 0 ? {} : { columns }),
  };
}

/**
 * Whether the operator's patterns take this relation, or its rows.
 *
 * @example
 * ```ts
 * matchesRelation(["app.log_*"], "app", "log_2024"); // true
 * ```
 */
export function matchesRelation(patterns: string[], schema: string, name: string): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, name) || matchesQualified(pattern));

  // Names may hold dots themselves: each may be the one between schema and name.
  function matchesQualified(pattern: string): boolean {
    for (let dot = pattern.indexOf("."); dot >= 0; dot = pattern.indexOf(".", dot + 1)) {
      const isSchema = matchesPattern(pattern.slice(0, dot), schema);
      if (isSchema && matchesPattern(pattern.slice(dot + 1), name)) return true;
    }
    return false;
  }
}

async function readRelations(context: DumpContext): Promise<Map<number, Relation>> {
  const relations = await readHeads(context, context.slice);
  followOwners(relations);
  await addDetails(context, relations);
  return relations;
}

/** Relations that another slice has, as far as pg_class tells of them: without columns and parents. */
export async function relationsElsewhere(
  context: DumpContext,
  oids: Iterable<number>,
): Promise<Map<number, Relation>> {
  const relations = [...oids];
  if (context.slice === null || relations.length === 0) return new Map();
  return await readHeads(context, { isRest: false, relations, functions: [] });
}

async function readHeads(
  context: DumpContext,
  slice: CatalogSlice | null,
): Promise<Map<number, Relation>> {
  const schemas = [...context.schemas.values()];
  const [extensions, rows] = await sideBySide([
    context.session.query(EXTENSIONS),
    context.session.query(RELATIONS, [
      oidArray(schemas.filter((schema) => schema.take === "all").map((schema) => schema.oid)),
      oidArray(schemas.filter((schema) => schema.take === "rights").map((schema) => schema.oid)),
      slice === null ? null : oidArray(slice.relations),
      slice?.isRest ?? false,
    ]),
  ]);
  const relations = new Map<number, Relation>();
  for (const row of rows) {
    const schema = context.schemas.get(row.schema_oid)!;
    const extension = adoptedExtension(context, row);
    const keyword = KEYWORDS[row.kind]!;
    const sqlName = quoteQualified(schema.name, row.name);
    relations.set(row.oid, {
      oid: row.oid,
      kind: row.kind,
      schema: schema.name,
      name: row.name,
      sqlName,
      owner: row.owner,
      keyword,
      address: `${keyword} ${sqlName}`,
      alter: row.kind === "f" ? "ALTER FOREIGN TABLE" : "ALTER TABLE",
      isDefined: schema.take === "all" && extension === null && row.persistence !== "t" &&
        isSelected(context.options, schema.name, row.name),
      extension,
      extensionKey: extensionKeyOf(extension, extensions),
      isPartition: row.is_partition,
      parents: [],
      columns: [],
      systemColumns: [],
      configuration: isSelected(context.options, schema.name, row.name)
        ? configurationOf(row, schema.name, { extension, extensions })
        : null,
      row,
    });
  }
  return relations;
}

// A sequence is taken with the table that owns it; an identity's never without it.
function followOwners(relations: Map<number, Relation>): void {
  for (const sequence of relations.values()) {
    const { owner_oid, owner_kind } = sequence.row;
    if (sequence.kind !== "S" || owner_oid === null || sequence.extension !== null) continue;
    const isOwnerDefined = relations.get(owner_oid)?.isDefined === true;
    sequence.isDefined = isOwnerDefined || (sequence.isDefined && owner_kind !== "i");
  }
}

function extensionKeyOf(extension: string | null, extensions: Row[]): string | null {
  const row = extensions.find((one) => one.name === extension);
  return row === undefined ? null : Drafts.key("pg_extension", row.oid);
}

// pgmq makes a user's queue a member of itself and forgets how: CREATE EXTENSION does not bring it
// back. So queues are taken as tables of the user's own, which pgmq accepts as well.
function adoptedExtension(context: DumpContext, row: Row): string | null {
  const key = Drafts.key("pg_class", row.oid);
  const extension = context.extensionMembers.get(key) ?? null;
  if (extension !== "pgmq" || !/^[qa]_/.test(row.name)) return extension;
  context.extensionMembers.delete(key);
  row.initial = null;
  return null;
}

/** Which rows of an extension's table are the user's: a condition, "" for all of them, null for none. */
function configurationOf(
  row: Row,
  schema: string,
  { extension, extensions }: { extension: string | null; extensions: Row[] },
): string | null {
  for (const { tables, conditions } of extensions) {
    const at = (tables ?? []).indexOf(row.oid);
    if (at >= 0) return conditions[at];
  }
  // The list of queues, which pgmq from 1.5 on no longer declares as the user's.
  return extension === "pgmq" && schema === "pgmq" && row.name === "meta" ? "" : null;
}

/** Whether the operator's patterns take the relation. */
export function isSelected(options: DumpOptions, schema: string, name: string): boolean {
  if (matchesRelation(options.excludeTables, schema, name)) return false;
  return takesWholeSchema(options, schema) || matchesRelation(options.includeTables, schema, name);
}

async function addDetails(context: DumpContext, relations: Map<number, Relation>): Promise<void> {
  const wanted = [...relations.values()].filter((one) =>
    one.isDefined || one.configuration !== null || one.row.has_column_rights
  );
  const withColumns = wanted.filter((one) => one.kind !== "S");
  const [details, columns] = await sideBySide([
    context.session.query(DETAILS, [oidArray(wanted.map((one) => one.oid))]),
    readColumns(context, oidArray(withColumns.map((one) => one.oid))),
  ]);
  for (const row of details) {
    const relation = relations.get(row.oid)!;
    Object.assign(relation.row, row);
    relation.parents = row.parents.map((oid: number, at: number) => ({
      ...{ oid, sqlName: row.parent_names[at], isDefined: relations.get(oid)?.isDefined === true },
    }));
    if (relation.kind === "p") presentDefinition(row.partition_key, relation.address);
    if (relation.isPartition) presentDefinition(row.partition_bound, relation.address);
    if (row.partition_key !== null || row.partition_bound !== null) {
      context.readByFunction.push({ catalog: "pg_class", oid: row.oid });
    }
  }
  for (const relation of wanted) relation.columns = columns.get(relation.oid) ?? [];
  await addParentsElsewhere(context, relations);
  const withRights = wanted.filter((one) => one.row.has_column_rights);
  if (withRights.length === 0) return;
  const parameter = oidArray(withRights.map((one) => one.oid));
  for (const row of await context.session.query(SYSTEM_COLUMN_RIGHTS, [parameter])) {
    relations.get(row.relation)!.systemColumns.push(row as Relation["systemColumns"][number]);
  }
}

/** Partitions need not be in the slice of their parent. */
async function addParentsElsewhere(
  context: DumpContext,
  relations: Map<number, Relation>,
): Promise<void> {
  const parents = [...relations.values()].flatMap((one) => one.parents)
    .filter(({ oid }) => !relations.has(oid));
  const elsewhere = await relationsElsewhere(context, new Set(parents.map(({ oid }) => oid)));
  for (const parent of parents) parent.isDefined = elsewhere.get(parent.oid)?.isDefined === true;
}
