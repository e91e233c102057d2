/**
 * What the data stage knows of a column's type: whether its binary form may be stored, and how its
 * values are hashed.
 *
 * @module
 */
import type { BinaryForm } from "../../core/model.ts";
import type { Session } from "../../postgres/session.ts";

/** A row of pg_type, with what it is made of. */
export interface TypeFacts {
  oid: number;
  schema: string;
  name: string;
  /** pg_type.typtype: b, c, d, e, m, p, r. */
  kind: string;
  isArray: boolean;
  /** Element type of an array, else 0. */
  element: number;
  /** Base type of a domain, else 0. */
  base: number;
  /** Subtype of a range or multirange, else 0. */
  subtype: number;
  /** Of a free-standing composite type: its attributes' types. */
  attributes: number[];
  /** Whether values may be compressed or stored out of line. */
  toastable: boolean;
  /** Between values of this type in an array. */
  delimiter: string;
}

/** All types of a database that columns can have, by oid. */
export type TypeCatalog = ReadonlyMap<number, TypeFacts>;

const TYPES = `
  select t.oid, n.nspname, t.typname, t.typtype, t.typlen, t.typstorage, t.typdelim, t.typelem, t.typbasetype,
         t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc
           and t.typarray = 0 as is_array,
         coalesce(r.rngsubtype, m.rngsubtype, 0::oid) as subtype,
         case when c.oid is not null then
           array(select a.atttypid from pg_catalog.pg_attribute a
                  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
                  order by a.attnum)
         end as attributes
    from pg_catalog.pg_type t
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    left join pg_catalog.pg_range r on r.rngtypid = t.oid
    left join pg_catalog.pg_range m on m.rngmultitypid = t.oid
    left join pg_catalog.pg_class c on c.oid = t.typrelid and c.relkind = 'c'
    left join pg_catalog.pg_type e on e.oid = t.typelem and e.typtype = 'c'
    left join pg_catalog.pg_class ec on ec.oid = e.typrelid
   where (t.typtype <> 'c' or c.oid is not null) and (ec.oid is null or ec.relkind = 'c')`;

/** Reads all types. Row types of tables and arrays of them are left out: what is not here is stored as text. */
export async function readTypes(session: Session): Promise<TypeCatalog> {
  const types = new Map<number, TypeFacts>();
  for (const row of await session.query(TYPES)) {
    types.set(row.oid, {
      oid: row.oid,
      schema: row.nspname,
      name: row.typname,
      kind: row.typtype,
      isArray: row.is_array === true,
      element: row.is_array === true ? row.typelem : 0,
      base: row.typbasetype,
      subtype: row.subtype,
      attributes: row.attributes ?? [],
      toastable: row.typlen === -1 && row.typstorage !== "p",
      delimiter: row.typdelim,
    });
  }
  return types;
}

/**
 * Built-in types whose binary form is the same in every database and every later major version, and
 * which the exporter can write as text. Not here on purpose: reg* (oids that mean nothing elsewhere),
 * money (depends on lc_monetary), xml (carries its own encoding), aclitem, gtsvector, pg_node_tree and
 * statistics (no way in), cstring and internal types.
 */
const BINARY_TYPES: ReadonlySet<string> = new Set([
  ...["bool", "bytea", "char", "name", "int2", "int4", "int8", "text", "oid", "xid", "xid8", "cid"],
  ...["tid", "float4", "float8", "bpchar", "varchar", "numeric", "bit", "varbit", "uuid", "pg_lsn"],
  ...["date", "time", "timetz", "timestamp", "timestamptz", "interval"],
  ...["json", "jsonb", "jsonpath", "inet", "cidr", "macaddr", "macaddr8"],
  ...["point", "lseg", "path", "box", "polygon", "line", "circle"],
  ...["int2vector", "oidvector", "pg_snapshot", "txid_snapshot", "tsvector"],
]);

/** Oids below this are the same in every database of every version. */
const FIRST_UNPINNED_OID = 10_000;

/** What binary values of a type are made of; null when they are to be stored as text. */
export function binaryFormOf(types: TypeCatalog, oid: number, depth = 0): BinaryForm | null {
  const type = types.get(oid);
  if (type === undefined || depth > 20) return null;
  const inside = (inner: number) => binaryFormOf(types, inner, depth + 1);
  if (type.isArray) {
    const element = inside(type.element);
    const delimiter = types.get(type.element)?.delimiter ?? ",";
    return element && { kind: "array", element, delimiter };
  }
  switch (type.kind) {
    case "b":
      return isBuiltIn(type) && BINARY_TYPES.has(type.name)
        ? { kind: "base", name: type.name }
        : null;
    case "e":
      return { kind: "base", name: "enum" };
    case "d":
      return inside(type.base);
    case "c": {
      const attributes: BinaryForm[] = [];
      for (const attribute of type.attributes) {
        const form = inside(attribute);
        if (form === null) return null;
        attributes.push(form);
      }
      return attributes.length === 0 ? null : { kind: "composite", attributes };
    }
    case "r":
    case "m": {
      const subtype = inside(type.subtype);
      return subtype && { kind: type.kind === "r" ? "range" : "multirange", subtype };
    }
    default:
      return null;
  }
}

/**
 * How a value goes into its row's hash: `direct` by its type's own hash function, which depends on the
 * value alone; `string` and `jsonb` by a function of their own, which spares the server from putting
 * large values together; `text` as the text form.
 */
export type HashForm = "direct" | "string" | "jsonb" | "text";

const DIRECT_HASH: ReadonlySet<string> = new Set([
  ...["bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "uuid", "bytea"],
  ...["date", "time", "timetz", "timestamp", "timestamptz", "interval"],
  ...["inet", "cidr", "macaddr", "macaddr8", "pg_lsn"],
]);

/** The form for a type; what is not known to be stable goes as text. */
export function hashFormOf(types: TypeCatalog, oid: number): HashForm {
  const type = types.get(oid);
  if (type === undefined) return "text";
  if (type.kind === "d") return hashFormOf(types, type.base);
  if (type.isArray) {
    const element = types.get(type.element);
    return element !== undefined && isBuiltIn(element) && DIRECT_HASH.has(element.name)
      ? "direct"
      : "text";
  }
  if (!isBuiltIn(type)) return "text";
  if (["text", "varchar", "bpchar", "name"].includes(type.name)) return "string";
  if (type.name === "jsonb") return "jsonb";
  return DIRECT_HASH.has(type.name) ? "direct" : "text";
}

function isBuiltIn(type: TypeFacts): boolean {
  return type.kind === "b" && type.schema === "pg_catalog" && type.oid < FIRST_UNPINNED_OID;
}
