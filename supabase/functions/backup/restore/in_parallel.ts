/**
 * Runs work on several sessions, or in several threads, at once, in an order that the work itself allows.
 *
 * @module
 */
/** Where the next piece of work comes from. */
export interface WorkSource<T> {
  /** The next item that may start now; `wait` when one must end first; `done` when nothing is left. */
  next(): { item: T } | "wait" | "done";
  /** Called when an item has ended. */
  ended(item: T): void;
}

/**
 * Gives every free lane (a session, or a thread's place) the next item until nothing is left. After the first failure nothing new
 * starts; the failure is thrown when what runs has ended.
 */
export async function inParallel<Lane, T>(
  lanes: readonly Lane[],
  source: WorkSource<T>,
  work: (lane: Lane, item: T) => Promise<void>,
): Promise<void> {
  const failures: unknown[] = [];
  let wake = Promise.withResolvers<void>();
  const run = async (lane: Lane) => {
    while (failures.length === 0) {
      const next = source.next();
      if (next === "done") return;
      if (next === "wait") {
        await wake.promise;
        continue;
      }
      try {
        await work(lane, next.item);
      } catch (error) {
        failures.push(error);
      }
      source.ended(next.item);
      wake.resolve();
      wake = Promise.withResolvers<void>();
    }
  };
  await Promise.all(lanes.map(run));
  if (failures.length > 0) throw failures[0];
}

/** A source that gives the items of a list in order. */
export function listSource<T>(items: readonly T[]): WorkSource<T> {
  let at = 0;
  return {
    next: () => at < items.length ? { item: items[at++]! } : "done",
    ended: () => {},
  };
}
