import assert from "node:assert/strict";
import { Opening } from "./opening.ts";

/** An opening whose attempts end as the test says. */
function attempts() {
  const begun: PromiseWithResolvers<string>[] = [];
  const opening = new Opening(() => {
    const attempt = Promise.withResolvers<string>();
    begun.push(attempt);
    return attempt.promise;
  });
  return { begun, opening };
}

Deno.test("an Opening begins at once and opens one thing for all who ask", async () => {
  const { begun, opening } = attempts();
  assert.equal(begun.length, 1);
  const asked = [opening.opened(), opening.opened()];
  begun[0]!.resolve("one");
  assert.deepEqual(await Promise.all([...asked, opening.opened()]), ["one", "one", "one"]);
  assert.equal(begun.length, 1);
});

Deno.test("an Opening tells a failure to all who waited, and opens again for who asks after it", async () => {
  const { begun, opening } = attempts();
  const asked = [opening.opened(), opening.opened()];
  begun[0]!.reject(new Error("out of reach"));
  for (const each of asked) await assert.rejects(each, /out of reach/);
  assert.equal(begun.length, 1);
  const again = [opening.opened(), opening.opened()];
  assert.equal(begun.length, 2);
  begun[1]!.resolve("two");
  assert.deepEqual(await Promise.all(again), ["two", "two"]);
});

Deno.test("an Opening that failed before anybody asked is settled, and fails nobody", async () => {
  const { begun, opening } = attempts();
  begun[0]!.reject(new Error("out of reach"));
  await opening.settled();
  const asked = opening.opened();
  begun[1]!.resolve("two");
  assert.equal(await asked, "two");
});
