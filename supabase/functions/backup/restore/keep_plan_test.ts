import assert from "node:assert/strict";
import type { DataPart, Entry, TableFacts } from "../core/model.ts";
import { keepPlan } from "./keep_plan.ts";
import type { BackupFacts, RestorePlan, TargetFacts } from "./plan_types.ts";

const PARTS = 500;

Deno.test("keepPlan() looks at each part of a large table a few times, however many units they make", () => {
  let looks = 0;
  const entry: Entry = {
    ...{ key: "table-data:large", kind: "table-data", section: "data", schema: "public" },
    ...{ name: "large", identity: "large", owner: null, dependsOn: [] },
    statements: { create: [], drop: [], owner: [], comment: [], label: [], acl: [] },
    table: { sqlName: '"public"."large"' } as TableFacts,
  };
  const parts = Array.from({ length: PARTS }, (_, part) => ({
    entry: entry.key,
    get part() {
      looks += 1;
      return part;
    },
    rawBytes: 100,
  })) as unknown as DataPart[];
  const backup = { entries: [entry], tableData: [], dataParts: parts } as unknown as BackupFacts;
  const load = [{ entry, data: null, parts, clear: "none", checkForeignKeys: false }];
  const plan = {
    ...{ backupId: "backup_1", mode: "empty", cluster: [], drop: [], adjust: [], create: [] },
    ...{ load, refresh: [], expect: [entry], leftOut: [], borrowRoles: [], unusableRoles: [] },
  } as unknown as RestorePlan;
  const given = {
    ...{ backup, target: { role: null } as unknown as TargetFacts, hashes: null },
    limits: { entries: 10, partBytes: 100, longBytes: 1e9 },
  } as Parameters<typeof keepPlan>[1];
  const { steps } = keepPlan(plan, given);
  const rows = steps.find(({ name }) => name === "rows")!.units.map(({ loads }) => loads!.parts);
  assert.equal(rows.length, PARTS);
  assert.deepEqual([rows[0], rows[PARTS - 1]], [[[[0, 1]]], [[[PARTS - 1, 1]]]]);
  assert.ok(looks <= 5 * PARTS, `${looks} looks`);
});
