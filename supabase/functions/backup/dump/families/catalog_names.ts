/**
 * SQL expressions that name objects by oid, qualified and quoted, from the catalog rows of the
 * session's own snapshot (regproc and its kin read the present catalog instead). All are NULL for oid 0.
 * Their inner tables are called `named` and `space`: a query that embeds them must not use these names.
 *
 * @module
 */

/** `"s"."f"`. */
export function functionNameSql(oid: string): string {
  return `(select format('%I.%I', space.nspname, named.proname)
             from pg_proc named join pg_namespace space on space.oid = named.pronamespace
            where named.oid = ${oid})`;
}

/** `"s"."f"(integer, text)`. */
export function functionSignatureSql(oid: string): string {
  return `(select format('%I.%I(%s)', space.nspname, named.proname, ${
    argumentTypesSql("named.proargtypes")
  })
             from pg_proc named join pg_namespace space on space.oid = named.pronamespace
            where named.oid = ${oid})`;
}

/** `integer, text` for an array of type oids. */
export function argumentTypesSql(types: string): string {
  return `(select coalesce(string_agg(format_type(argument.type, null), ', ' order by argument.position), '')
             from unnest(${types}) with ordinality as argument(type, position))`;
}

/** `OPERATOR("s".+)`. */
export function operatorNameSql(oid: string): string {
  return `(select format('OPERATOR(%I.%s)', space.nspname, named.oprname)
             from pg_operator named join pg_namespace space on space.oid = named.oprnamespace
            where named.oid = ${oid})`;
}

/** `"s".+ (integer, integer)`, with NONE for the missing side. */
export function operatorSignatureSql(oid: string): string {
  return `(select format('%I.%s (%s, %s)', space.nspname, named.oprname,
                  coalesce(format_type(nullif(named.oprleft, 0), null), 'NONE'),
                  coalesce(format_type(nullif(named.oprright, 0), null), 'NONE'))
             from pg_operator named join pg_namespace space on space.oid = named.oprnamespace
            where named.oid = ${oid})`;
}

/** `"s"."c"`. */
export function collationNameSql(oid: string): string {
  return `(select format('%I.%I', space.nspname, named.collname)
             from pg_collation named join pg_namespace space on space.oid = named.collnamespace
            where named.oid = ${oid})`;
}

/** `"s"."f"`; a family is unique only together with its access method. */
export function operatorFamilyNameSql(oid: string): string {
  return `(select format('%I.%I', space.nspname, named.opfname)
             from pg_opfamily named join pg_namespace space on space.oid = named.opfnamespace
            where named.oid = ${oid})`;
}

/** Name of a role. */
export function roleNameSql(oid: string): string {
  return `(select named.rolname from pg_roles named where named.oid = ${oid})`;
}
