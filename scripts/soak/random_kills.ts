/**
 * Kills workers of the played platform at random moments.
 *
 * @module
 */
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { HostedPlatform } from "../../tests/support/hosted_platform.ts";
import { randomFrom } from "../../tests/support/random_from.ts";

/** How to kill. */
export interface KillOptions {
  seed: number;
  /** Milliseconds between two kills, at least and at most. */
  betweenMs: readonly [number, number];
  /** At most so many. */
  most: number;
  /** Whether there is something to lose yet; nobody is killed before. @default always */
  isUnderWay?: () => Promise<boolean>;
}

/** Begins to kill workers that work. `stop` ends that and says how many died. */
export function killAtRandom(
  platform: HostedPlatform,
  { seed, betweenMs: [least, most], most: limit, isUnderWay }: KillOptions,
): { stop(): Promise<number> } {
  const random = randomFrom(seed);
  const stopping = new AbortController();
  const { signal } = stopping;
  const kill = async () => {
    let kills = 0;
    while (kills < limit) {
      await systemClock.sleep(least + random() * (most - least), signal).catch(() => {}); // stopped
      if (signal.aborted) break;
      const may = await isUnderWay?.() ?? true;
      if (may && !signal.aborted && platform.killOne()) kills += 1;
    }
    return kills;
  };
  const killing = kill();
  killing.catch(() => {}); // told by stop()
  return {
    async stop() {
      stopping.abort();
      return await killing;
    },
  };
}
