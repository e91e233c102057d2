/**
 * The end of work that is done in one transaction or not at all.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import type { Session } from "../postgres/session.ts";

/**
 * Commits.
 *
 * @param lost in words what nobody can tell once the server's answer is lost, and what to do then
 * @throws what the server refused, or that its answer was lost: then it has committed or it has not
 */
export async function commitAll(
  session: Session,
  lost: { whether: string; hint: string },
): Promise<void> {
  try {
    await session.execute("COMMIT");
  } catch (error) {
    const isRefused = error instanceof DatabaseError && !error.fatal;
    if (isRefused || !(error instanceof BackupError)) throw error;
    throw new BackupError(
      error.code,
      `Cannot tell whether ${lost.whether}: the connection was lost during COMMIT`,
      { hint: lost.hint, details: { outcome: "unknown" }, cause: error },
    );
  }
}

/** What is told of such work that has failed: that it was cancelled, where it was and is undone for certain. */
export function whyUndone(
  error: unknown,
  { signal, what, hint }: { signal: AbortSignal | undefined; what: string; hint?: string },
): unknown {
  const isUnknown = error instanceof BackupError && error.details?.outcome === "unknown";
  if (signal?.aborted !== true || isUnknown) return error;
  if (error instanceof BackupError && error.code === "cancelled") return error;
  return new BackupError("cancelled", `Cannot finish the ${what}: it was cancelled`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}
