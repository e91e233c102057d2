/**
 * What a job is made of, of whichever kind it is.
 *
 * @module
 */
import type { StartedJob } from "./core/part.ts";
import type { JobDefinition } from "./jobs/job_definition.ts";
import { type AskedExecution, defineExecution } from "./recovery/define_execution.ts";
import type { Deps } from "./usecases/deps.ts";
import { definitionOf } from "./usecases/jobs/definition_of.ts";

/** An execution of a plan, or work of the use-cases. @throws as they do */
export async function defineJob(deps: Deps, started: StartedJob): Promise<JobDefinition> {
  const { job, request } = started;
  return job.kind === "recovery"
    ? defineExecution(deps, request as unknown as AskedExecution)
    : await definitionOf(deps, started);
}
