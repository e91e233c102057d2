import assert from "node:assert/strict";
import { unlessAborted } from "./unless_aborted.ts";

Deno.test("unlessAborted() gives up when the signal is aborted, before or meanwhile, and undoes what comes late", async () => {
  for (const isBefore of [true, false]) {
    const abort = new AbortController();
    const coming = Promise.withResolvers<string>();
    const undone = Promise.withResolvers<string>();
    const stop = new Error("stop");
    if (isBefore) abort.abort(stop);
    const waiting = unlessAborted(coming.promise, abort.signal, (late) => {
      undone.resolve(late);
      return Promise.resolve();
    });
    abort.abort(stop);
    await assert.rejects(waiting, stop);
    coming.resolve("late");
    assert.equal(await undone.promise, "late");
  }
});

Deno.test("unlessAborted() gives what comes in time, and its failure", async () => {
  const { signal } = new AbortController();
  assert.equal(await unlessAborted(Promise.resolve(1), signal), 1);
  await assert.rejects(unlessAborted(Promise.reject(new Error("own")), signal), /own/);
});
