import assert from "node:assert/strict";
import fc from "fast-check";
import { findCycle, missingFor, type Ordered, orderSteps } from "./order_steps.ts";

const step = (id: string, order = 1, ...dependencies: string[]): Ordered => (
  { id, order, dependencies }
);
const ids = (steps: readonly Ordered[]) => steps.map(({ id }) => id);

/** Steps whose dependencies point to steps listed before or after, never in a circle. */
const acyclic = fc.array(
  fc.record({ order: fc.nat(5), picks: fc.array(fc.nat(), { maxLength: 4 }) }),
  { minLength: 1, maxLength: 30 },
).chain((drafts) => {
  const steps = drafts.map(({ order, picks }, at): Ordered => ({
    id: `s${at}`,
    order,
    dependencies: at === 0 ? [] : [...new Set(picks.map((pick) => `s${pick % at}`))],
  }));
  return fc.shuffledSubarray(steps, { minLength: steps.length, maxLength: steps.length });
});

Deno.test("orderSteps() goes by dependencies, then by order, then as listed", () => {
  assert.deepEqual(ids(orderSteps([step("b", 1, "a"), step("a", 2)])), ["a", "b"]);
  assert.deepEqual(ids(orderSteps([step("c", 2), step("b", 1), step("a", 1)])), ["b", "a", "c"]);
  assert.deepEqual(
    ids(orderSteps([step("d", 1, "b", "c"), step("b", 3, "a"), step("c", 2, "a"), step("a", 9)])),
    ["a", "c", "b", "d"],
  );
});

Deno.test("orderSteps() gives every step once, behind all that it depends on, whatever the plan", () => {
  fc.assert(fc.property(acyclic, (steps) => {
    const ordered = orderSteps(steps);
    assert.deepEqual(ids(ordered).sort(), ids(steps).sort());
    const place = new Map(ordered.map(({ id }, at) => [id, at]));
    for (const { id, dependencies } of steps) {
      for (const other of dependencies) assert.ok(place.get(other)! < place.get(id)!);
    }
    assert.equal(findCycle(steps), null);
  }));
});

Deno.test("findCycle() names a circle that is there, and no plan with one is wholly ordered", () => {
  assert.deepEqual(findCycle([step("a", 1, "a")]), ["a", "a"]);
  const found = findCycle([
    step("x", 1, "a"),
    step("a", 1, "c"),
    step("b", 1, "a"),
    step("c", 1, "b"),
  ]);
  assert.deepEqual(found, ["a", "c", "b", "a"]);
  fc.assert(fc.property(acyclic, fc.nat(), (steps, pick) => {
    const first = orderSteps(steps)[pick % steps.length]!;
    const looped = steps.map((each) =>
      each.id === first.id ? { ...each, dependencies: [...each.dependencies, "last"] } : each
    );
    const all = [...looped, step("last", 1, first.id)];
    assert.ok(orderSteps(all).length < all.length);
    const cycle = findCycle(all)!;
    assert.equal(cycle[0], cycle.at(-1));
    cycle.slice(1).forEach((id, at) => {
      assert.ok(all.find((each) => each.id === cycle[at])!.dependencies.includes(id));
    });
  }));
});

Deno.test("missingFor() takes done and skipped for good, and nothing else", () => {
  const status = { a: "done", b: "skipped", c: "failed", d: "not_run", e: "waiting" } as const;
  const missing = missingFor(
    step("x", 1, "a", "b", "c", "d", "e", "f"),
    (id) => status[id as keyof typeof status],
  );
  assert.deepEqual(missing, ["c", "d", "e", "f"]);
});
