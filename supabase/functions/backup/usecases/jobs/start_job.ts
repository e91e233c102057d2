/**
 * Starts a use-case as a job and audits its beginning; its end is audited by whoever sees it.
 *
 * @module
 */
import type { Job, JobType, NewJob } from "../../core/job.ts";
import { toJson } from "../../core/json.ts";
import type { NewPart } from "../../core/part.ts";
import type { Settings } from "../../core/settings.ts";
import type { Caller, Deps } from "../deps.ts";
import type { JobRequest } from "./job_request.ts";
import { recordAudit } from "./record_audit.ts";

/** Tries of one part: with the pauses between them about a minute. */
const MAX_ATTEMPTS = 8;

/** Times that a job may begin: each time migrations or lost moments were in its way. */
const MAX_ROUNDS = 5;

/** Jobs that ask the Management API, which counts requests: a second worker would only double its questions. */
const OF_MANAGEMENT: readonly JobType[] = ["function", "config", "secrets"];

/** What is started. */
export interface StartedAction {
  action: string;
  job: NewJob;
  request: JobRequest;
  first: readonly NewPart[];
  /** It goes before others. @default false */
  isHigh?: boolean;
  /** For the audit log. */
  details: Record<string, unknown>;
}

/** @throws `conflict` when a job runs that this one cannot run beside */
export async function startJob(
  deps: Deps,
  caller: Caller,
  { settings, start }: { settings: Settings; start: StartedAction },
): Promise<Job> {
  const { action, details, first, request, isHigh = false } = start;
  const asked = { caller: { name: caller.name, requestId: caller.requestId }, action, ...request };
  const job = await deps.jobs.start({
    job: start.job,
    request: toJson(asked),
    first,
    bounds: {
      maxWorkers: OF_MANAGEMENT.includes(start.job.type) ? 1 : settings.maxWorkers,
      maxAttempts: MAX_ATTEMPTS,
      maxRounds: MAX_ROUNDS,
      priority: isHigh ? 1 : 0,
    },
    concurrency: settings.databaseConnections,
  });
  await recordAudit(deps, caller, { action, subject: job.jobId, outcome: "accepted", details });
  return job;
}
