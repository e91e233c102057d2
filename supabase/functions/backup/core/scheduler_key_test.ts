import assert from "node:assert/strict";
import { looksLikeSchedulerKey, schedulerKeys } from "./scheduler_key.ts";
import { Secret } from "./secret.ts";

const named = (name: string, key: string) => ({ name, key: new Secret(key) });
const one = { secretKeys: [named("a", "secret-a")], serviceRoleKey: null, allowedKeys: null };
const reveal = async (environment: Parameters<typeof schedulerKeys>[0]) =>
  (await schedulerKeys(environment)).map((key) => key.reveal());

Deno.test("schedulerKeys are the same for the same key and differ between keys", async () => {
  const [first] = await reveal(one);
  assert.deepEqual(await reveal(one), [first]);
  assert.ok(looksLikeSchedulerKey(first as string));
  assert.match(first as string, /^backup_scheduler_[A-Za-z0-9_-]{43}$/);
  const two = await reveal({ ...one, secretKeys: [named("a", "secret-a"), named("b", "b")] });
  assert.equal(two[0], first);
  assert.notEqual(two[1], first);
});

Deno.test("schedulerKeys come only from keys that may call, from the service role's without others", async () => {
  const serviceRoleKey = new Secret("jwt");
  assert.equal((await reveal({ ...one, allowedKeys: ["b"] })).length, 0);
  assert.equal((await reveal({ ...one, serviceRoleKey })).length, 1);
  const legacy = { secretKeys: [], serviceRoleKey };
  assert.equal((await reveal({ ...legacy, allowedKeys: null })).length, 1);
  assert.equal((await reveal({ ...legacy, allowedKeys: ["a"] })).length, 0);
});
