/**
 * What a list says of each job beside its columns. A result, or the details of an error, may name thousands of
 * objects: two hundred such jobs are more than a worker can answer with, and who lists jobs wants none of it.
 *
 * @module
 */
import type postgres from "postgres";
import type { Sql } from "./database.ts";

/** As JSON text: what is shorter is told as it is. */
const WHOLE_BYTES = 16_384;
/** Of what is longer, fields of at most so many bytes stay. */
const FIELD_BYTES = 2048;

/** The `metadata` of a row `j`, shortened: what is left out of `result` and of `error.details` is named in `shortened`. */
export function listedMetadata(sql: Sql): postgres.PendingQuery<postgres.Row[]> {
  const result = sql`j.metadata -> 'result'`;
  const details = sql`j.metadata #> '{error,details}'`;
  return sql`
    case when octet_length(j.metadata::text) <= ${WHOLE_BYTES} then j.metadata else j.metadata
      || case when jsonb_typeof(${result}) = 'object'
           then jsonb_build_object('result', ${shortened(sql, result)}) else '{}' end
      || case when jsonb_typeof(${details}) = 'object'
           then jsonb_build_object('error', (j.metadata -> 'error')
             || jsonb_build_object('details', ${shortened(sql, details)})) else '{}' end
    end`;
}

function shortened(
  sql: Sql,
  value: postgres.PendingQuery<postgres.Row[]>,
): postgres.PendingQuery<postgres.Row[]> {
  return sql`(
    select coalesce(jsonb_object_agg(field.key, field.value) filter (where not field.long), '{}')
        || jsonb_build_object('shortened',
             coalesce(jsonb_agg(field.key order by field.key) filter (where field.long), '[]'))
      from (select key, value, octet_length(value::text) > ${FIELD_BYTES} as long
              from jsonb_each(${value})) as field)`;
}
