/**
 * Takes journals of old executions out of storage: they outlive the tables, and would be there for ever.
 *
 * @module
 */
import { momentOfJobId } from "../core/ids.ts";
import { mapConcurrent } from "../repository/mod.ts";
import type { Deps } from "../usecases/deps.ts";
import { journaledNames } from "./journal.ts";

/** The newest executions, which keep their journals whatever their age: how the last recoveries went. */
const ALWAYS_KEPT = 20;

/** Documents that are taken away in one go; the next one goes on. */
const MOST_REMOVED = 400;

/** Requests at once. */
const CONCURRENCY = 8;

/**
 * Takes away journals of executions that began before this moment.
 *
 * @returns how many are gone as a whole
 * @throws `storage_*`, `repository_missing`
 */
export async function pruneJournals(
  deps: Pick<Deps, "settings" | "openRepository">,
  { before }: { before: Date },
): Promise<number> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const journals = await journaledNames(repository);
  const old = [...journals.keys()].sort().slice(0, -ALWAYS_KEPT)
    .filter((id) => (momentOfJobId(id) ?? before) < before);
  let pruned = 0;
  let removed = 0;
  for (const id of old) {
    // The beginning first: what is left of a journal without one is nobody's execution.
    const [begin, ...more] = journals.get(id)!.toSorted((a, b) => rank(a) - rank(b));
    if (removed + 1 + more.length > MOST_REMOVED && removed > 0) break;
    if (!await repository.removeDocument(begin!)) continue; // a lock holds it
    const gone = await mapConcurrent(more, CONCURRENCY, (name) => repository.removeDocument(name));
    removed += 1 + more.length;
    if (gone.every((isGone) => isGone)) pruned++;
  }
  return pruned;
}

function rank(name: string): number {
  return name.endsWith("/begin") ? 0 : 1;
}
