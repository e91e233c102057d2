import assert from "node:assert/strict";
import type { ItemStep, ItemTarget } from "../core/items.ts";
import { leaveExisting } from "./leave_existing.ts";

Deno.test("leaveExisting() plans no replacement, with its difference shown and its hazards gone", async () => {
  const steps: ItemStep[] = [
    { key: "new", action: "create", title: "deploy new", hazards: ["It runs."] },
    { key: "old", action: "replace", title: "deploy old", hazards: ["It is lost."], difference: 1 },
  ];
  const target: ItemTarget = {
    plan: () => Promise.resolve(steps),
    apply: ({ key }) => Promise.resolve({ key, outcome: "done" }),
  };
  assert.deepEqual(await leaveExisting(target).plan([], new AbortController().signal), [
    steps[0],
    {
      ...{ key: "old", action: "keep", difference: 1 },
      title: "left as it is, as asked for; not done: deploy old",
    },
  ]);
});
