/**
 * Which tables' rows are saved, and what the data stage and the restore need to know of them.
 *
 * @module
 */
import type { Entry, TableFacts } from "../../core/model.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { hasRowsOfNoUse } from "../managed.ts";
import { sideBySide } from "../side_by_side.ts";
import { takesWholeDatabase } from "./define.ts";
import {
  matchesRelation,
  oidArray,
  type Relation,
  relationsElsewhere,
  relationsOf,
} from "./relations.ts";

// A key on a partitioned table means its leaves.
const REFERENCES = `
  with recursive reference(relation, referenced) as (
    select c.conrelid, c.confrelid
      from unnest($1::oid[]) wanted(oid)
      join pg_constraint c on c.conrelid = wanted.oid and c.contype = 'f'
    union
    select reference.relation, h.inhrelid
      from reference
      join pg_class p on p.oid = reference.referenced and p.relkind = 'p'
      join pg_inherits h on h.inhparent = p.oid)
  select relation, referenced from reference where relation <> referenced
   order by relation, referenced`;

// Partitions under a table that is cut by the hashes of an enum's values.
const LOAD_ROOTS = `
  select leaf.oid, r.oid as root_oid, format('%I.%I', n.nspname, r.relname) as root_name
    from unnest($1::oid[]) leaf(oid)
    join pg_class r on r.oid = pg_partition_root(leaf.oid)
    join pg_namespace n on n.oid = r.relnamespace
   where exists (select from pg_partition_ancestors(leaf.oid) ancestor(oid)
                   join pg_partitioned_table p on p.partrelid = ancestor.oid
                   join pg_opclass o on o.oid = any (p.partclass)
                   join pg_am m on m.oid = o.opcmethod
                  where m.amname = 'hash' and o.opcname = 'enum_ops'
                    and o.opcnamespace = 'pg_catalog'::regnamespace)`;

/** The family of rows. */
export const tableDataFamily: CatalogFamily = {
  name: "table data",
  catalogs: [],
  async read(context: DumpContext): Promise<void> {
    const relations = await relationsOf(context);
    const tables = [...relations.values()].filter((one) => mayHaveRows(context, one));
    const oids = tables.map((table) => table.oid);
    const saved = new Set(oids);
    const references = new Map<number, string[]>();
    const rows = await context.session.query(REFERENCES, [oidArray(oids)]);
    const others = new Set(rows.map((row) => row.referenced).filter((oid) => !relations.has(oid)));
    for (const other of (await relationsElsewhere(context, others)).values()) {
      if (mayHaveRows(context, other)) saved.add(other.oid);
    }
    for (const row of rows) {
      if (!saved.has(row.referenced)) continue;
      const key = Drafts.key("pg_class", row.referenced, "data");
      const list = references.get(row.relation);
      if (list === undefined) references.set(row.relation, [key]);
      else list.push(key);
    }
    const roots = await readLoadRoots(context, tables);
    for (const table of tables) {
      const referencedTables = references.get(table.oid) ?? [];
      addData(context, table, { referencedTables, loadRoot: roots.get(table.oid) });
    }
  },
};

/** What is known early of an entry with rows. */
export type RowsEntry = Pick<Entry, "key" | "kind" | "table">;

/** The entries that have rows, without what other tables mean for them: enough to copy the rows. */
export async function readRowsEntries(context: DumpContext): Promise<RowsEntry[]> {
  const [relations, [objects]] = await sideBySide([
    relationsOf(context),
    context.session.query("select exists (select from pg_largeobject_metadata) as exist"),
  ]);
  const alone = { referencedTables: [], loadRoot: undefined };
  const entries = [...relations.values()]
    .filter((one) => mayHaveRows(context, one))
    .filter((one) => !hasRowsOfNoUse(context, one))
    .map((table): RowsEntry => ({
      key: Drafts.key("pg_class", table.oid, "data"),
      kind: "table-data",
      table: tableFacts(table, alone),
    }));
  if (!takesWholeDatabase(context) || objects!.exist !== true) return entries;
  const key = Drafts.key("pg_largeobject", 0, "data");
  return [...entries, { key, kind: "large-object-data" }];
}

function mayHaveRows(context: DumpContext, table: Relation): boolean {
  return table.kind === "r" && (table.isDefined || table.configuration !== null) &&
    !matchesRelation(context.options.excludeTables, table.schema, table.name) &&
    !matchesRelation(context.options.excludeTableData, table.schema, table.name);
}

async function readLoadRoots(
  context: DumpContext,
  tables: readonly Relation[],
): Promise<Map<number, TableFacts["loadRoot"]>> {
  const partitions = tables.filter((table) => table.isPartition).map((table) => table.oid);
  if (partitions.length === 0) return new Map();
  const rows = await context.session.query(LOAD_ROOTS, [oidArray(partitions)]);
  return new Map(rows.map((row) => [row.oid, { oid: row.root_oid, sqlName: row.root_name }]));
}

/** What other tables mean for the rows of one. */
interface RowsContext {
  referencedTables: string[];
  loadRoot: TableFacts["loadRoot"];
}

function addData(context: DumpContext, table: Relation, rows: RowsContext): void {
  context.drafts.add({
    catalog: "pg_class",
    oid: table.oid,
    part: "data",
    kind: "table-data",
    section: "data",
    schema: table.schema,
    name: table.name,
    create: [],
    drop: [],
    address: `TABLE DATA ${table.sqlName}`,
    owner: null,
    commentable: false,
    // The foreign keys of an extension's tables are there before the rows.
    dependsOn: [
      table.extensionKey ?? Drafts.key("pg_class", table.oid),
      ...(table.extension === null ? [] : rows.referencedTables),
    ],
    table: tableFacts(table, rows),
    ...(table.extension === null ? {} : { extension: table.extension }),
  });
}

function tableFacts(table: Relation, { referencedTables, loadRoot }: RowsContext): TableFacts {
  const { row } = table;
  return {
    oid: table.oid,
    sqlName: table.sqlName,
    relkind: table.kind,
    persistence: row.persistence,
    accessMethod: row.access_method,
    tableBytes: Number(row.table_bytes ?? 0),
    toastBytes: Number(row.toast_bytes ?? 0),
    isPartition: table.isPartition,
    hasRowSecurity: row.row_security,
    forceRowSecurity: row.force_row_security,
    columns: table.columns.map((column) => ({
      name: column.name,
      number: column.number,
      typeOid: column.typeOid,
      typeName: column.type,
      notNull: column.isNotNull,
      generated: column.generated,
      identity: column.identity,
    })),
    condition: table.configuration || null,
    ...(loadRoot === undefined ? {} : { loadRoot }),
    referencedTables,
  };
}
