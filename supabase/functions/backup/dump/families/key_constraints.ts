/**
 * How ALTER TABLE … ADD CONSTRAINT says a constraint that stands on an index.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { optionList } from "./options.ts";

/**
 * The definition from a row of the index query, and statements that must follow it.
 *
 * @example
 * ```ts
 * keyConstraintDefinition(row, `"public"."t_pkey"`).definition; // `PRIMARY KEY ("id")`
 * ```
 */
export function keyConstraintDefinition(
  row: Row,
  indexName: string,
): { definition: string; after: string[] } {
  if (row.constraint_definition !== null) {
    // The server's text of an exclusion constraint is whole but for the tablespace.
    const after = row.tablespace === null
      ? []
      : [`ALTER INDEX ${indexName} SET TABLESPACE ${quoteIdentifier(row.tablespace)}`];
    return { definition: row.constraint_definition, after };
  }
  const columns: string[] = row.columns.map(quoteIdentifier);
  const included = columns.slice(row.key_columns);
  const isPrimary = row.constraint_type === "p";
  const parts = [
    isPrimary ? "PRIMARY KEY" : "UNIQUE",
    row.nulls_not_distinct && !isPrimary ? " NULLS NOT DISTINCT" : "",
    ` (${columns.slice(0, row.key_columns).join(", ")}`,
    row.is_period ? " WITHOUT OVERLAPS)" : ")",
    included.length === 0 ? "" : ` INCLUDE (${included.join(", ")})`,
    row.options === null || row.options.length === 0 ? "" : ` WITH (${optionList(row.options)})`,
    row.tablespace === null ? "" : ` USING INDEX TABLESPACE ${quoteIdentifier(row.tablespace)}`,
    row.is_deferrable ? " DEFERRABLE" : "",
    row.is_deferred ? " INITIALLY DEFERRED" : "",
  ];
  return { definition: parts.join(""), after: [] };
}
