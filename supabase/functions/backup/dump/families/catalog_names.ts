/**
 * SQL expressions that name objects by oid, qualified and quoted, from the catalog rows of the
 * session's own snapshot (regproc and its kin read the present catalog instead). All are NULL for oid 0.
 *
 * @module
 */

/** `"s"."f"`. */
export function functionNameSql(oid: string): string {
  return `(select format('%I.%I', fn.nspname, f.proname)
             from pg_proc f join pg_namespace fn on fn.oid = f.pronamespace where f.oid = ${oid})`;
}

/** `"s"."f"(integer, text)`. */
export function functionSignatureSql(oid: string): string {
  return `(select format('%I.%I(%s)', fn.nspname, f.proname, ${argumentTypesSql("f.proargtypes")})
             from pg_proc f join pg_namespace fn on fn.oid = f.pronamespace where f.oid = ${oid})`;
}

/** `integer, text` for an array of type oids. */
export function argumentTypesSql(types: string): string {
  return `(select coalesce(string_agg(format_type(a.type, null), ', ' order by a.position), '')
             from unnest(${types}) with ordinality as a(type, position))`;
}

/** `OPERATOR("s".+)`. */
export function operatorNameSql(oid: string): string {
  return `(select format('OPERATOR(%I.%s)', xn.nspname, x.oprname)
             from pg_operator x join pg_namespace xn on xn.oid = x.oprnamespace where x.oid = ${oid})`;
}

/** `"s".+ (integer, integer)`, with NONE for the missing side. */
export function operatorSignatureSql(oid: string): string {
  return `(select format('%I.%s (%s, %s)', xn.nspname, x.oprname,
                  coalesce(format_type(nullif(x.oprleft, 0), null), 'NONE'),
                  coalesce(format_type(nullif(x.oprright, 0), null), 'NONE'))
             from pg_operator x join pg_namespace xn on xn.oid = x.oprnamespace where x.oid = ${oid})`;
}

/** `"s"."c"`. */
export function collationNameSql(oid: string): string {
  return `(select format('%I.%I', cn.nspname, c.collname)
             from pg_collation c join pg_namespace cn on cn.oid = c.collnamespace where c.oid = ${oid})`;
}

/** `"s"."f"`; a family is unique only together with its access method. */
export function operatorFamilyNameSql(oid: string): string {
  return `(select format('%I.%I', yn.nspname, y.opfname)
             from pg_opfamily y join pg_namespace yn on yn.oid = y.opfnamespace where y.oid = ${oid})`;
}

/** Name of a role. */
export function roleNameSql(oid: string): string {
  return `(select r.rolname from pg_roles r where r.oid = ${oid})`;
}
