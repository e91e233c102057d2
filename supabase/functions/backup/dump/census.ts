/**
 * The census: that the server has no catalog or column this release does not know, and that every
 * object of the user is in the backup. What is missing fails the backup by name.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Row } from "../postgres/session.ts";
import { CATALOGS, knownColumns } from "./census_catalogs.ts";
import { Drafts, type DumpContext } from "./context.ts";
import type { Dependencies } from "./dependencies.ts";
import { FIRST_USER_OID, takesWholeDatabase } from "./families/define.ts";
import { oidArray } from "./families/relations.ts";
import { sideBySide } from "./side_by_side.ts";

const COLUMNS = `
  select c.relname as catalog, array_agg(a.attname order by a.attnum) as names
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   where c.relnamespace = 'pg_catalog'::regnamespace and c.relkind = 'r' and c.oid < ${FIRST_USER_OID}
   group by c.relname
   order by c.relname`;

/**
 * Objects by catalog: oid, a name, the schema they are in and the table they are of. What is left
 * out here is made by something that is listed.
 */
const OBJECTS: readonly [catalog: string, sql: string][] = [
  // Indexes that are not valid are broken off builds; TOAST comes with its table.
  [
    "pg_class",
    `select c.oid, c.relname as name, c.relnamespace as schema, i.indrelid as of_table
       from pg_class c left join pg_index i on i.indexrelid = c.oid
      where c.relpersistence <> 't' and (i.indisvalid is not false or c.relkind = 'I')
        and c.relnamespace <> 'pg_toast'::regnamespace`,
  ],
  // Row types come with their relation, array types with the type of their elements.
  [
    "pg_type",
    `select t.oid, t.typname as name, t.typnamespace as schema
       from pg_type t left join pg_class c on c.oid = t.typrelid
      where (c.oid is null or c.relkind = 'c')
        and not exists (select from pg_type e where e.oid = t.typelem and e.typarray = t.oid)`,
  ],
  ["pg_proc", "select oid, proname as name, pronamespace as schema from pg_proc"],
  // An operator without a function is the promise of one, made by a commutator or negator clause.
  [
    "pg_operator",
    "select oid, oprname as name, oprnamespace as schema from pg_operator where oprcode <> 0",
  ],
  ["pg_opclass", "select oid, opcname as name, opcnamespace as schema from pg_opclass"],
  ["pg_opfamily", "select oid, opfname as name, opfnamespace as schema from pg_opfamily"],
  ["pg_collation", "select oid, collname as name, collnamespace as schema from pg_collation"],
  ["pg_conversion", "select oid, conname as name, connamespace as schema from pg_conversion"],
  ["pg_ts_config", "select oid, cfgname as name, cfgnamespace as schema from pg_ts_config"],
  ["pg_ts_dict", "select oid, dictname as name, dictnamespace as schema from pg_ts_dict"],
  ["pg_ts_parser", "select oid, prsname as name, prsnamespace as schema from pg_ts_parser"],
  ["pg_ts_template", "select oid, tmplname as name, tmplnamespace as schema from pg_ts_template"],
  [
    "pg_statistic_ext",
    "select oid, stxname as name, stxnamespace as schema, stxrelid as of_table from pg_statistic_ext",
  ],
  // Foreign keys of partitions and inherited checks come with those of the parent.
  [
    "pg_constraint",
    `select oid, conname as name, connamespace as schema, nullif(conrelid, 0) as of_table
       from pg_constraint
      where contype in ('p', 'u', 'x') or contype = 'f' and conparentid = 0`,
  ],
  [
    "pg_trigger",
    `select t.oid, t.tgname as name, c.relnamespace as schema, t.tgrelid as of_table
       from pg_trigger t join pg_class c on c.oid = t.tgrelid
      where not t.tgisinternal and t.tgparentid = 0`,
  ],
  [
    "pg_rewrite",
    `select r.oid, r.rulename as name, c.relnamespace as schema, r.ev_class as of_table
       from pg_rewrite r join pg_class c on c.oid = r.ev_class`,
  ],
  [
    "pg_policy",
    `select p.oid, p.polname as name, c.relnamespace as schema, p.polrelid as of_table
       from pg_policy p join pg_class c on c.oid = p.polrelid`,
  ],
  ["pg_namespace", "select oid, nspname as name, oid as schema from pg_namespace"],
  ["pg_extension", "select oid, extname as name, null as schema from pg_extension"],
  ["pg_foreign_data_wrapper", "select oid, fdwname as name from pg_foreign_data_wrapper"],
  ["pg_foreign_server", "select oid, srvname as name from pg_foreign_server"],
  ["pg_user_mapping", "select umid as oid, srvname as name from pg_user_mappings"],
];

/** Objects outside schemas that are saved only with the whole database. */
const WHOLE: readonly [catalog: string, sql: string][] = [
  ["pg_am", "select oid, amname as name from pg_am"],
  ["pg_language", "select oid, lanname as name from pg_language"],
  ["pg_event_trigger", "select oid, evtname as name from pg_event_trigger"],
  ["pg_publication", "select oid, pubname as name from pg_publication"],
  [
    "pg_publication_rel",
    `select r.oid, c.relname as name, c.relnamespace as schema
       from pg_publication_rel r join pg_class c on c.oid = r.prrelid`,
  ],
  [
    "pg_publication_namespace",
    "select oid, pnnspid::regnamespace::text as name, pnnspid as schema from pg_publication_namespace",
  ],
  [
    "pg_subscription",
    `select oid, subname as name from pg_subscription
      where subdbid = (select oid from pg_database where datname = current_database())`,
  ],
  [
    "pg_cast",
    `select c.oid, format('%s as %s', format_type(castsource, null), format_type(casttarget, null)) as name
       from pg_cast c
      where not exists (select from pg_depend d
                         where d.classid = 'pg_cast'::regclass and d.objid = c.oid and d.deptype = 'i')`,
  ],
  [
    "pg_transform",
    "select oid, format('for %s', format_type(trftype, null)) as name from pg_transform",
  ],
  ["pg_largeobject", "select oid, oid::text as name from pg_largeobject_metadata"],
];

/**
 * Takes the census.
 *
 * @throws {BackupError} `census_mismatch`, naming the catalogs, columns or objects
 */
export async function takeCensus(context: DumpContext, dependencies: Dependencies): Promise<void> {
  const missing: string[] = [];
  const held = oidsOfDrafts(context);
  const lists = takesWholeDatabase(context) ? [...OBJECTS, ...WHOLE] : OBJECTS;
  const look = async ([catalog, sql]: readonly [catalog: string, sql: string]) => {
    const least = catalog === "pg_largeobject" ? 0 : FIRST_USER_OID;
    const rows = await context.session.query(
      `select o.* from (${sql}) o where o.oid >= ${least} and o.oid <> all ($1::oid[])`,
      [oidArray(held.get(catalog) ?? [])],
    );
    for (const row of rows) {
      if (!isAccountedFor(context, dependencies, { catalog, row })) {
        missing.push(`${row.name} (${catalog} ${row.oid})`);
      }
    }
  };
  await sideBySide([checkCatalogs(context), ...lists.map(look)]);
  if (missing.length === 0) return;
  throw new BackupError(
    "census_mismatch",
    `Cannot save the database whole: ${missing.length} objects have no entry: ` +
      missing.slice(0, 20).join(", "),
    {
      hint: "This release does not know how to save them. Exclude their schema, or report this.",
      details: { missing: missing.slice(0, 200) },
    },
  );
}

/** What has a draft need not be asked for. */
function oidsOfDrafts({ drafts }: DumpContext): Map<string, number[]> {
  const oids = new Map<string, number[]>();
  for (const { catalog, oid, part } of drafts.all()) {
    if (part !== null) continue;
    const list = oids.get(catalog);
    if (list === undefined) oids.set(catalog, [oid]);
    else list.push(oid);
  }
  return oids;
}

async function checkCatalogs(context: DumpContext): Promise<void> {
  const unknown: string[] = [];
  for (const { catalog, names } of await context.session.query(COLUMNS)) {
    const census = CATALOGS[catalog];
    const known = census === undefined ? new Set() : knownColumns(census);
    for (const name of names) if (!known.has(name)) unknown.push(`${catalog}.${name}`);
  }
  if (unknown.length === 0) return;
  throw new BackupError(
    "census_mismatch",
    `Cannot save the database whole: unknown catalog columns ${unknown.slice(0, 20).join(", ")}`,
    {
      hint: "The server is newer than this release; use a release that knows it.",
      details: { unknown },
    },
  );
}

function isAccountedFor(
  context: DumpContext,
  dependencies: Dependencies,
  { catalog, row }: { catalog: string; row: Row },
): boolean {
  const schema = row.schema ?? null;
  if (schema !== null && context.schemas.get(schema)?.take !== "all") return true;
  const { numbers } = context.drafts;
  if (context.leftOut.has(Drafts.key(catalog, row.oid))) return true;
  const object = numbers.add(catalog, row.oid);
  if (isHeld(context, dependencies, object)) return true;
  const table = row.of_table ?? null;
  if (table === null) return hasTablePatterns(context) && catalog === "pg_class";
  // What hangs on a table that is not taken, or that an extension owns, is not taken either.
  return dependencies.draftOf(numbers.add("pg_class", table)) === undefined ||
    context.extensionMembers.has(Drafts.key("pg_class", table));
}

/** Whether the object or what it is a part of has a draft or belongs to an extension. */
function isHeld(context: DumpContext, dependencies: Dependencies, object: number): boolean {
  if (dependencies.draftOf(object) !== undefined) return true;
  const chain = dependencies.chainOf(object);
  const { numbers } = context.drafts;
  return chain.some((one) => context.extensionMembers.has(numbers.keyOf(one))) ||
    hasTablePatterns(context) && chain.some((one) => numbers.catalogOf(one) === "pg_class");
}

function hasTablePatterns(context: DumpContext): boolean {
  return context.options.includeTables.length > 0 || context.options.excludeTables.length > 0;
}
