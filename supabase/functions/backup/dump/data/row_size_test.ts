import assert from "node:assert/strict";
import type { TableFacts } from "../../core/model.ts";
import { sizeExpressions } from "./row_size.ts";

Deno.test("sizeExpressions() knows types as a dump names them, and leaves short ones out", () => {
  const columns = [
    ...["bigint", '"uuid"', '"char"', '"date"', "timestamp with time zone", "numeric(12,2)"],
    ...['"text"', "character varying(10)", '"bytea"', '"jsonb"', "numeric", '"public"."note"'],
  ].map((typeName, at) => ({ name: `c${at}`, typeName, generated: "" }));
  const sizes = sizeExpressions({ columns } as unknown as TableFacts);
  assert.deepEqual(sizes.map((size) => /pg_catalog\.(\w+)\(t\."(\w+)"\)/.exec(size)?.slice(1)), [
    ["octet_length", "c6"],
    ["octet_length", "c7"],
    ["octet_length", "c8"],
    ["pg_column_size", "c9"],
    ["pg_column_size", "c10"],
    ["pg_column_size", "c11"],
  ]);
});
