import assert from "node:assert/strict";
import { BackupError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { Deps } from "../usecases/deps.ts";
import { startTicker } from "./ticker.ts";

Deno.test("startTicker ticks again and again, says a lasting error once, and stops", async () => {
  const reported: string[] = [];
  const outcomes = ["down", "down", "up", "down"];
  let ticks = 0;
  const enough = Promise.withResolvers<void>();
  const clock: Clock = {
    now: () => new Date(0),
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        if (ticks < outcomes.length) return resolve();
        enough.resolve();
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
  };
  // A tick asks for the settings first: all that a service whose database is down gets to.
  const deps = {
    clock,
    state: { upgrade: () => Promise.resolve([]) },
    settings() {
      const outcome = outcomes[ticks++];
      const error = outcome === "down"
        ? new BackupError("database_unreachable", "Cannot reach it")
        : new BackupError("invalid_config", "Cannot use it");
      return Promise.reject(error);
    },
    reportError: (error: BackupError) => void reported.push(error.code),
  } as unknown as Deps;
  const ticker = startTicker(deps);
  await enough.promise;
  await ticker.stop();
  assert.equal(ticks, 4);
  assert.deepEqual(reported, ["database_unreachable", "invalid_config", "database_unreachable"]);
});
