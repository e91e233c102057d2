/**
 * Frees the names of a live schema for the length of a restore beside it: see `docs/decisions`.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { quoteIdentifier, quoteLiteral } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import type { RestorePlan } from "./plan_types.ts";

type Beside = NonNullable<RestorePlan["beside"]>;

const ASIDE = "supabase_backup_live";

/** Catalogs of what can be moved to another schema, and the prefix of their columns. */
const CATALOGS = {
  pg_class: "rel",
  pg_type: "typ",
  pg_proc: "pro",
  pg_statistic_ext: "stx",
  pg_collation: "coll",
  pg_operator: "opr",
  pg_opclass: "opc",
  pg_opfamily: "opf",
  pg_conversion: "con",
  pg_ts_config: "cfg",
  pg_ts_dict: "dict",
  pg_ts_parser: "prs",
  pg_ts_template: "tmpl",
};

/**
 * Frees the names. Whoever owns the schema renames it, which locks no table; whoever does not moves the
 * objects of these names one by one, and their tables are locked until the transaction ends.
 *
 * @returns puts what was made under its new schema, and the live objects where they were
 * @throws {BackupError} `target_unfit` for range types in a schema that the role does not own
 */
export async function moveAside(session: Session, beside: Beside): Promise<() => Promise<void>> {
  const isByName = beside.schemaIsLive && !await mayRename(session, beside.schema);
  return isByName ? await moveObjects(session, beside) : await renameSchema(session, beside);
}

async function mayRename(session: Session, schema: string): Promise<boolean> {
  const [found] = await session.query(`
    select pg_catalog.pg_has_role(nspowner, 'USAGE') as may
      from pg_catalog.pg_namespace where nspname = ${quoteLiteral(schema)}`);
  return found?.may === true;
}

async function renameSchema(session: Session, beside: Beside): Promise<() => Promise<void>> {
  const [schema, intoSchema, aside] = quoted(beside);
  if (beside.schemaIsLive) await session.execute(`ALTER SCHEMA ${schema} RENAME TO ${aside}`);
  await session.execute(`CREATE SCHEMA ${schema}`);
  return async () => {
    await session.execute(`ALTER SCHEMA ${schema} RENAME TO ${intoSchema}`);
    if (beside.schemaIsLive) await session.execute(`ALTER SCHEMA ${aside} RENAME TO ${schema}`);
  };
}

async function moveObjects(session: Session, beside: Beside): Promise<() => Promise<void>> {
  const { schema, intoSchema, names } = beside;
  const [, quotedInto, aside] = quoted(beside);
  await session.execute(`CREATE SCHEMA ${aside}`);
  await move(session, { from: schema, to: ASIDE, names });
  return async () => {
    await session.execute(`CREATE SCHEMA ${quotedInto}`);
    // All live objects of these names are away, so those that bear them are the new ones.
    await move(session, { from: schema, to: intoSchema, names });
    await move(session, { from: ASIDE, to: schema, names });
    await session.execute(`DROP SCHEMA ${aside}`);
  };
}

/** Moves what bears one of the names; what belongs to a table or a type follows it. */
async function move(
  session: Session,
  { from, to, names }: { from: string; to: string; names: readonly string[] },
): Promise<void> {
  const wanted = names.map((name) => quoteLiteral(name)).join(", ");
  await refuseRanges(session, { from, wanted });
  const objects = Object.entries(CATALOGS).map(([catalog, prefix]) => `
    select o.tableoid as classid, o.oid, o.${prefix}name as name
      from pg_catalog.${catalog} o join pg_catalog.pg_namespace n on n.oid = o.${prefix}namespace
     where n.nspname = ${quoteLiteral(from)}
       ${catalog === "pg_class" ? "and o.relkind in ('r', 'p', 'v', 'm', 'f', 'S')" : ""}`);
  const statements = await session.query(`
    select pg_catalog.format('ALTER %s %s SET SCHEMA %I',
             case when i.type in ('function', 'procedure', 'aggregate') then 'routine'
                  when i.type = 'statistics object' then 'statistics' else i.type end,
             i.identity, ${quoteLiteral(to)}) as sql
      from (${objects.join(" union all ")}) o,
           pg_catalog.pg_identify_object(o.classid, o.oid, 0) i
     where o.name::text in (${wanted})
       and not exists (
             select from pg_catalog.pg_depend d
              where d.classid = o.classid and d.objid = o.oid
                and (d.deptype in ('i', 'e') or i.type = 'sequence' and d.deptype = 'a'))`);
  for (const { sql } of statements) await session.execute(String(sql));
}

/** Its multirange type and its functions would stay behind. */
async function refuseRanges(
  session: Session,
  { from, wanted }: { from: string; wanted: string },
): Promise<void> {
  const [range] = await session.query(`
    select t.typname::text as name
      from pg_catalog.pg_range r join pg_catalog.pg_type t on t.oid = r.rngtypid
      join pg_catalog.pg_namespace n on n.oid = t.typnamespace
     where n.nspname = ${quoteLiteral(from)} and t.typname::text in (${wanted})`);
  if (range === undefined) return;
  throw new BackupError(
    "target_unfit",
    `Cannot restore beside: range type ${range.name} is needed, and the schema belongs to another role`,
    { hint: "Restore as the owner of the schema, or into another database." },
  );
}

function quoted(beside: Beside): [schema: string, intoSchema: string, aside: string] {
  return [
    quoteIdentifier(beside.schema),
    quoteIdentifier(beside.intoSchema),
    quoteIdentifier(ASIDE),
  ];
}
