/**
 * Which holder a backup has, and one door to both.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { pinSettings } from "../postgres/pinned_settings.ts";
import type { Session } from "../postgres/session.ts";
import { keeperHolder, type KeeperHolderOptions } from "./keeper.ts";
import { hasCron } from "./keeper_list.ts";
import type { HeldSnapshot, SnapshotHolder } from "./snapshot_holder.ts";
import { sessionHolder } from "./snapshot_session.ts";
import { describeWaiters, findWaiters } from "./snapshot_waiters.ts";

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
  /** Whoever waits longer than this behind the backup's locks makes it give way. @default never */
  yieldAfterMs?: number | null;
}

/** A holder that chooses its strategy when it opens, and knows moments of both. */
export function createSnapshotHolder(options: SnapshotHolderOptions): SnapshotHolder {
  const holders = { session: sessionHolder(options), keeper: keeperHolder(options) };
  const yieldAfterMs = options.yieldAfterMs ?? null;
  const close = (held: HeldSnapshot) => holders[held.strategy].close(held);
  return {
    async open(moment) {
      const session = await options.connect();
      let strategy: HeldSnapshot["strategy"];
      try {
        await pinSettings(session);
        strategy = await chooseStrategy(session, options);
      } finally {
        await session.close();
      }
      return await holders[strategy].open(moment);
    },
    async check(session, held) {
      await holders[held.strategy].check(session, held);
      if (yieldAfterMs === null) return;
      const waiters = (await findWaiters(session, held))
        .filter((waiter) => waiter.waitedMs >= yieldAfterMs);
      if (waiters.length === 0) return;
      await close(held);
      throw new BackupError(
        "snapshot_lost",
        `Cannot go on with the backup's moment: it gave way to others (${
          describeWaiters(waiters)
        })`,
        { hint: "The backup has to begin again; what it has stored is not stored twice." },
      );
    },
    close,
  };
}
