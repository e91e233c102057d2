/**
 * Which holder a backup has, and one door to both.
 *
 * @module
 */
import { pinSettings } from "../postgres/pinned_settings.ts";
import type { Session } from "../postgres/session.ts";
import { keeperHolder, type KeeperHolderOptions } from "./keeper.ts";
import { hasCron } from "./keeper_list.ts";
import { KeeperMissing } from "./keeper_missing.ts";
import type { HeldSnapshot, OpenHeldOptions, SnapshotHolder } from "./snapshot_holder.ts";
import { sessionHolder } from "./snapshot_session.ts";

/**
 * The holder that fits: pg_cron's where the process may be killed and pg_cron can be had, else a
 * connection of this process. Without pg_cron a hosted backup is as good as any, as long as one worker
 * is enough for it; if not, the check says `snapshot_lost` and the backup fails.
 */
export async function chooseStrategy(
  session: Session,
  { hosted }: { hosted: boolean },
): Promise<HeldSnapshot["strategy"]> {
  return hosted && await hasCron(session) ? "keeper" : "session";
}

/** What {@linkcode createSnapshotHolder} works with. */
export interface SnapshotHolderOptions extends KeeperHolderOptions {
  /** Whether workers are killed when their limits are reached. */
  hosted: boolean;
  /** Whether this worker goes on with other parts once opening has taken so long. @default it does */
  hasTimeAfter?: (partMs: number) => boolean;
}

/**
 * A holder that chooses its strategy when it opens, and knows moments of both. Where pg_cron is there but
 * starts nothing, the worker holds the moment itself, as if there were none, and the moment says so.
 */
export function createSnapshotHolder(options: SnapshotHolderOptions): SnapshotHolder {
  const holders = { session: sessionHolder(options), keeper: keeperHolder(options) };
  const { hasTimeAfter = () => true } = options;
  const openInstead = async (missing: KeeperMissing, moment: OpenHeldOptions) => {
    moment.signal?.throwIfAborted();
    const held = await holders.session.open(moment);
    return { ...held, remark: `${missing.why}; a worker's connection held the backup's moment` };
  };
  return {
    async open(moment) {
      const startedAt = performance.now();
      const session = await options.connect();
      let strategy: HeldSnapshot["strategy"];
      try {
        await pinSettings(session);
        strategy = await chooseStrategy(session, options);
      } finally {
        await session.close();
      }
      try {
        return await holders[strategy].open(moment);
      } catch (error) {
        // A worker that would stop next would take the moment with it.
        const hasTime = () => hasTimeAfter(performance.now() - startedAt);
        if (!(error instanceof KeeperMissing) || !hasTime()) throw error;
        return await openInstead(error, moment);
      }
    },
    check: (session, held) => holders[held.strategy].check(session, held),
    close: (held) => holders[held.strategy].close(held),
  };
}
