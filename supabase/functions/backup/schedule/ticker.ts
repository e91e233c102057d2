/**
 * The clock of a process that lives on: a server, `task serve`. On the platform the database is the clock.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { toBackupError } from "../core/errors.ts";
import { tick } from "../usecases/service/tick.ts";
import type { Deps } from "../usecases/deps.ts";
import { upgradeTables } from "../usecases/service/upgrade_tables.ts";

/** A running clock. */
export interface Ticker {
  /** Stops it; a tick that runs ends first. */
  stop(): Promise<void>;
}

/** Ticks at once and then again and again. */
export function startTicker(
  deps: Deps,
  { everyMs = 15_000, clock = deps.clock }: { everyMs?: number; clock?: Clock } = {},
): Ticker {
  const end = new AbortController();
  const running = (async () => {
    let lastCode: string | null = null;
    while (!end.signal.aborted) {
      try {
        await upgradeTables(deps, { name: "(clock)", requestId: "clock" });
        await tick(deps, { depth: 0 });
        lastCode = null;
      } catch (thrown) {
        const error = toBackupError(thrown);
        // A database that is down is said once and not every time.
        // Before init there is nothing to go on with, and that is no error.
        if (error.code !== lastCode && error.code !== "not_found") {
          deps.reportError(error, "ticker");
        }
        lastCode = error.code;
      }
      await clock.sleep(everyMs, end.signal).catch(() => {}); // stopped
    }
  })();
  return {
    async stop() {
      end.abort();
      await running;
    },
  };
}
