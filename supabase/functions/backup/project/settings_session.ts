/**
 * A session for reading settings out of a database.
 *
 * @module
 */
import { pinSettings, refuseViewsOfUsers } from "../postgres/pinned_settings.ts";
import type { Session } from "../postgres/session.ts";

/** Opens a session. */
export type Connect = () => Promise<Session>;

/**
 * Works in a session of its own; what was not committed when it ends is rolled back.
 *
 * @param options.views whether views may be read, for one that an extension of the platform brings
 */
export async function withSession<T>(
  connect: Connect,
  work: (session: Session) => Promise<T>,
  { views = false }: { views?: boolean } = {},
): Promise<T> {
  const session = await connect();
  try {
    await pinSettings(session);
    if (!views) await refuseViewsOfUsers(session);
    return await work(session);
  } finally {
    await session.close();
  }
}
