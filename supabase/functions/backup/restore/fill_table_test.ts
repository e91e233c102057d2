import assert from "node:assert/strict";
import type { DataPart, TableData } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import { fillTable } from "./fill_table.ts";
import type { TableLoad } from "./plan_types.ts";

/** Whether rows are counted before a part, when so many others are loaded. */
async function isCounted(parts: number): Promise<boolean> {
  const asked: string[] = [];
  const session = {
    execute: () => Promise.resolve(),
    query: (sql: string) => {
      asked.push(sql);
      return Promise.resolve([sql.includes("as parts") ? { parts, rows: "7" } : { rows: "7" }]);
    },
    copyIn: () => Promise.resolve({ rows: 1 }),
  } as unknown as Session;
  const load = {
    entry: { identity: "t", table: { sqlName: '"public"."t"', condition: null } },
    data: { columns: [] } as unknown as TableData,
  } as unknown as TableLoad;
  await fillTable(session, {
    ...{ jobId: "job", load, fill: { aside: { drop: [], make: [] } } },
    part: {
      part: parts,
      rows: 1,
      pieces: [],
      format: "text",
      encoding: "UTF8",
    } as unknown as DataPart,
    readPieces: async function* () {},
  });
  return asked.some((sql) => sql.includes("LIMIT 8"));
}

Deno.test("fillTable() counts the rows that are there ever more seldom, and no gigabytes", async () => {
  const counted: number[] = [];
  for (let parts = 0; parts <= 200; parts++) if (await isCounted(parts)) counted.push(parts);
  assert.deepEqual(counted, [0, 1, 2, 4, 8, 16, 32, 64]);
});
