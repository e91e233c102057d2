/**
 * Cuts the catalog into slices: relations that know of each other stay together, so that each slice can be
 * read by itself. Tables stay with those they inherit from, sequences with the table of their column;
 * partitions need not stay with their parent. Very many functions are cut, too. Materialized views and
 * everything else are one slice.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import { beginReading } from "./begin_reading.ts";
import type { CatalogSlice, DumpOptions } from "./context.ts";
import { FIRST_USER_OID, isNoMemberSql } from "./families/define.ts";
import { oidArray } from "./families/relations.ts";

// Materialized views look at each other when they are filled.
const RELATIONS = `
  select array_agg(c.oid order by c.oid) as oids
    from pg_class c
   where c.relkind in ('r', 'p', 'f', 'v', 'S') and c.relpersistence <> 't'
     and c.oid >= ${FIRST_USER_OID} and c.relnamespace = any ($1::oid[])`;

// A partition can do without its parent, unless one of them has a NOT NULL that counts for new rows only: then
// the definition of one says what becomes of that of the other.
const TIES = `
  select array_agg(t.one) as ones, array_agg(t.other) as others
    from (select h.inhrelid as one, h.inhparent as other
            from pg_inherits h join pg_class c on c.oid = h.inhrelid and c.relkind in ('r', 'p', 'f')
           where not c.relispartition
              or exists (select from pg_constraint k
                          where k.conrelid in (h.inhrelid, h.inhparent) and k.contype = 'n'
                            and not k.convalidated)
          union all
          select d.objid, d.refobjid
            from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
           where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
             and d.objsubid = 0 and d.deptype in ('a', 'i')) t`;

/** Bytes of a function's source that cost as much as a relation. */
const SOURCE_BYTES = 2048;

const FUNCTIONS = `
  select array_agg(p.oid order by p.oid) as oids,
         array_agg(1 + octet_length(p.prosrc) / ${SOURCE_BYTES} order by p.oid) as weights
    from pg_proc p
   where p.prokind <> 'a' and p.oid >= ${FIRST_USER_OID} and p.pronamespace = any ($1::oid[])
     and ${isNoMemberSql("pg_proc", "p.oid")}`;

/**
 * The slices, the rest first; none when one reading of everything is small enough.
 *
 * @param most relations to a slice, or as many functions with a short source; more only where so many belong
 * together
 */
export async function cutCatalog(
  session: Session,
  options: DumpOptions,
  most: number,
): Promise<CatalogSlice[]> {
  // Whether an object is one of the chosen tables' is known when all are.
  if (options.includeTables.length > 0) return [];
  const { context } = await beginReading(session, options);
  const taken = [...context.schemas.values()].filter(({ take }) => take === "all");
  const schemas = oidArray(taken.map(({ oid }) => oid));
  const relations = await cutRelations(session, { schemas, most });
  const functions = await cutFunctions(session, { schemas, most });
  if (relations.length + functions.length === 0) return [];
  return [
    { isRest: true, relations: relations.flat(), functions: functions.flat() },
    ...relations.map((some) => ({ isRest: false, relations: some, functions: [] })),
    ...functions.map((some) => ({ isRest: false, relations: [], functions: some })),
  ];
}

async function cutRelations(
  session: Session,
  { schemas, most }: { schemas: string; most: number },
): Promise<number[][]> {
  const [found] = await session.query(RELATIONS, [schemas]);
  const oids: number[] = found!.oids ?? [];
  if (oids.length <= most) return [];
  const [ties] = await session.query(TIES);
  const others: number[] = ties!.others ?? [];
  const pairs = others.map((other, at): [number, number] => [ties!.ones[at], other]);
  const groups = groupsOf(oids, pairs);
  return packGroups(groups.map((group) => ({ oids: group, weight: group.length })), most);
}

async function cutFunctions(
  session: Session,
  { schemas, most }: { schemas: string; most: number },
): Promise<number[][]> {
  const [found] = await session.query(FUNCTIONS, [schemas]);
  const oids: number[] = found!.oids ?? [];
  const each = oids.map((oid, at) => ({ oids: [oid], weight: found!.weights[at] as number }));
  if (each.reduce((sum, { weight }) => sum + weight, 0) <= most) return [];
  return packGroups(each, most);
}

/** Those of the oids that pairs tie to each other, directly or through others, by their first one. */
export function groupsOf(
  oids: readonly number[],
  pairs: readonly (readonly [number, number])[],
): number[][] {
  const above = new Map(oids.map((oid) => [oid, oid]));
  const rootOf = (oid: number): number => {
    let root = oid;
    for (let next = above.get(root)!; next !== root; next = above.get(root)!) {
      above.set(root, above.get(next)!);
      root = next;
    }
    return root;
  };
  for (const [one, other] of pairs) {
    if (!above.has(one) || !above.has(other)) continue;
    const [a, b] = [rootOf(one), rootOf(other)];
    above.set(Math.max(a, b), Math.min(a, b));
  }
  const groups = new Map<number, number[]>();
  for (const oid of oids) {
    const root = rootOf(oid);
    const group = groups.get(root);
    if (group === undefined) groups.set(root, [oid]);
    else group.push(oid);
  }
  return [...groups.values()];
}

/** Groups in slices of about the same weight, in their order; a large one may make them fewer. */
export function packGroups(
  groups: readonly { oids: readonly number[]; weight: number }[],
  most: number,
): number[][] {
  const total = groups.reduce((sum, { weight }) => sum + weight, 0);
  const share = Math.ceil(total / Math.ceil(total / most));
  const packed: number[][] = [];
  let room = 0;
  for (const { oids, weight } of groups) {
    if (packed.length === 0 || room < weight / 2) {
      packed.push([]);
      room = share;
    }
    packed.at(-1)!.push(...oids);
    room -= weight;
  }
  return packed;
}
