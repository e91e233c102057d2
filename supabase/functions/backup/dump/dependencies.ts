/**
 * What must exist before what: pg_depend between objects, translated to drafts.
 *
 * An object without a draft of its own is either a part of one (a default in its table, a row type,
 * an array type) and stands for its host, or is passed through to what it depends on itself: a
 * member of an extension thus leads to the extension.
 *
 * @module
 */
import { Drafts, type DumpContext } from "./context.ts";
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

/** Dependencies between objects and between drafts; keys are those of `Drafts.key`. */
export class Dependencies {
  readonly #context: DumpContext;
  /** Keys of what an object needs, separated by spaces. */
  readonly #needs = new Map<string, string>();
  readonly #hosts = new Map<string, string>();
  #parts: Map<string, string[]> | undefined;

  private constructor(context: DumpContext) {
    this.#context = context;
  }

  /**
   * Reads pg_depend. Only what is asked of it needs the drafts of all families. In a slice nothing is known of
   * needs, which lead to others; and of relations each part that matters has a draft of its own.
   */
  static async read(context: DumpContext): Promise<Dependencies> {
    const read = new Dependencies(context);
    const { session, slice } = context;
    const [needs, parts] = await sideBySide([
      slice === null ? session.query(DEPENDENCIES) : Promise.resolve([]),
      slice === null || slice.isRest ? session.query(PARTS) : Promise.resolve([]),
    ]);
    for (const { catalog, needed_catalog: neededCatalog, objects, needs: needed } of needs) {
      for (const [at, oid] of objects.entries()) {
        const key = Drafts.key(catalog, oid);
        const need = Drafts.key(neededCatalog, needed[at]);
        const before = read.#needs.get(key);
        read.#needs.set(key, before === undefined ? need : `${before} ${need}`);
      }
    }
    for (const { catalog, host_catalog: hostCatalog, objects, hosts } of parts) {
      for (const [at, oid] of objects.entries()) {
        read.#hosts.set(Drafts.key(catalog, oid), Drafts.key(hostCatalog, hosts[at]));
      }
    }
    return read;
  }

  /** Oids of all that has a draft or stands in one. */
  oids(): Set<string> {
    const oids = new Set<string>();
    for (const { oid } of this.#context.drafts.all()) oids.add(String(oid));
    for (const parts of (this.#parts ??= this.#findParts()).values()) {
      for (const part of parts) oids.add(part.slice(part.indexOf(":") + 1));
    }
    return oids;
  }

  /** The key of the draft that holds an object: its own, or that of what it is a part of. */
  draftOf(object: string): string | undefined {
    if (this.#context.drafts.byKey(object) !== undefined) return object;
    if (!this.#hosts.has(object)) return undefined;
    return this.chainOf(object).find((key) => this.#context.drafts.byKey(key) !== undefined);
  }

  /** An object, what it is a part of, what that is a part of, and so on. */
  chainOf(object: string): string[] {
    const chain: string[] = [];
    for (let key: string | undefined = object; key !== undefined; key = this.#hosts.get(key)) {
      if (chain.includes(key)) break;
      chain.push(key);
    }
    return chain;
  }

  /** Keys of the drafts that a draft needs by pg_depend, without itself; some of them twice. */
  ofDraft(key: string): string[] {
    const drafts: string[] = [];
    this.#walk(key, { onDraft: (draft) => drafts.push(draft), stopsAt: () => false });
    return drafts;
  }

  /**
   * What a draft needs by pg_depend, without itself: drafts, and objects without one at which `stopsAt`
   * ends the way. Every other object without a draft is passed through.
   */
  walk(
    key: string,
    stopsAt: (object: string) => boolean,
  ): { drafts: Set<string>; stops: Set<string> } {
    const drafts = new Set<string>();
    const stops = new Set<string>();
    const stopsHere = (object: string) => {
      const stop = this.chainOf(object).find(stopsAt);
      if (stop !== undefined) stops.add(stop);
      return stop !== undefined;
    };
    this.#walk(key, { onDraft: (draft) => drafts.add(draft), stopsAt: stopsHere });
    return { drafts, stops };
  }

  #walk(
    key: string,
    { onDraft, stopsAt }: {
      onDraft: (key: string) => void;
      stopsAt: (object: string) => boolean;
    },
  ): void {
    const passed: string[] = [];
    const visit = (object: string) => {
      for (const reference of this.#needs.get(object)?.split(" ") ?? []) {
        const draft = this.draftOf(reference);
        if (draft !== undefined) {
          if (draft !== key) onDraft(draft);
        } else if (!passed.includes(reference) && !stopsAt(reference)) {
          passed.push(reference);
          visit(reference);
        }
      }
    };
    visit(key);
    this.#parts ??= this.#findParts();
    for (const part of this.#parts.get(key) ?? []) visit(part);
  }

  /** Objects without a draft by the draft that they stand in. */
  #findParts(): Map<string, string[]> {
    const parts = new Map<string, string[]>();
    for (const part of this.#hosts.keys()) {
      if (this.#context.drafts.byKey(part) !== undefined) continue;
      const host = this.draftOf(part);
      if (host !== undefined) append(parts, host, part);
    }
    return parts;
  }
}

function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
