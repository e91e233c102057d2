import assert from "node:assert/strict";
import { loadedOnUse } from "./loaded_on_use.ts";
import { memoryStorage } from "./memory.ts";
import type { ProviderProbe } from "./storage.ts";

Deno.test("loadedOnUse() loads with the first question, once, and hands everything on", async () => {
  let loads = 0;
  const locked: string[] = [];
  const probe: ProviderProbe = {
    overwrite: () => Promise.resolve("refused"),
    destroy: (_, { bypassLock }) => Promise.resolve(bypassLock ? "done" : "refused"),
    reachesMore: () => Promise.resolve(null),
  };
  const storage = loadedOnUse({
    location: "s3://bucket/",
    lock: { mode: "governance", days: 3, legalHold: false },
  }, async () => {
    loads++;
    await Promise.resolve();
    return Object.assign(memoryStorage(), {
      probe,
      extendLock: (names: readonly string[]) => Promise.resolve(void locked.push(...names)),
    });
  });
  assert.deepEqual([storage.location, storage.lock?.days, loads], ["s3://bucket/", 3, 0]);
  const bytes = new Uint8Array([1, 2, 3]);
  const made = await Promise.all([storage.put("a", bytes), storage.head("b")]);
  assert.deepEqual([made[0].created, made[1], loads], [true, null, 1]);
  assert.deepEqual(await storage.get("a", { from: 1 }), bytes.subarray(1));
  assert.deepEqual((await Array.fromAsync(storage.list(""))).map(({ name }) => name), ["a"]);
  await storage.extendLock?.(["a"], new Date());
  assert.deepEqual(locked, ["a"]);
  assert.equal(await storage.probe?.overwrite("a", bytes), "refused");
  assert.equal(await storage.probe?.destroy("a", { bypassLock: true }), "done");
  assert.equal(await storage.probe?.reachesMore(), null);
  await storage.delete("a");
  assert.equal(await storage.head("a"), null);
  assert.equal(loads, 1);
});

Deno.test("loadedOnUse() has no locks where none are known", () => {
  const storage = loadedOnUse({ location: "s3://bucket/", lock: null }, () => {
    throw new Error("loaded");
  });
  assert.equal("lock" in storage || "extendLock" in storage, false);
});
