import assert from "node:assert/strict";
import type { DataPart, Entry } from "../core/model.ts";
import { choiceOf, isOfAll } from "../postgres/restore_traces.ts";
import { filledMark, tracedPlan } from "./broken_off.ts";
import type { RestorePlan, TableLoad } from "./plan_types.ts";

const entry = (identity: string) =>
  ({ identity, table: { sqlName: `"s"."${identity}"` } }) as Entry;
const load = (identity: string, root?: string) =>
  ({ entry: entry(identity), ...(root === undefined ? {} : { root }) }) as TableLoad;
const plan = (mode: "empty" | "over", create: string[], loads: string[]) =>
  ({
    mode,
    create: create.map(entry),
    load: loads.map((each) => load(each)),
  }) as unknown as RestorePlan;

Deno.test("tracedPlan() keeps what a restore makes and loads, and adds it to what the one before did", () => {
  const first = tracedPlan(plan("over", ["view v"], ["t"]), null);
  assert.deepEqual(first, { made: ["view v"], loads: ["t"] });
  const before = { made: new Set(first.made), loads: new Set(first.loads) };
  assert.deepEqual(tracedPlan(plan("over", ["index i", "view v"], []), before), {
    ...{ made: ["view v", "index i"], loads: ["t"] },
  });
});

Deno.test("tracedPlan() of an empty database is everything, and so is what goes on with it", () => {
  const all = { made: null, loads: null };
  assert.deepEqual(tracedPlan(plan("empty", ["view v"], ["t"]), null), all);
  assert.deepEqual(tracedPlan(plan("over", ["view v"], ["t"]), all), all);
});

Deno.test("filledMark() names the table that is filled, its rows and the part", () => {
  const part = { part: 3 } as DataPart;
  assert.equal(filledMark(load("t"), part), 'filled "s"."t" t/3');
  assert.equal(filledMark(load("t_1", '"s"."t"'), part), 'filled "s"."t" t_1/3');
});

Deno.test("choiceOf() makes two requests for the same equal, and isOfAll() knows the whole database", () => {
  const [one, other] = [["b", "a"], ["a", "b"]].map((tables) =>
    choiceOf({ tables, onlyLost: true })
  );
  assert.deepEqual(one, other);
  assert.deepEqual(choiceOf({ schemas: [], tables: [], onlyLost: false, schemaOnly: false }), {});
  assert.equal(isOfAll({ target: "supabase", includeAuthSessions: true }), true);
  for (const some of [{ tables: ["a"] }, { schemas: ["a"] }, { schemaOnly: true }]) {
    assert.equal(isOfAll(some), false);
  }
});
