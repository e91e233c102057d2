/**
 * What a job is made of, by what was asked for when it began: any worker can go on with it.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { JobDefinition } from "../jobs/job_definition.ts";
import type { Deps } from "./deps.ts";

/** @throws `not_found` when there is no such job, `internal` when no part of it is known here */
export async function definitionOf(deps: Deps, jobId: string): Promise<JobDefinition> {
  const started = await deps.state.parts.find(jobId);
  if (started === null) {
    throw new BackupError("not_found", `Cannot go on with ${jobId}: there is no such job`);
  }
  throw new BackupError(
    "internal",
    `Cannot go on with ${jobId}: no job of its kind is made of parts`,
  );
}
