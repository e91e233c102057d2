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
import { NumberLists, NumberPairs } from "./needs.ts";
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
  readonly #needs: NumberLists;
  /** Objects and what each is a part of. */
  readonly #partsAndHosts: NumberPairs;
  /** The same by object; -1 for those that are of none. */
  readonly #hosts: Int32Array;
  #parts: NumberLists | undefined;

  private constructor(drafts: Drafts, needs: NumberLists, parts: NumberPairs) {
    this.#drafts = drafts;
    this.#needs = needs;
    this.#partsAndHosts = parts;
    this.#hosts = new Int32Array(drafts.numbers.size).fill(-1);
    for (let at = 0; at < parts.length; at++) this.#hosts[parts.one(at)] = parts.other(at);
  }

  /**
   * Reads pg_depend. Only what is asked of it needs the drafts of all families. In a slice nothing is known of
   * needs, which lead to others; and of relations each part that matters has a draft of its own.
   */
  static async read({ session, slice, drafts }: DumpContext): Promise<Dependencies> {
    const none = Promise.resolve([]);
    const [needs, parts] = await sideBySide([
      slice === null ? session.query(DEPENDENCIES) : none,
      slice === null || slice.isRest ? session.query(PARTS) : none,
    ]);
    const ofNeeds = pairsOf(needs, drafts.numbers, ["needed_catalog", "needs"]);
    const ofParts = pairsOf(parts, drafts.numbers, ["host_catalog", "hosts"]);
    return new Dependencies(drafts, NumberLists.of(drafts.numbers.size, ofNeeds), ofParts);
  }

  /** Oids of all that has a draft or stands in one. */
  oids(): Set<number> {
    const oids = new Set<number>();
    for (const { oid } of this.#drafts.all()) oids.add(oid);
    for (const part of this.#partsWithoutDraft()) oids.add(this.#drafts.numbers.oidOf(part));
    return oids;
  }

  /** The draft that holds an object: its own, or that of what it is a part of. */
  draftOf(object: number): number | undefined {
    if (this.#drafts.at(object) !== undefined) return object;
    if (this.#hostOf(object) === undefined) return undefined;
    return this.chainOf(object).find((number) => this.#drafts.at(number) !== undefined);
  }

  /** An object, what it is a part of, what that is a part of, and so on. */
  chainOf(object: number): number[] {
    const chain: number[] = [];
    for (let one: number | undefined = object; one !== undefined; one = this.#hostOf(one)) {
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

  /** What an object is a part of. Those that got their numbers later are of nothing that is known. */
  #hostOf(object: number): number | undefined {
    const host = this.#hosts[object] ?? -1;
    return host < 0 ? undefined : host;
  }

  #walk(way: Way): void {
    this.#follow(way.draft, way);
    this.#parts ??= this.#findParts();
    this.#parts.each(way.draft, (part) => this.#follow(part, way));
  }

  /** What one object needs, on the way of a draft. */
  #follow(object: number, way: Way): void {
    this.#needs.each(object, (needed) => {
      const holder = this.draftOf(needed);
      if (holder !== undefined) {
        if (holder !== way.draft) way.drafts.push(holder);
      } else if (!way.passed.includes(needed) && way.stopsAt?.(needed) !== true) {
        way.passed.push(needed);
        this.#follow(needed, way);
      }
    });
  }

  /** Objects without a draft by the draft that they stand in. */
  #findParts(): NumberLists {
    const pairs = new NumberPairs();
    for (const part of this.#partsWithoutDraft()) pairs.push(this.draftOf(part)!, part);
    return NumberLists.of(this.#drafts.numbers.size, pairs);
  }

  *#partsWithoutDraft(): Generator<number> {
    const seen = new Uint8Array(this.#hosts.length);
    for (let at = 0; at < this.#partsAndHosts.length; at++) {
      const part = this.#partsAndHosts.one(at);
      if (seen[part] === 1 || this.#drafts.at(part) !== undefined) continue;
      seen[part] = 1;
      if (this.draftOf(part) !== undefined) yield part;
    }
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

/** Numbers of pairs of objects, from rows as {@linkcode DEPENDENCIES} and {@linkcode PARTS} give them. */
function pairsOf(
  rows: readonly Row[],
  numbers: ObjectNumbers,
  [otherCatalog, others]: readonly [string, string],
): NumberPairs {
  const pairs = new NumberPairs();
  for (const row of rows) {
    const [one, other] = [numbers.adder(row.catalog), numbers.adder(row[otherCatalog])];
    for (let at = 0; at < row.objects.length; at++) {
      pairs.push(one(row.objects[at]), other(row[others][at]));
    }
  }
  return pairs;
}
