import assert from "node:assert/strict";
import { progressOf } from "./progress.ts";

const counts = { phase: "copying-rows", parts: 100, partsDone: 50, seconds: 20 };

Deno.test("progressOf() tells time left by bytes where parts are large", () => {
  const { bytesPerSecond, secondsLeft } = progressOf({
    ...{ ...counts, bytes: 8000e6, bytesDone: 2000e6 },
  });
  assert.equal(bytesPerSecond, 100e6);
  assert.ok(secondsLeft! > 55 && secondsLeft! <= 60, `${secondsLeft} s`);
});

Deno.test("progressOf() tells time left by parts where they are small, however wrong bytes were estimated", () => {
  const { secondsLeft } = progressOf({ ...counts, bytes: 10e6, bytesDone: 0.5e6 });
  assert.ok(secondsLeft! >= 20 && secondsLeft! <= 24, `${secondsLeft} s`);
});

Deno.test("progressOf() knows no time left before bytes have moved, nor without an estimate", () => {
  assert.equal(progressOf({ ...counts, bytes: 1e6, bytesDone: 0 }).secondsLeft, null);
  assert.equal(progressOf({ ...counts, bytes: 1e6, bytesDone: 5e5, seconds: 0 }).secondsLeft, null);
  assert.equal(progressOf({ ...counts, bytes: 0, bytesDone: 5e5 }).secondsLeft, null);
});

Deno.test("progressOf() says no time is left at the end, also where more came than was expected", () => {
  const { secondsLeft, bytesTotal } = progressOf({
    ...{ ...counts, partsDone: 100, bytes: 1e6, bytesDone: 2e6 },
  });
  assert.deepEqual([secondsLeft, bytesTotal], [0, 2e6]);
});
