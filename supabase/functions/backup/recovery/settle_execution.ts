/**
 * What the caller of a trigger is told after a while.
 *
 * @module
 */
import { type Execution, hasEnded } from "../core/recovery.ts";
import type { Deps } from "../usecases/deps.ts";
import { getExecution } from "./read_executions.ts";
import type { StartedExecution } from "./start_execution.ts";

/** The answer to a trigger. */
export interface ExecutionAnswer extends Execution {
  /** The job that runs it. */
  jobId: string;
  joined: boolean;
  commandLine: string | null;
}

/** The execution as it begins. */
export function answerOf({ execution, joined, commandLine }: StartedExecution): ExecutionAnswer {
  return { ...execution, jobId: execution.executionId, joined, commandLine };
}

/** The execution as it is after at most so many seconds. */
export async function settleExecution(
  deps: Deps,
  answer: ExecutionAnswer,
  waitSeconds: number,
): Promise<ExecutionAnswer> {
  if (hasEnded(answer) || waitSeconds === 0) return answer;
  await deps.jobs.wait(answer.executionId, waitSeconds * 1000);
  return { ...answer, ...await getExecution(deps, answer.executionId) };
}
