/**
 * Work in a session that can be taken back.
 *
 * @module
 */
import { DatabaseError } from "../../postgres/database_error.ts";
import type { Session } from "../../postgres/session.ts";

/** Thrown by work that is to be taken back without the server's having reported an error. */
export class TakeBack extends Error {}

/** Takes back what failed, so that the session can go on. @throws what the work threw */
export async function inSavepoint<T>(session: Session, work: () => Promise<T>): Promise<T> {
  await session.execute("SAVEPOINT part");
  try {
    const result = await work();
    await session.execute("RELEASE SAVEPOINT part");
    return result;
  } catch (error) {
    if (error instanceof TakeBack || (error instanceof DatabaseError && !error.fatal)) {
      await session.execute("ROLLBACK TO SAVEPOINT part; RELEASE SAVEPOINT part");
    }
    throw error;
  }
}
