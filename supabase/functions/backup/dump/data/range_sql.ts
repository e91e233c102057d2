/**
 * The SQL that reads one range of one table.
 *
 * @module
 */
import type { CopyFormat, TableData, TableFacts } from "../../core/model.ts";
import type { DataRange } from "./ranges.ts";

/** FROM and WHERE of a range, with the table aliased `t`; never rows of its children. */
export function fromRange(table: TableFacts, range: DataRange): string {
  const conditions = ctidConditions(range);
  // The newline ends a comment that the extension's author may have put behind the condition.
  if (!hasNoCondition(table)) {
    conditions.unshift(`(${table.condition!.replace(/^\s*where\b/i, "")}\n)`);
  }
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  return `FROM ONLY ${table.sqlName} AS t${where}`;
}

function ctidConditions(range: DataRange): string[] {
  const { pages, tuples } = range;
  if (pages === null) return [];
  const conditions: string[] = [];
  if (tuples !== undefined) {
    conditions.push(`t.ctid >= '(${pages.from},${tuples.from})'::pg_catalog.tid`);
    conditions.push(
      tuples.to === null
        ? `t.ctid < '(${pages.from + 1},0)'::pg_catalog.tid`
        : `t.ctid < '(${pages.from},${tuples.to})'::pg_catalog.tid`,
    );
    return conditions;
  }
  if (pages.from > 0) conditions.push(`t.ctid >= '(${pages.from},0)'::pg_catalog.tid`);
  if (pages.to !== null) conditions.push(`t.ctid < '(${pages.to},0)'::pg_catalog.tid`);
  return conditions;
}

/** COPY of a range to the client. */
export function copyRange(table: TableFacts, data: TableData, range: DataRange): string {
  return `COPY ${sourceOf(table, data, range)} TO STDOUT ${formatOption(data.format)}`;
}

/** A whole table by its name, which spares the server a plan; it means no rows of its children either. */
function sourceOf(table: TableFacts, { columns }: TableData, range: DataRange): string {
  const isWhole = range.pages === null && hasNoCondition(table);
  if (isWhole && columns.length > 0) return `${table.sqlName} (${columns.join(", ")})`;
  return `(SELECT ${columns.map((column) => `t.${column}`).join(", ")} ${fromRange(table, range)})`;
}

function hasNoCondition({ condition }: TableFacts): boolean {
  return condition === null || condition.trim() === "";
}

function formatOption(format: CopyFormat): string {
  return format === "binary" ? "(FORMAT binary)" : "";
}
