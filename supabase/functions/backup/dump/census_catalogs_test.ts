import assert from "node:assert/strict";
import { CATALOGS } from "./census_catalogs.ts";

Deno.test("no column stands in two lists of the census", () => {
  for (const [name, catalog] of Object.entries(CATALOGS)) {
    const lists = [catalog.saved, catalog.derived ?? "", ...Object.values(catalog.ignored ?? {})];
    const columns = lists.flatMap((list) => list.split(" ")).filter((column) => column !== "");
    assert.equal(new Set(columns).size, columns.length, name);
  }
});
