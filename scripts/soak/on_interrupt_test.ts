import assert from "node:assert/strict";
import { endAll, endedOnInterrupt } from "./on_interrupt.ts";

function resource(name: string, log: string[], fails = false) {
  return endedOnInterrupt({
    [Symbol.asyncDispose]() {
      log.push(name);
      return fails ? Promise.reject(new Error(name)) : Promise.resolve();
    },
  });
}

Deno.test("endAll ends what is still there, the latest first, also after a failure", async () => {
  const log: string[] = [];
  resource("server", log);
  {
    await using _gone = resource("gone", log);
  }
  resource("broken", log, true);
  resource("service", log);
  await endAll();
  assert.deepEqual(log, ["gone", "service", "broken", "server"]);
  await endAll();
  assert.equal(log.length, 4);
});
