/**
 * Which holder a backup has, and one door to both.
 *
 * @module
 */
import { pinSettings } from "../postgres/pinned_settings.ts";
import type { Session } from "../postgres/session.ts";
import { keeperHolder, type KeeperHolderOptions } from "./keeper.ts";
import { hasCron } from "./keeper_list.ts";
import type { HeldSnapshot, SnapshotHolder } from "./snapshot_holder.ts";
import { sessionHolder } from "./snapshot_session.ts";

/**
 * The holder that fits: pg_cron's where the process may be killed and pg_cron can be had, else a
 * connection of this process. Without pg_cron a hosted backup is as good as any, as long as one worker
 * is enough for it; if not, the check says `snapshot_lost` and the backup fails.
 */
async function chooseStrategy(
  session: Session,
  { hosted }: { hosted: boolean },
): Promise<HeldSnapshot["strategy"]> {
  return hosted && await hasCron(session) ? "keeper" : "session";
}

/** What {@linkcode createSnapshotHolder} works with. */
export interface SnapshotHolderOptions extends KeeperHolderOptions {
  /** Whether workers are killed when their limits are reached. */
  hosted: boolean;
}

/**
 * A holder that chooses its strategy when it opens, and knows moments of both. Where pg_cron is there but
 * starts nothing, the worker holds the moment itself, as if there were none, and the moment says so.
 */
export function createSnapshotHolder(options: SnapshotHolderOptions): SnapshotHolder {
  const holders = { session: sessionHolder(options), keeper: keeperHolder(options) };
  const choose = async (): Promise<HeldSnapshot["strategy"]> => {
    const session = await options.connect();
    try {
      await pinSettings(session);
      return await chooseStrategy(session, options);
    } finally {
      await session.close();
    }
  };
  return {
    async open(moment) {
      const { withoutKeeper: why } = moment;
      if (why === undefined) return await holders[await choose()].open(moment);
      const held = await holders.session.open(moment);
      return { ...held, remark: `${why}; a worker's connection held the backup's moment` };
    },
    check: (session, held) => holders[held.strategy].check(session, held),
    close: (held) => holders[held.strategy].close(held),
  };
}
