import assert from "node:assert/strict";
import type { Entry, EntryKind } from "../core/model.ts";
import { compareInSlices, compareModels, type LiveEntries } from "./compare_models.ts";

const PLAN = { sameMajor: true, leftOut: [{ identity: "view v", reason: "left out" }] };

function entry(kind: EntryKind, name: string, create = `CREATE ${name}`): Entry {
  const none = { drop: [], owner: [], comment: [], label: [], acl: [] };
  return {
    ...{ key: `${kind}:${name}`, kind, section: "pre-data", schema: null, name, owner: null },
    ...{ identity: `${kind} ${name}`, statements: { create: [create], ...none }, dependsOn: [] },
  };
}

async function* slicesOf(...slices: LiveEntries[]): AsyncIterable<LiveEntries> {
  for (const slice of slices) yield await Promise.resolve(slice);
}

Deno.test("compareInSlices() finds in slices what a comparison at once finds", async () => {
  const member = { ...entry("role-membership", "m"), identity: "role-membership m by a" };
  const expect = [
    ...["a", "b", "gone", "c"].map((name) => entry("table", name)),
    ...[entry("schema", "s"), member, entry("view", "v"), entry("index", "lost")],
  ];
  const rest = [entry("schema", "s"), { ...member, identity: "role-membership m by b" }];
  const some = [entry("table", "c", "CREATE another c"), entry("table", "only here")];
  const others = [entry("table", "a"), entry("table", "b")];
  const found = await compareInSlices(
    { ...PLAN, expect },
    slicesOf(
      { actual: rest, isRest: true },
      { actual: some, isRest: false },
      { actual: others, isRest: false },
    ),
    { leftOut: [] },
  );
  const whole = compareModels(expect, [...rest, ...some, ...others], PLAN);
  const sorted = <T extends { identity: string }>(list: T[]) =>
    list.toSorted((a, b) => a.identity < b.identity ? -1 : 1);
  assert.deepEqual({ ...found, differences: sorted(found.differences) }, {
    ...whole,
    differences: sorted(whole.differences),
  });
  assert.deepEqual(sorted(found.differences), [
    { identity: "index lost", what: "missing" },
    { identity: "table c", what: "other create" },
    { identity: "table gone", what: "missing" },
  ]);
});
