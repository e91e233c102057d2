/**
 * The relations of a database (tables, views, materialized views, sequences) as the families of
 * relations share them: read once per dump, before the first family needs them.
 *
 * @module
 */
import { quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { Drafts, type DumpContext, type DumpOptions } from "../context.ts";
import { matchesPattern } from "../selection.ts";
import { type Column, readColumns } from "./columns.ts";

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
  /** Tables it inherits from, in order; the parent of a partition. */
  parents: { oid: number; sqlName: string }[];
  /** Live columns; empty for sequences. */
  columns: Column[];
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

// Of schemas that are taken for their rights only, relations with unchanged rights are left out here.
const RELATIONS = `
  select c.oid, c.relname as name, c.relnamespace as schema_oid, c.relkind as kind,
         r.rolname as owner, c.relpersistence as persistence, c.relispartition as is_partition,
         c.relacl as acl,
         acldefault(case when c.relkind = 'S' then 's'::"char" else 'r'::"char" end, c.relowner)
           as acl_default,
         i.initprivs as initial, c.reloptions as options, t.reloptions as toast_options,
         s.spcname as tablespace, am.amname as access_method, c.relrowsecurity as row_security,
         c.relforcerowsecurity as force_row_security, c.relreplident as replica_identity,
         c.relispopulated as is_populated, c.relpages as pages, c.reltuples as tuples,
         d.refobjid as owner_oid, d.refobjsubid as owner_column, d.deptype as owner_kind,
         exists (select from pg_attribute a where a.attrelid = c.oid and a.attacl is not null
                    and not a.attisdropped)
           or exists (select from pg_init_privs ci where ci.classoid = 'pg_class'::regclass
                         and ci.objoid = c.oid and ci.objsubid > 0) as has_column_rights
    from pg_class c
    left join pg_roles r on r.oid = c.relowner
    left join pg_tablespace s on s.oid = c.reltablespace
    left join pg_am am on am.oid = c.relam
    left join pg_class t on t.oid = c.reltoastrelid
    left join pg_depend d
      on c.relkind = 'S' and d.classid = 'pg_class'::regclass and d.objid = c.oid
     and d.objsubid = 0 and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
    left join pg_init_privs i
      on i.classoid = 'pg_class'::regclass and i.objoid = c.oid and i.objsubid = 0
   where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
     and (c.relnamespace = any ($1::oid[])
          or c.relnamespace = any ($2::oid[])
             and (c.relacl is distinct from i.initprivs
                  or exists (select from pg_attribute a
                               left join pg_init_privs ai
                                 on ai.classoid = 'pg_class'::regclass and ai.objoid = c.oid
                                and ai.objsubid = a.attnum
                              where a.attrelid = c.oid and not a.attisdropped
                                and a.attacl is distinct from ai.initprivs)))
   order by c.oid`;

// Functions that look at the current catalog run only on relations that the dump has locked.
const DETAILS = `
  select c.oid,
         case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partition_key,
         case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end as partition_bound,
         case when c.reloftype <> 0 then format_type(c.reloftype, null) end as of_type,
         fs.srvname as server,
         array(select quote_ident(o.option_name) || ' ' || quote_literal(o.option_value)
                 from pg_options_to_table(ft.ftoptions) o) as foreign_options,
         array(select h.inhparent from pg_inherits h where h.inhrelid = c.oid order by h.inhseqno)
           as parents,
         array(select format('%I.%I', pn.nspname, p.relname)
                 from pg_inherits h
                 join pg_class p on p.oid = h.inhparent
                 join pg_namespace pn on pn.oid = p.relnamespace
                where h.inhrelid = c.oid order by h.inhseqno) as parent_names,
         case when c.relkind in ('r', 'm') then pg_relation_size(c.oid) end as table_bytes,
         case when c.relkind in ('r', 'm') and c.reltoastrelid <> 0
              then pg_relation_size(c.reltoastrelid) end as toast_bytes
    from unnest($1::oid[]) wanted(oid)
    join pg_class c on c.oid = wanted.oid
    left join pg_foreign_table ft on ft.ftrelid = c.oid
    left join pg_foreign_server fs on fs.oid = ft.ftserver`;

const EXTENSIONS = `
  select e.oid, e.extname as name, e.extconfig as tables, e.extcondition as conditions
    from pg_extension e`;

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
  const columns = relation.columns
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
  return patterns.some((pattern) => {
    const dot = pattern.indexOf(".");
    if (dot < 0) return matchesPattern(pattern, name);
    return matchesPattern(pattern.slice(0, dot), schema) &&
      matchesPattern(pattern.slice(dot + 1), name);
  });
}

async function readRelations(context: DumpContext): Promise<Map<number, Relation>> {
  const extensions = await context.session.query(EXTENSIONS);
  const schemas = [...context.schemas.values()];
  const rows = await context.session.query(RELATIONS, [
    oidArray(schemas.filter((schema) => schema.take === "all").map((schema) => schema.oid)),
    oidArray(schemas.filter((schema) => schema.take === "rights").map((schema) => schema.oid)),
  ]);
  const relations = new Map<number, Relation>();
  for (const row of rows) {
    const schema = context.schemas.get(row.schema_oid)!;
    const extension = context.extensionMembers.get(`pg_class:${row.oid}`) ?? null;
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
      configuration: isSelected(context.options, schema.name, row.name)
        ? configurationOf(row, extension, extensions)
        : null,
      row,
    });
  }
  followOwners(relations);
  await addDetails(context, relations);
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

// The tables of queues belong to the extension, but their rows are the user's.
function configurationOf(
  row: Row,
  extension: string | null,
  extensions: Row[],
): string | null {
  for (const { tables, conditions } of extensions) {
    const at = (tables ?? []).indexOf(row.oid);
    if (at >= 0) return conditions[at];
  }
  return extension === "pgmq" && (row.kind === "r" || row.kind === "S") ? "" : null;
}

/** Whether the operator's patterns take the relation. */
export function isSelected(options: DumpOptions, schema: string, name: string): boolean {
  if (matchesRelation(options.excludeTables, schema, name)) return false;
  return options.includeTables.length === 0 ||
    matchesRelation(options.includeTables, schema, name);
}

async function addDetails(context: DumpContext, relations: Map<number, Relation>): Promise<void> {
  const wanted = [...relations.values()].filter((one) =>
    one.isDefined || one.configuration !== null || one.row.has_column_rights
  );
  const oids = oidArray(wanted.map((one) => one.oid));
  for (const row of await context.session.query(DETAILS, [oids])) {
    const relation = relations.get(row.oid)!;
    Object.assign(relation.row, row);
    relation.parents = row.parents.map((oid: number, at: number) => ({
      oid,
      sqlName: row.parent_names[at],
    }));
    if (row.partition_key !== null || row.partition_bound !== null) {
      context.readByFunction.push({ catalog: "pg_class", oid: row.oid });
    }
  }
  const columns = await readColumns(
    context,
    oidArray(wanted.filter((one) => one.kind !== "S").map((one) => one.oid)),
  );
  for (const relation of wanted) relation.columns = columns.get(relation.oid) ?? [];
}
