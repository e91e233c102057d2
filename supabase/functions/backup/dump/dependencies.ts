/**
 * What must exist before what: pg_depend between objects, translated to drafts.
 *
 * An object without a draft of its own is either a part of one (a default in its table, a row type,
 * an array type) and stands for its host, or is passed through to what it depends on itself: a
 * member of an extension thus leads to the extension.
 *
 * @module
 */
import type { Row } from "../postgres/session.ts";
import type { Drafts, DumpContext } from "./context.ts";
import type { ObjectNumbers } from "./object_numbers.ts";
import { sideBySide } from "./side_by_side.ts";

// Left out is what is made together with something else and leads nowhere: row and array types, TOAST
// tables and their indexes, the triggers of foreign keys. One row for each pair of catalogs, with an object
// and what it needs at each place: that is a hundred times fewer rows to write and to read.
const DEPENDENCIES = `
  select c.relname as catalog, rc.relname as needed_catalog, d.objects, d.needs
    from (
  select d.classid, d.refclassid, array_agg(d.objid order by d.objid, d.refobjid) as objects,
         array_agg(d.refobjid order by d.objid, d.refobjid) as needs
    from (
      select d.classid, d.objid, d.refclassid, d.refobjid
        from pg_depend d
       where d.deptype <> 'p'
         and not (d.classid in ('pg_type'::regclass, 'pg_trigger'::regclass) and d.deptype = 'i')
         and not (d.classid = 'pg_class'::regclass and d.objid in (
               select t.oid from pg_class t where t.relnamespace = 'pg_toast'::regnamespace))
      union
      select 'pg_opfamily'::regclass, o.amopfamily, d.refclassid, d.refobjid
        from pg_depend d join pg_amop o on d.classid = 'pg_amop'::regclass and d.objid = o.oid
       where d.deptype not in ('p', 'e', 'i')
         and not (d.refclassid = 'pg_opfamily'::regclass and d.refobjid = o.amopfamily)
      union
      select 'pg_opfamily'::regclass, p.amprocfamily, d.refclassid, d.refobjid
        from pg_depend d join pg_amproc p on d.classid = 'pg_amproc'::regclass and d.objid = p.oid
       where d.deptype not in ('p', 'e', 'i')
         and not (d.refclassid = 'pg_opfamily'::regclass and d.refobjid = p.amprocfamily)
    ) d
   group by d.classid, d.refclassid) d
    join pg_class c on c.oid = d.classid
    join pg_class rc on rc.oid = d.refclassid
   order by c.relname, rc.relname`;

// Of the row and array types, of which every table has two, only those that something needs.
const PARTS = `
  select catalog, host_catalog, array_agg(oid) as objects, array_agg(host) as hosts
    from (
      select 'pg_attrdef' as catalog, oid, 'pg_class' as host_catalog, adrelid as host
        from pg_attrdef
      union all
      select 'pg_rewrite', oid, 'pg_class', ev_class from pg_rewrite where ev_type = '1'
      union all
      select 'pg_constraint', oid, 'pg_class', conrelid from pg_constraint
       where contype in ('c', 'n') and conrelid <> 0
      union all
      select 'pg_constraint', oid, 'pg_type', contypid from pg_constraint where contypid <> 0
      union all
      select 'pg_class', conindid, 'pg_constraint', oid from pg_constraint
       where contype in ('p', 'u', 'x')
      union all
      select 'pg_type', t.oid, 'pg_class', t.typrelid from pg_type t
       where t.typrelid <> 0 and t.oid >= 16384 and ${isNeededType("t.oid", "t.typarray")}
      union all
      select 'pg_class', t.typrelid, 'pg_type', t.oid
        from pg_class c join pg_type t on t.oid = c.reltype
       where c.relkind = 'c' and c.oid >= 16384
      union all
      select 'pg_type', t.typarray, 'pg_type', t.oid from pg_type t
       where t.typarray <> 0 and t.oid >= 16384 and ${isNeededType("t.typarray")}
      union all
      select 'pg_proc', objid, 'pg_type', refobjid from pg_depend
       where classid = 'pg_proc'::regclass and refclassid = 'pg_type'::regclass and deptype = 'i'
      union all
      select 'pg_class', d.objid, 'pg_class', d.refobjid
        from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
       where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
         and d.deptype = 'i'
      union all
      select 'pg_type', rngmultitypid, 'pg_type', rngtypid from pg_range where rngtypid >= 16384
    ) part
   group by catalog, host_catalog`;

/** SQL condition: something needs one of these types, other than what is made with it. */
function isNeededType(...types: string[]): string {
  return `exists (select from pg_depend n
            where n.refclassid = 'pg_type'::regclass and n.refobjid in (${types.join(", ")})
              and n.deptype <> 'i')`;
}

/** Dependencies between objects and between drafts, all by the numbers that `Drafts` gives them. */
export class Dependencies {
  readonly #drafts: Drafts;
  readonly #needs: Lists;
  readonly #hosts: ReadonlyMap<number, number>;
  #parts: Map<number, number[]> | undefined;

  private constructor(drafts: Drafts, needs: Lists, hosts: ReadonlyMap<number, number>) {
    this.#drafts = drafts;
    this.#needs = needs;
    this.#hosts = hosts;
  }

  /**
   * Reads pg_depend. Only what is asked of it needs the drafts of all families. In a slice nothing is known of
   * needs, which lead to others; and of relations each part that matters has a draft of its own.
   */
  static async read({ session, slice, drafts }: DumpContext): Promise<Dependencies> {
    const [needs, parts] = await sideBySide([
      slice === null ? session.query(DEPENDENCIES) : Promise.resolve([]),
      slice === null || slice.isRest ? session.query(PARTS) : Promise.resolve([]),
    ]);
    const hosts = new Map<number, number>();
    for (const { catalog, host_catalog: hostCatalog, objects, hosts: found } of parts) {
      const [part, host] = [drafts.numbers.adder(catalog), drafts.numbers.adder(hostCatalog)];
      for (let at = 0; at < objects.length; at++) hosts.set(part(objects[at]), host(found[at]));
    }
    return new Dependencies(drafts, listsOf(needs, drafts.numbers), hosts);
  }

  /** Oids of all that has a draft or stands in one. */
  oids(): Set<number> {
    const oids = new Set<number>();
    for (const { oid } of this.#drafts.all()) oids.add(oid);
    for (const parts of (this.#parts ??= this.#findParts()).values()) {
      for (const part of parts) oids.add(this.#drafts.numbers.oidOf(part));
    }
    return oids;
  }

  /** The draft that holds an object: its own, or that of what it is a part of. */
  draftOf(object: number): number | undefined {
    if (this.#drafts.at(object) !== undefined) return object;
    if (!this.#hosts.has(object)) return undefined;
    return this.chainOf(object).find((number) => this.#drafts.at(number) !== undefined);
  }

  /** An object, what it is a part of, what that is a part of, and so on. */
  chainOf(object: number): number[] {
    const chain: number[] = [];
    for (let one: number | undefined = object; one !== undefined; one = this.#hosts.get(one)) {
      if (chain.includes(one)) break;
      chain.push(one);
    }
    return chain;
  }

  /** The drafts that a draft needs by pg_depend, without itself; some of them twice. */
  ofDraft(draft: number): number[] {
    const drafts: number[] = [];
    this.#walk({ draft, drafts, passed: [], stopsAt: null });
    return drafts;
  }

  /**
   * What a draft needs by pg_depend, without itself: drafts, and objects without one at which `stopsAt`
   * ends the way. Every other object without a draft is passed through.
   */
  walk(
    draft: number,
    stopsAt: (object: number) => boolean,
  ): { drafts: Set<number>; stops: Set<number> } {
    const drafts: number[] = [];
    const stops = new Set<number>();
    const stopsHere = (object: number) => {
      const stop = this.chainOf(object).find(stopsAt);
      if (stop !== undefined) stops.add(stop);
      return stop !== undefined;
    };
    this.#walk({ draft, drafts, passed: [], stopsAt: stopsHere });
    return { drafts: new Set(drafts), stops };
  }

  #walk(way: Way): void {
    this.#follow(way.draft, way);
    this.#parts ??= this.#findParts();
    const parts = this.#parts.get(way.draft);
    if (parts !== undefined) { for (const part of parts) this.#follow(part, way); }
  }

  /** What one object needs, on the way of a draft. */
  #follow(object: number, way: Way): void {
    const { first, items } = this.#needs;
    // Objects that got their numbers later are in no list.
    const end = first[object + 1] ?? 0;
    for (let at = first[object] ?? 0; at < end; at++) {
      const needed = items[at]!;
      const holder = this.draftOf(needed);
      if (holder !== undefined) {
        if (holder !== way.draft) way.drafts.push(holder);
      } else if (!way.passed.includes(needed) && way.stopsAt?.(needed) !== true) {
        way.passed.push(needed);
        this.#follow(needed, way);
      }
    }
  }

  /** Objects without a draft by the draft that they stand in. */
  #findParts(): Map<number, number[]> {
    const parts = new Map<number, number[]>();
    for (const part of this.#hosts.keys()) {
      if (this.#drafts.at(part) !== undefined) continue;
      const host = this.draftOf(part);
      if (host === undefined) continue;
      const list = parts.get(host);
      if (list === undefined) parts.set(host, [part]);
      else list.push(part);
    }
    return parts;
  }
}

/** What was found on the way from a draft to what it needs. */
interface Way {
  /** Where it began. */
  draft: number;
  drafts: number[];
  /** Objects without a draft. */
  passed: number[];
  /** Null for never. */
  stopsAt: ((object: number) => boolean) | null;
}

/** A list for each number, all of them in one: `items` from `first[number]` to that of the next. */
interface Lists {
  first: Int32Array;
  items: Int32Array;
}

/** What objects need, from rows as {@linkcode DEPENDENCIES} gives them. */
function listsOf(rows: readonly Row[], numbers: ObjectNumbers): Lists {
  const total = rows.reduce((sum, { objects }) => sum + objects.length, 0);
  const [from, to] = [new Int32Array(total), new Int32Array(total)];
  let end = 0;
  for (const { catalog, needed_catalog: neededCatalog, objects, needs } of rows) {
    const [object, needed] = [numbers.adder(catalog), numbers.adder(neededCatalog)];
    for (let at = 0; at < objects.length; at++, end++) {
      from[end] = object(objects[at]);
      to[end] = needed(needs[at]);
    }
  }
  const first = new Int32Array(numbers.size + 1);
  for (const object of from) first[object + 1]!++;
  for (let number = 0; number < numbers.size; number++) first[number + 1]! += first[number]!;
  const next = first.slice();
  const items = new Int32Array(total);
  for (let at = 0; at < total; at++) items[next[from[at]!]!++] = to[at]!;
  return { first, items };
}
