/**
 * A draft with the usual values for what a family does not say.
 *
 * @module
 */
import type { Draft } from "../context.ts";

/** Fills in: before the data, without schema and owner, `DROP <address>`, can have comments. */
export function newDraft(
  own: Pick<Draft, "catalog" | "oid" | "kind" | "name" | "address"> & Partial<Draft>,
): Draft {
  return {
    part: null,
    section: "pre-data",
    schema: null,
    create: [],
    drop: [`DROP ${own.address}`],
    owner: null,
    commentable: true,
    dependsOn: [],
    ...own,
  };
}

/** SQL for `OPTIONS (…)` of foreign objects from a `text[]` column; NULL when there are none. */
export function foreignOptionsSql(column: string): string {
  return `(select nullif(format(' OPTIONS (%s)', string_agg(
             format('%I %L', o.option_name, o.option_value), ', ' order by o.option_name)), ' OPTIONS ()')
             from pg_options_to_table(${column}) o)`;
}
