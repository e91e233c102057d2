/**
 * Brings plans and executions from storage into the tables: after the database was away, emptied or new.
 *
 * @module
 */
import { toBackupError } from "../core/errors.ts";
import { momentOfJobId } from "../core/ids.ts";
import { type Execution, hasEnded } from "../core/recovery.ts";
import type { Deps } from "../usecases/deps.ts";
import { endOf } from "./execution.ts";
import { Journal, type JournaledExecution, journaledIds, readJournal } from "./journal.ts";
import { bringPlans } from "./plans.ts";

/** Executions that are looked at, the newest: older ones were brought by an earlier look, or are pruned. */
const NEWEST = 500;

/** A journal without an end that has been silent for so long has lost its worker. */
const SILENT_MS = 24 * 60 * 60 * 1000;

/** What was brought. @throws `database_unreachable`, `not_found` without tables, `storage_*` */
export async function syncRecovery(
  deps: Deps,
): Promise<{ plans: string[]; executions: string[] }> {
  const plans = await bringPlans(deps);
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const ids = (await journaledIds(repository)).slice(-NEWEST);
  const known = await deps.state.executions.ended(ids);
  const executions: string[] = [];
  for (const id of ids.filter((each) => !known.has(each))) {
    const journaled = await readJournal(repository, id);
    if (journaled === null) continue;
    const ended = await ending(deps, journaled);
    if (ended === null) continue;
    const { plan } = journaled;
    if (!await deps.state.executions.write({ execution: ended, plan })) continue;
    if (ended.status === "success") await deps.state.plans.markTested(plan.id, ended.completedAt!);
    executions.push(id);
  }
  return { plans, executions };
}

/** Executions that this process ran while the tables were out of reach. @returns ids */
export async function recordRemembered(deps: Deps): Promise<string[]> {
  const recorded: string[] = [];
  for (const [id, { execution, plan }] of deps.recovery.executions) {
    if (!hasEnded(execution)) continue;
    try {
      if (!await deps.state.executions.write({ execution, plan })) continue;
      deps.recovery.executions.delete(id);
      recorded.push(id);
    } catch (error) {
      deps.reportError(toBackupError(error), `record of ${id}`);
    }
  }
  return recorded;
}

/** The execution if it is over, or must be taken for lost; null while somebody may be at it. */
async function ending(
  deps: Deps,
  { execution, plan }: JournaledExecution,
): Promise<Execution | null> {
  if (hasEnded(execution)) return execution;
  const now = deps.clock.now();
  const began = momentOfJobId(execution.executionId) ?? now;
  if (now.getTime() - began.getTime() < SILENT_MS) return null;
  const stopped = {
    code: "interrupted",
    message: "Cannot finish the execution: the worker that ran it is gone",
  };
  const end = await new Journal(deps, execution.executionId).end(
    endOf(execution, { plan, at: now, stopped }),
  );
  return { ...execution, ...end };
}
