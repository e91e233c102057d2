/**
 * How a type goes whose support functions take or return the type itself.
 *
 * @module
 */
import { quoteDollar, quoteLiteral } from "../../postgres/quote.ts";

/**
 * Type and functions need each other, so PostgreSQL drops them by CASCADE only. This statement looks
 * first and refuses when anything else than the type's own functions would go too.
 *
 * @param name quoted and qualified
 */
export function dropCircularType(name: string): string {
  return `DO ${
    quoteDollar(`
DECLARE
  gone regtype := ${quoteLiteral(name)}::regtype;
  functions oid[];
  other text;
BEGIN
  SELECT array_agg(f) INTO functions
    FROM pg_catalog.pg_type t
    LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid,
         unnest(ARRAY[t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout,
                      t.typanalyze, t.typsubscript, r.rngcanonical]::oid[]) f
   WHERE t.oid = gone AND f <> 0;
  SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) INTO other
    FROM pg_catalog.pg_depend d
   WHERE d.deptype <> 'i'
     AND ((d.refclassid = 'pg_catalog.pg_type'::regclass AND d.refobjid IN
            (SELECT t.oid FROM pg_catalog.pg_type t WHERE t.oid = gone OR t.typelem = gone))
       OR (d.refclassid = 'pg_catalog.pg_proc'::regclass AND d.refobjid = ANY (functions)
           AND d.refobjid >= 16384))
     AND NOT (d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = ANY (functions))
     AND NOT (d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = gone)
     AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend i
           WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i')
   LIMIT 1;
  IF other IS NOT NULL THEN
    RAISE EXCEPTION 'cannot drop type %: % depends on it', gone, other USING ERRCODE = '2BP01';
  END IF;
  EXECUTE pg_catalog.format('DROP TYPE %s CASCADE', gone);
END`)
  }`;
}

/** SQL condition: a function that goes together with a type of the user's, by {@linkcode dropCircularType}. */
export function isTypeSupportSql(oid: string): string {
  return `${oid} in (
    select unnest(array[s.typinput, s.typoutput, s.typreceive, s.typsend, s.typmodin, s.typmodout,
                        s.typanalyze, s.typsubscript]::oid[])
      from pg_type s where s.oid >= 16384 and s.typtype = 'b'
    union all select rngcanonical from pg_range where rngcanonical <> 0)`;
}
