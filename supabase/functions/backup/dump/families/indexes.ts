/**
 * Indexes and the constraints that stand on one: primary keys, unique and exclusion constraints.
 *
 * An index of a partition is made by itself and attached to the parent's by an entry of its own.
 *
 * @module
 */
import { quoteIdentifier, quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { keyConstraintDefinition } from "./key_constraints.ts";
import { presentDefinition } from "./present_definition.ts";
import { definedRelations, oidArray, type Relation } from "./relations.ts";

function indexesQuery(version: number): string {
  return `
  select i.indrelid as relation, c.oid, c.relname as name,
         case when k.oid is null then pg_get_indexdef(c.oid) end as definition,
         case when i.indpred is not null then pg_get_expr(i.indpred, i.indrelid) end as predicate, i.indisclustered as is_clustered,
         i.indisreplident as is_replica_identity, i.indnullsnotdistinct as nulls_not_distinct,
         i.indnkeyatts as key_columns, c.reloptions as options, s.spcname as tablespace,
         h.inhparent as parent, hn.nspname as parent_schema, hc.relname as parent_name,
         k.oid as constraint_oid, k.conname as constraint_name,
         k.contype as constraint_type, k.condeferrable as is_deferrable,
         k.condeferred as is_deferred,
         ${version >= 180000 ? "k.conperiod" : "false"} as is_period,
         case when k.contype = 'x' then pg_get_constraintdef(k.oid) end as constraint_definition,
         case when k.contype in ('p', 'u') then i.indkey end as column_numbers,
         case when i.indexprs is null then '{}' else
           array(select format('ALTER COLUMN %s SET STATISTICS %s', a.attnum, a.attstattarget)
                   from pg_attribute a
                  where a.attrelid = c.oid and a.attstattarget >= 0
                  order by a.attnum) end as statistics
    from unnest($1::oid[]) wanted(oid)
    join pg_index i on i.indrelid = wanted.oid
    join pg_class t on t.oid = i.indrelid
    join pg_class c on c.oid = i.indexrelid
    left join pg_tablespace s on s.oid = c.reltablespace
    left join pg_inherits h on h.inhrelid = c.oid
    left join pg_class hc on hc.oid = h.inhparent
    left join pg_namespace hn on hn.oid = hc.relnamespace
    left join pg_constraint k
      on k.conindid = c.oid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
   where (i.indisvalid or t.relkind = 'p') and i.indisready
   order by c.oid`;
}

/** The family of pg_index. */
export const indexesFamily: CatalogFamily = {
  name: "indexes",
  catalogs: ["pg_index"],
  async read(context: DumpContext): Promise<void> {
    const tables = new Map(
      (await definedRelations(context, "rpm")).map((table) => [table.oid, table]),
    );
    const oids = oidArray(tables.keys());
    const rows = await context.session.query(indexesQuery(context.version), [oids]);
    for (const row of rows) {
      const table = tables.get(row.relation)!;
      const index = {
        table,
        row,
        sqlName: quoteQualified(table.schema, row.name),
        key: Drafts.key("pg_class", row.oid),
      };
      if (row.constraint_oid === null) addIndex(context, index);
      else addConstraint(context, index);
      // What the parent of a partition is, another slice may know.
      if (row.parent !== null && table.parents[0]?.isDefined) addAttach(context, index);
    }
  },
};

/** An index and its table. */
interface Index {
  table: Relation;
  row: Row;
  sqlName: string;
  /** Key of its draft. */
  key: string;
}

function addIndex(context: DumpContext, index: Index): void {
  const { table, row, sqlName } = index;
  presentDefinition(row.definition, `INDEX ${sqlName}`);
  context.readByFunction.push({ catalog: "pg_class", oid: row.oid });
  context.drafts.add({
    catalog: "pg_class",
    oid: row.oid,
    part: null,
    kind: "index",
    section: "post-data",
    schema: table.schema,
    name: row.name,
    create: [
      ...createIndex(index),
      ...row.statistics.map((action: string) => `ALTER INDEX ${sqlName} ${action}`),
      ...tableSettings(index),
    ],
    // The server drops a partition's index only with the parent's.
    drop: row.parent === null ? [`DROP INDEX ${sqlName}`] : [],
    address: `INDEX ${sqlName}`,
    owner: null,
    commentable: true,
    dependsOn: [Drafts.key("pg_class", table.oid)],
  });
}

// The server's text leaves the tablespace out; its place is before the predicate.
function createIndex({ row, sqlName }: Index): string[] {
  if (row.tablespace === null) return [row.definition];
  const tablespace = ` TABLESPACE ${quoteIdentifier(row.tablespace)}`;
  if (row.predicate === null) return [row.definition + tablespace];
  const end = ` WHERE ${row.predicate}`;
  if (row.definition.endsWith(end)) {
    return [row.definition.slice(0, -end.length) + tablespace + end];
  }
  return [row.definition, `ALTER INDEX ${sqlName} SET${tablespace}`];
}

// What the table remembers of the index.
function tableSettings({ table, row }: Index): string[] {
  const name = quoteIdentifier(row.name);
  const statements = [];
  if (row.is_clustered) statements.push(`ALTER TABLE ${table.sqlName} CLUSTER ON ${name}`);
  if (row.is_replica_identity) {
    statements.push(`ALTER TABLE ONLY ${table.sqlName} REPLICA IDENTITY USING INDEX ${name}`);
  }
  return statements;
}

function addConstraint(context: DumpContext, index: Index): void {
  const { table, row, sqlName } = index;
  const name = quoteIdentifier(row.constraint_name);
  const host = Drafts.key("pg_constraint", row.constraint_oid);
  const columns = row.column_numbers?.map((number: number) =>
    table.columns.find((column) => column.number === number)!.name
  );
  const { definition, after } = keyConstraintDefinition({ ...row, columns }, sqlName);
  if (row.constraint_definition !== null) {
    context.readByFunction.push({ catalog: "pg_constraint", oid: row.constraint_oid });
  }
  context.drafts.add({
    catalog: "pg_constraint",
    oid: row.constraint_oid,
    part: null,
    kind: "constraint",
    section: "post-data",
    schema: table.schema,
    name: `${table.name} ${row.constraint_name}`,
    create: [
      `${table.alter} ONLY ${table.sqlName} ADD CONSTRAINT ${name} ${definition}`,
      ...after,
      ...tableSettings(index),
    ],
    drop: row.parent === null
      ? [`${table.alter} ONLY ${table.sqlName} DROP CONSTRAINT ${name}`]
      : [],
    address: `CONSTRAINT ${name} ON ${table.sqlName}`,
    owner: null,
    commentable: true,
    dependsOn: [Drafts.key("pg_class", table.oid)],
  });
  context.drafts.add({
    catalog: "pg_class",
    oid: row.oid,
    part: null,
    kind: "index",
    section: "post-data",
    schema: table.schema,
    name: row.name,
    create: [],
    drop: [],
    address: `INDEX ${sqlName}`,
    owner: null,
    commentable: true,
    dependsOn: [host],
    inlineIn: host,
  });
}

function addAttach(context: DumpContext, index: Index): void {
  const parent = quoteQualified(index.row.parent_schema, index.row.parent_name);
  context.drafts.add({
    catalog: "pg_class",
    oid: index.row.oid,
    part: "attach",
    kind: "index-attach",
    section: "post-data",
    schema: index.table.schema,
    name: index.row.name,
    create: [`ALTER INDEX ${parent} ATTACH PARTITION ${index.sqlName}`],
    drop: [],
    address: `INDEX ATTACH ${index.sqlName}`,
    owner: null,
    commentable: false,
    dependsOn: [
      index.key,
      Drafts.key("pg_class", index.row.parent),
      Drafts.key("pg_class", index.table.oid, "attach"),
    ],
  });
}
