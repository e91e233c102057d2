/**
 * Kills workers of the played platform at random moments.
 *
 * @module
 */
import type { HostedPlatform } from "../../tests/support/hosted_platform.ts";
import { randomFrom } from "../../tests/support/random_from.ts";

/** How to kill. */
export interface KillOptions {
  seed: number;
  /** Milliseconds between two kills, at least and at most. */
  betweenMs: readonly [number, number];
  /** At most so many. */
  most: number;
}

/** Begins to kill workers that work. `stop` ends that and says how many died. */
export function killAtRandom(
  platform: HostedPlatform,
  { seed, betweenMs: [least, most], most: limit }: KillOptions,
): { stop(): number } {
  const random = randomFrom(seed);
  let kills = 0;
  let timer: ReturnType<typeof setTimeout>;
  const next = () => {
    timer = setTimeout(() => {
      if (kills < limit && platform.killOne()) kills += 1;
      next();
    }, least + random() * (most - least));
  };
  next();
  return {
    stop() {
      clearTimeout(timer);
      return kills;
    },
  };
}
