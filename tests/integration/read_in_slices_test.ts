/**
 * That a catalog read slice by slice comes to the same as one that is read at once.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  CatalogReading,
  cutCatalog,
  orderSlices,
  readSlice,
} from "../../supabase/functions/backup/dump/mod.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { CONNECTED_SCHEMA } from "../support/connected_schema.ts";
import { DUMP_OPTIONS, openPinned } from "../support/memory_backup.ts";
import { readInSlices } from "../support/read_in_slices.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

async function inMoment<T>(url: string, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await openPinned(url);
  try {
    await session.execute("begin isolation level repeatable read read only");
    return await work(session);
  } finally {
    await session.close();
  }
}

/** Only servers from 18 on know it; what only a partition has validated says what becomes of the parent's. */
const UNVALIDATED = `
  create table one.p (a int, b int) partition by list (a);
  create table two.p1 partition of one.p for values in (1);
  alter table one.p add constraint filled not null b not valid;
  alter table two.p1 validate constraint filled;`;

for (const [major, most] of [[15, 60], [18, 12]] as const) {
  Deno.test(`a catalog in slices is the same as the catalog at once on ${major}`, async () => {
    await using database = await temporaryDatabase("in_slices", { major });
    const schema = major >= 18 ? CONNECTED_SCHEMA + UNVALIDATED : CONNECTED_SCHEMA;
    await inMoment(database.url, (session) => session.execute(`commit; ${schema}`));
    await inMoment(database.url, async (session) => {
      const whole = await CatalogReading.begin(session, DUMP_OPTIONS);
      const { entries, remarks } = await whole.database();
      const tableData = await whole.describe(entries);
      // Writes what the server estimates of tables, which older moments see, too.
      await inMoment(database.url, (other) => other.execute("commit; analyze"));
      const sliced = await readInSlices(session, DUMP_OPTIONS, most);
      assert.deepEqual(sliced.entries, JSON.parse(JSON.stringify(entries)));
      assert.deepEqual(sliced.tableData, tableData);
      assert.deepEqual(sliced.remarks, [...new Set(remarks)].sort());
      assert.ok(sliced.slices > 3, `${sliced.slices} slices`);
      assert.ok(sliced.ofFunctions > 0, "functions are cut, too");
      assert.ok(sliced.again > 0, "circles are taken apart where their tables are read");
    });
  });
}

Deno.test("the census over slices finds an object that no slice has, and small catalogs are not cut", async () => {
  await using database = await temporaryDatabase("in_slices");
  await inMoment(database.url, (session) => session.execute(`commit; ${CONNECTED_SCHEMA}`));
  await inMoment(database.url, async (session) => {
    assert.deepEqual(await cutCatalog(session, DUMP_OPTIONS, 1000), []);
    const tables = { ...DUMP_OPTIONS, includeTables: ["one.*"] };
    assert.deepEqual(await cutCatalog(session, tables, 1), []);
    const slices = await cutCatalog(session, DUMP_OPTIONS, 100);
    const lost = slices.find(({ relations, isRest }) => !isRest && relations.length > 0);
    const nodes = [];
    for (const slice of slices.filter((one) => one !== lost)) {
      nodes.push((await readSlice(session, DUMP_OPTIONS, { slice })).nodes);
    }
    await assert.rejects(orderSlices(session, DUMP_OPTIONS, { nodes, leftOut: [] }), {
      code: "census_mismatch",
      message: /objects have no entry: .*t\d+ \(pg_class/,
    });
  });
});
