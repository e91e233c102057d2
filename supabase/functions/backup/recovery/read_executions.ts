/**
 * Lists executions and finds one: in the tables, else in storage and in this process.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { isJobId } from "../core/ids.ts";
import type { Execution } from "../core/recovery.ts";
import type { ExecutionFilter } from "../state/recovery_executions.ts";
import type { Deps } from "../usecases/deps.ts";
import { journaledIds, readJournal } from "./journal.ts";
import { refuseOther } from "./record_execution.ts";

/** A page of executions. `from` says where the list comes from. */
export interface ExecutionPage {
  executions: Execution[];
  total: number;
  limit: number;
  offset: number;
  from: "tables" | "storage";
}

/** Executions, newest first. */
export async function listExecutions(deps: Deps, filter: ExecutionFilter): Promise<ExecutionPage> {
  const { limit, offset } = filter;
  try {
    const page = await deps.state.executions.list(filter);
    return { ...page, limit, offset, from: "tables" };
  } catch (error) {
    refuseOther(deps, error);
    const all = (await outsideTables(deps)).filter((each) => matches(each, filter));
    const executions = all.slice(offset, offset + limit);
    return { executions, total: all.length, limit, offset, from: "storage" };
  }
}

/** One execution's report. @throws `not_found` */
export async function getExecution(deps: Deps, executionId: string): Promise<Execution> {
  const here = deps.recovery.executions.get(executionId)?.execution;
  if (here !== undefined) return here;
  const found = isExecutionId(executionId) ? await find(deps, executionId) : null;
  if (found !== null) return found;
  throw new BackupError("not_found", "Cannot find the execution: there is none of this id", {
    hint: "List them with action=executions.",
    details: { executionId },
  });
}

/** Whether the text has the form of an execution's id. */
function isExecutionId(text: string): boolean {
  return isJobId(text) && text.startsWith("recovery_");
}

async function find(deps: Deps, executionId: string): Promise<Execution | null> {
  try {
    return await deps.state.executions.get(executionId);
  } catch (error) {
    refuseOther(deps, error);
    const all = await outsideTables(deps, executionId);
    return all.find((each) => each.executionId === executionId) ?? null;
  }
}

/** What storage and this process know, newest first. */
async function outsideTables(deps: Deps, only?: string): Promise<Execution[]> {
  const here = [...deps.recovery.executions.values()].map(({ execution }) => execution);
  const known = new Set(here.map(({ executionId }) => executionId));
  const stored = await journaled(deps, { only, known });
  return [...here, ...stored].sort((a, b) => (a.executionId < b.executionId ? 1 : -1));
}

/** Journals that are read at most, the newest. */
const NEWEST = 50;

async function journaled(
  deps: Deps,
  { only, known }: { only: string | undefined; known: ReadonlySet<string> },
): Promise<Execution[]> {
  try {
    const { settings } = await deps.settings();
    const repository = await deps.openRepository(settings);
    const ids = only === undefined ? (await journaledIds(repository)).slice(-NEWEST) : [only];
    const found: Execution[] = [];
    for (const id of ids.filter((each) => !known.has(each))) {
      const journal = await readJournal(repository, id);
      if (journal !== null) found.push({ ...journal.execution, recorded: false });
    }
    return found;
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    deps.reportError(error, "read the journals of executions");
    return [];
  }
}

function matches(
  { planId, status, mode, trigger }: Execution,
  filter: ExecutionFilter,
): boolean {
  return (filter.planId ?? planId) === planId && (filter.status ?? status) === status &&
    (filter.mode ?? mode) === mode && (filter.trigger ?? trigger) === trigger;
}
