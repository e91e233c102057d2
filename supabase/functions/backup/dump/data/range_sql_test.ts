import assert from "node:assert/strict";
import type { TableData, TableFacts } from "../../core/model.ts";
import { copyRange } from "./range_sql.ts";

const table = { sqlName: "public.notes", condition: null } as TableFacts;
const data = { columns: ["id", '"a b"'], format: "binary" } as unknown as TableData;
const whole = { entry: "notes", pages: null };

Deno.test("copyRange() takes a whole table by its name, and any part of one by a query", () => {
  assert.equal(
    copyRange(table, data, whole),
    'COPY public.notes (id, "a b") TO STDOUT (FORMAT binary)',
  );
  assert.equal(
    copyRange(table, data, { ...whole, pages: { from: 8, to: null } }),
    'COPY (SELECT t.id, t."a b" FROM ONLY public.notes AS t ' +
      "WHERE t.ctid >= '(8,0)'::pg_catalog.tid) TO STDOUT (FORMAT binary)",
  );
});

Deno.test("copyRange() keeps the condition of an extension's table, and rows without columns", () => {
  assert.match(
    copyRange({ ...table, condition: "WHERE id > 1 -- own" }, data, whole),
    /^COPY \(SELECT .* FROM ONLY public\.notes AS t WHERE \( id > 1 -- own\n\)\) TO STDOUT/,
  );
  const empty = { ...data, columns: [], format: "text" as const };
  assert.match(copyRange(table, empty, whole), /^COPY \(SELECT {2}FROM ONLY public\.notes AS t\)/);
});
