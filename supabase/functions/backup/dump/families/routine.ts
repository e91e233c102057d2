/**
 * What functions, procedures and aggregates share: columns, signatures, rights.
 *
 * @module
 */
import { quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { argumentTypesSql } from "./catalog_names.ts";
import { isUsersSql, rightsColumnsSql } from "./define.ts";

// Argument modes tell procedures apart that differ in OUT arguments only.
const MODES_AND_TYPES = `
  (select coalesce(string_agg(
            case coalesce(p.proargmodes[a.position], 'i')
              when 'o' then 'OUT ' when 'b' then 'INOUT ' when 'v' then 'VARIADIC ' else 'IN ' end
            || format_type(a.type, null), ', ' order by a.position), '')
     from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]))
          with ordinality as a(type, position))`;

/** Columns of `pg_proc p` and `pg_namespace n` that {@linkcode routineSignature} and the rights need. */
export const ROUTINE_COLUMNS = `p.oid, n.oid as schema_oid, n.nspname, p.proname, p.prokind,
         case when p.prokind = 'p' then ${MODES_AND_TYPES}
              else ${argumentTypesSql("p.proargtypes")} end as argument_types,
         ${
  rightsColumnsSql("pg_proc", { oid: "p.oid", acl: "p.proacl", owner: "p.proowner", type: "f" })
}`;

/** The FROM clause that goes with {@linkcode ROUTINE_COLUMNS}. */
export const ROUTINE_FROM = "pg_proc p join pg_namespace n on n.oid = p.pronamespace";

/** SQL condition: a routine of a user's schema; constructors of ranges come with their range. */
export const IS_USERS_ROUTINE = `${isUsersSql("pg_proc", { oid: "p.oid", schema: "n.nspname" })}
     and not exists (select from pg_depend i
           where i.classid = 'pg_proc'::regclass and i.objid = p.oid and i.deptype = 'i')`;

/** GRANT's and COMMENT's words for a routine and its arguments: `"s"."f"(integer, text)`. */
export function routineSignature(row: Row): { keyword: string; signature: string } {
  return {
    keyword: row.prokind === "p" ? "PROCEDURE" : "FUNCTION",
    signature: `${quoteQualified(row.nspname, row.proname)}(${row.argument_types})`,
  };
}
