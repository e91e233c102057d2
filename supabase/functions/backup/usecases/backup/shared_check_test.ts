import assert from "node:assert/strict";
import { SharedCheck } from "./shared_check.ts";

/** A check that ends when the test says so, and says how many have begun. */
function counted() {
  let begun = 0;
  const gates: PromiseWithResolvers<void>[] = [];
  const shared = new SharedCheck(async () => {
    const number = ++begun;
    const gate = gates[number - 1] = Promise.withResolvers<void>();
    await gate.promise;
    return number;
  });
  const began = async (number: number) => {
    while (begun < number) await new Promise((resolve) => setTimeout(resolve, 0));
  };
  return {
    shared,
    begun: () => begun,
    began,
    end: async (number: number) => {
      await began(number);
      gates[number - 1]!.resolve();
    },
  };
}

Deno.test("SharedCheck gives each part a check that began after its work, one for all who wait", async () => {
  const { shared, begun, began, end } = counted();
  const first = await shared.after(() => Promise.resolve("a"));
  await began(1);
  const late = await Promise.all(
    [1, 2, 3].map((work) => shared.after(() => Promise.resolve(work))),
  );
  await end(1);
  assert.equal(await first.checked, 1);
  await end(2);
  assert.deepEqual(await Promise.all(late.map(({ checked }) => checked)), [2, 2, 2]);
  assert.deepEqual(late.map(({ result }) => result), [1, 2, 3]);
  assert.equal(begun(), 2);
});

Deno.test("SharedCheck tells a failed check to those who waited for it, and to nobody after them", async () => {
  let fails = true;
  const shared = new SharedCheck(() =>
    fails ? Promise.reject(new Error("gone")) : Promise.resolve("held")
  );
  const { checked } = await shared.after(() => Promise.resolve());
  await assert.rejects(checked, /gone/);
  fails = false;
  assert.equal(await (await shared.after(() => Promise.resolve())).checked, "held");
});

Deno.test("SharedCheck checks at once for those who wait when work that is left fails", async () => {
  const { shared, end } = counted();
  const { checked: before } = await shared.after(() => Promise.resolve());
  await end(1);
  await before;
  const gate = Promise.withResolvers<never>();
  const failing = shared.after(() => gate.promise);
  const { checked } = await shared.after(() => Promise.resolve());
  gate.reject(new Error("cut off"));
  await assert.rejects(failing, /cut off/);
  await end(2);
  assert.equal(await checked, 2);
});

Deno.test("SharedCheck settles when the checks that were asked for have ended, also with failures", async () => {
  let ended = 0;
  const shared = new SharedCheck(async () => {
    await Promise.resolve();
    ended++;
    throw new Error("stopped");
  });
  await shared.settled();
  const gate = Promise.withResolvers<void>();
  const working = shared.after(() => gate.promise);
  const { checked } = await shared.after(() => Promise.resolve());
  checked.catch(() => {});
  await shared.settled();
  assert.equal(ended, 1);
  gate.resolve();
  await assert.rejects((await working).checked, /stopped/);
});
