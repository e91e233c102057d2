/**
 * A job whose definition holds connections from when it is made: a worker that has left the job, or lost a
 * connection, goes on with new ones.
 *
 * @module
 */
import { toBackupError } from "../core/errors.ts";
import type { JobDefinition } from "./job_definition.ts";

/** What can be made anew: nothing of the job is freed at its end but by leaving. */
export type Reopened = Omit<JobDefinition, "end">;

/**
 * Opens at once, and again for the first part after the worker has left the job or the database was out of
 * reach. What was lost is freed with the rest when the worker leaves.
 *
 * @param open makes the definition with its connections
 * @throws what `open` throws
 */
export async function reopening(open: () => Promise<Reopened>): Promise<JobDefinition> {
  const opened = new Set<Reopened>();
  let current: Promise<Reopened> | null = null;
  const make = () => {
    const making = open().then(
      (made) => {
        opened.add(made);
        return made;
      },
      (error) => {
        if (current === making) current = null;
        throw error;
      },
    );
    return making;
  };
  const first = await (current = make());
  return {
    ...first,
    async run(lease, context) {
      const used = current ??= make();
      try {
        return await (await used).run(lease, context);
      } catch (error) {
        // Parts beside this one may have opened another already.
        if (current === used && isLost(error)) current = null;
        throw error;
      }
    },
    async leave() {
      current = null;
      const left = [...opened];
      opened.clear();
      await Promise.all(left.map((each) => each.leave?.()));
    },
  };
}

function isLost(error: unknown): boolean {
  return toBackupError(error).code === "database_unreachable";
}
