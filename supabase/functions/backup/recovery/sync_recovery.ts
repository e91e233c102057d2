/**
 * Brings plans and executions from storage into the tables: after the database was away, emptied or new.
 *
 * @module
 */
import { toBackupError } from "../core/errors.ts";
import { momentOfJobId } from "../core/ids.ts";
import { type Execution, hasEnded } from "../core/recovery.ts";
import type { Repository } from "../repository/mod.ts";
import type { Deps } from "../usecases/deps.ts";
import { endOf } from "./execution.ts";
import { Journal, type JournaledExecution, journaledIds, readJournal } from "./journal.ts";
import { bringPlans } from "./plans.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** A journal without an end that has been silent for so long has lost its worker. */
const SILENT_MS = DAY_MS;

/**
 * What was brought.
 *
 * @param days executions of so many days are looked for: the tables do not keep older ones
 * @throws `database_unreachable`, `not_found` without tables, `storage_*`
 */
export async function syncRecovery(
  deps: Deps,
  { days }: { days: number },
): Promise<{ plans: string[]; executions: string[] }> {
  const plans = await bringPlans(deps);
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const since = deps.clock.now().getTime() - days * DAY_MS;
  const ids = (await journaledIds(repository))
    .filter((id) => (momentOfJobId(id)?.getTime() ?? 0) >= since);
  const known = await deps.state.executions.ended(ids);
  const executions: string[] = [];
  for (const id of ids.filter((each) => !known.has(each))) {
    try {
      if (await bringExecution(deps, repository, id)) executions.push(id);
    } catch (error) {
      // A journal that is damaged stands against no other.
      const failure = toBackupError(error);
      if (!failure.code.startsWith("object_")) throw failure;
      deps.reportError(failure, `journal of ${id}`);
    }
  }
  return { plans, executions };
}

async function bringExecution(deps: Deps, repository: Repository, id: string): Promise<boolean> {
  const journaled = await readJournal(repository, id);
  const ended = journaled === null ? null : await ending(deps, journaled);
  if (journaled === null || ended === null) return false;
  return await write(deps, { execution: ended, plan: journaled.plan });
}

/** Writes an execution that has ended, and that its plan has been run. */
async function write(deps: Deps, { execution, plan }: JournaledExecution): Promise<boolean> {
  if (!await deps.state.executions.write({ execution, plan })) return false;
  const { status, completedAt } = execution;
  if (status === "success") await deps.state.plans.markTested(plan.id, completedAt!);
  return true;
}

/** Executions that this process ran while the tables were out of reach. @returns ids */
export async function recordRemembered(deps: Deps): Promise<string[]> {
  const recorded: string[] = [];
  for (const [id, { execution, plan }] of deps.recovery.executions) {
    if (!hasEnded(execution)) continue;
    try {
      if (!await write(deps, { execution, plan })) continue;
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
