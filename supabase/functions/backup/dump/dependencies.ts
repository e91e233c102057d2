/**
 * What must exist before what: pg_depend between objects, translated to drafts.
 *
 * An object without a draft of its own is either a part of one (a default in its table, a row type,
 * an array type) and stands for its host, or is passed through to what it depends on itself: a
 * member of an extension thus leads to the extension.
 *
 * @module
 */
import type { DumpContext } from "./context.ts";

const DEPENDENCIES = `
  select c.relname as catalog, d.objid as oid, rc.relname as ref_catalog, d.refobjid as ref_oid
    from (
      select classid, objid, refclassid, refobjid from pg_depend where deptype <> 'p'
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
    join pg_class c on c.oid = d.classid
    join pg_class rc on rc.oid = d.refclassid
   order by 1, 2, 3, 4`;

const PARTS = `
  select 'pg_attrdef' as catalog, oid, 'pg_class' as host_catalog, adrelid as host from pg_attrdef
  union all
  select 'pg_rewrite', oid, 'pg_class', ev_class from pg_rewrite where ev_type = '1'
  union all
  select 'pg_constraint', oid, 'pg_class', conrelid from pg_constraint
   where contype in ('c', 'n') and conrelid <> 0
  union all
  select 'pg_constraint', oid, 'pg_type', contypid from pg_constraint where contypid <> 0
  union all
  select 'pg_class', conindid, 'pg_constraint', oid from pg_constraint where contype in ('p', 'u', 'x')
  union all
  select 'pg_type', oid, 'pg_class', typrelid from pg_type where typrelid <> 0 and oid >= 16384
  union all
  select 'pg_class', typrelid, 'pg_type', oid from pg_type where typrelid <> 0 and oid >= 16384
  union all
  select 'pg_type', typarray, 'pg_type', oid from pg_type where typarray <> 0 and oid >= 16384
  union all
  select 'pg_proc', objid, 'pg_type', refobjid from pg_depend
   where classid = 'pg_proc'::regclass and refclassid = 'pg_type'::regclass and deptype = 'i'
  union all
  select 'pg_class', d.objid, 'pg_class', d.refobjid
    from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
   where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype = 'i'
  union all
  select 'pg_type', rngmultitypid, 'pg_type', rngtypid from pg_range where rngtypid >= 16384`;

/** Dependencies between objects and between drafts; keys are those of `Drafts.key`. */
export class Dependencies {
  readonly #context: DumpContext;
  readonly #references = new Map<string, string[]>();
  readonly #hosts = new Map<string, string>();
  readonly #parts = new Map<string, string[]>();

  private constructor(context: DumpContext) {
    this.#context = context;
  }

  /** Reads pg_depend; call it after the families. */
  static async read(context: DumpContext): Promise<Dependencies> {
    const read = new Dependencies(context);
    for (const row of await context.session.query(DEPENDENCIES)) {
      append(read.#references, `${row.catalog}:${row.oid}`, `${row.ref_catalog}:${row.ref_oid}`);
    }
    for (const row of await context.session.query(PARTS)) {
      read.#hosts.set(`${row.catalog}:${row.oid}`, `${row.host_catalog}:${row.host}`);
    }
    for (const part of read.#hosts.keys()) {
      if (context.drafts.byKey(part) !== undefined) continue;
      const host = read.draftOf(part);
      if (host !== undefined) append(read.#parts, host, part);
    }
    return read;
  }

  /** The key of the draft that holds an object: its own, or that of what it is a part of. */
  draftOf(object: string): string | undefined {
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

  /** Keys of the drafts that a draft needs by pg_depend, without itself. */
  ofDraft(key: string): Set<string> {
    return this.walk(key, () => false).drafts;
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
    const visited = new Set<string>();
    const visit = (object: string) => {
      for (const reference of this.#references.get(object) ?? []) {
        const draft = this.draftOf(reference);
        const stop = draft === undefined ? this.chainOf(reference).find(stopsAt) : undefined;
        if (draft !== undefined) {
          if (draft !== key) drafts.add(draft);
        } else if (stop !== undefined) stops.add(stop);
        else if (!visited.has(reference)) {
          visited.add(reference);
          visit(reference);
        }
      }
    };
    visit(key);
    for (const part of this.#parts.get(key) ?? []) visit(part);
    return { drafts, stops };
  }
}

function append(lists: Map<string, string[]>, key: string, value: string): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}
