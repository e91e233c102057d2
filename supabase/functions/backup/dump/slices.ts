/**
 * Cuts the catalog into slices: relations that know of each other stay together, so that each slice can be
 * read by itself. Tables stay with those they inherit from and with their partitions, sequences with the
 * table of their column; materialized views and everything that is no relation are one slice.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import { beginReading } from "./begin_reading.ts";
import type { CatalogSlice, DumpOptions } from "./context.ts";
import { FIRST_USER_OID } from "./families/define.ts";
import { oidArray } from "./families/relations.ts";

// Materialized views look at each other when they are filled.
const RELATIONS = `
  select array_agg(c.oid order by c.oid) as oids
    from pg_class c
   where c.relkind in ('r', 'p', 'f', 'v', 'S') and c.relpersistence <> 't'
     and c.oid >= ${FIRST_USER_OID} and c.relnamespace = any ($1::oid[])`;

const TIES = `
  select array_agg(t.one) as ones, array_agg(t.other) as others
    from (select h.inhrelid as one, h.inhparent as other
            from pg_inherits h join pg_class c on c.oid = h.inhrelid and c.relkind in ('r', 'p', 'f')
          union all
          select d.objid, d.refobjid
            from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
           where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
             and d.objsubid = 0 and d.deptype in ('a', 'i')) t`;

/**
 * The slices, the rest first; none when one reading of everything is small enough.
 *
 * @param most relations to a slice; more only where so many belong together
 */
export async function cutCatalog(
  session: Session,
  options: DumpOptions,
  most: number,
): Promise<CatalogSlice[]> {
  // Whether an object is one of the chosen tables' is known when all are.
  if (options.includeTables.length > 0) return [];
  const { context } = await beginReading(session, options);
  const schemas = [...context.schemas.values()].filter(({ take }) => take === "all");
  const [found] = await session.query(RELATIONS, [oidArray(schemas.map(({ oid }) => oid))]);
  const [ties] = await session.query(TIES);
  const oids: number[] = found!.oids ?? [];
  if (oids.length <= most) return [];
  const others: number[] = ties!.others ?? [];
  const pairs = others.map((other, at): [number, number] => [ties!.ones[at], other]);
  const slices = packGroups(groupsOf(oids, pairs), Math.ceil(oids.length / most));
  return [
    { isRest: true, relations: slices.flat() },
    ...slices.map((relations) => ({ isRest: false, relations })),
  ];
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

/** Groups in so many slices of about the same size, in their order; a large one may make them fewer. */
export function packGroups(groups: readonly number[][], slices: number): number[][] {
  const total = groups.reduce((sum, group) => sum + group.length, 0);
  const packed: number[][] = [];
  let room = 0;
  for (const group of groups) {
    if (packed.length === 0 || room < group.length / 2) {
      packed.push([]);
      room = Math.ceil(total / slices);
    }
    packed.at(-1)!.push(...group);
    room -= group.length;
  }
  return packed;
}
