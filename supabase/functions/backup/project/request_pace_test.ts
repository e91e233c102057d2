import assert from "node:assert/strict";
import { RequestPace } from "./request_pace.ts";

Deno.test("RequestPace keeps nobody waiting for a time that a clock which was set back has yet to come to", async () => {
  let nowMs = Date.parse("2026-06-01T12:00:00Z");
  const slept: number[] = [];
  const clock = {
    now: () => new Date(nowMs),
    sleep: (ms: number) => {
      slept.push(ms);
      nowMs += ms;
      return Promise.resolve();
    },
  };
  const pace = new RequestPace({ requests: 2, windowMs: 60_000 }, clock);
  const { signal } = new AbortController();
  await pace.enter(signal);
  nowMs += 10_000;
  await pace.enter(signal);
  nowMs -= 3_600_000;
  await pace.enter(signal);
  pace.hold(5000);
  nowMs -= 3_600_000;
  await pace.enter(signal);
  assert.deepEqual(slept, [50_000, 10_000]);
});
