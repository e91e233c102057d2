/**
 * Starts a job for a caller who may ask again without knowing that he did: the same key finds the same job.
 *
 * @module
 */
import { toHex, utf8 } from "../../core/bytes.ts";
import { BackupError, toBackupError } from "../../core/errors.ts";
import { newJobId } from "../../core/ids.ts";
import type { Job, JobType } from "../../core/job.ts";
import type { Deps } from "../deps.ts";
import { getJob } from "./get_job.ts";

/** Jobs of one key that may fail, each tried anew by the next call. */
const MOST_JOBS = 20;

/** A job that is to be there once. */
export interface KeyedJob {
  /** Names the wish: a job of the same key is the same job, until it has failed. */
  key: string;
  kind: "backup" | "restore";
  type: JobType;
  /** For a job that only looks: once it has ended the next call looks anew. @default false */
  freshly?: boolean;
}

/**
 * The job of the key: the one that runs or is over, or a new one where there is none or all have failed. One
 * that was cancelled stays what it is.
 *
 * @param wish `start` starts the job under the id that it is given
 * @throws what `start` throws; `conflict` when too many have failed
 */
export async function startOnce(
  deps: Deps,
  wish: KeyedJob & { start(jobId: string): Promise<Job> },
): Promise<Job> {
  const { job, freeId } = await look(deps, wish);
  return job ?? await wish.start(freeId);
}

/** The job of the key that runs, was done or was cancelled; null where there is none such. */
export async function findOnce(deps: Deps, wish: KeyedJob): Promise<Job | null> {
  return (await look(deps, wish)).job;
}

async function look(deps: Deps, wish: KeyedJob): Promise<{ job: Job | null; freeId: string }> {
  for (let number = 1; number <= MOST_JOBS; number++) {
    const freeId = await idOf(wish, number);
    const job = await find(deps, freeId, wish.kind);
    if (job === null || !isOver(job, wish)) return { job, freeId };
  }
  throw new BackupError("conflict", `Cannot start again: ${MOST_JOBS} such jobs have ended`, {
    hint: "Look at how they ended (action=jobs), and ask anew.",
  });
}

/** Whether the job is of no use to who asks now. */
function isOver(job: Job, { freshly = false }: KeyedJob): boolean {
  return job.status === "failed" || (freshly && job.status === "completed");
}

/** Ids tell a moment; a key that tells one gives it, so that it is the same each time. */
async function idOf({ key, kind, type }: KeyedJob, number: number): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(utf8(`${key}\n${number}`)));
  const mark = toHex(new Uint8Array(digest)).slice(0, 10);
  return newJobId(kind, momentOf(key), type).slice(0, -mark.length) + mark;
}

function momentOf(key: string): Date {
  const [, day, time] = /(\d{8})T(\d{9})Z/.exec(key) ?? [];
  const iso = `${day}T${time}`.replace(
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})$/,
    "$1-$2-$3T$4:$5:$6.$7Z",
  );
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? new Date(0) : at;
}

async function find(deps: Deps, jobId: string, kind: KeyedJob["kind"]): Promise<Job | null> {
  try {
    return await getJob(deps, jobId, kind);
  } catch (error) {
    const { code } = toBackupError(error);
    // Without tables only this process knows of jobs, and it said that it does not.
    if (["not_found", "database_unreachable"].includes(code)) return null;
    throw error;
  }
}
