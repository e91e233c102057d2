import assert from "node:assert/strict";
import { type Clock, startStopwatch, systemClock } from "./clock.ts";

Deno.test("startStopwatch() goes by the clock, and by the running time where the clock is set back", async () => {
  let setByMs = 0;
  const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + setByMs) };
  const elapsedMs = startStopwatch(clock);
  await clock.sleep(20);
  setByMs = -3_600_000;
  const early = elapsedMs();
  assert.ok(early >= 15 && early < 3_600_000, `${early}`);
  setByMs = 3_600_000;
  assert.ok(elapsedMs() >= 3_600_000);
});
