/**
 * What an action is: the one description from which routing, validation and the OpenAPI document come.
 *
 * @module
 */
import { z } from "zod";
import { isFinished, type Job, JOB_KINDS, type JobError } from "../core/job.ts";
import type { Caller, Deps } from "../usecases/deps.ts";

/** Why somebody asks for something; kept with what comes of it, in a database that takes no NUL. */
export const reasonSchema = z.string().min(1).max(500)
  .refine((text) => !text.includes("\0"), "holds a NUL character").optional();

/** What an action answers. */
export interface Answer {
  /** 202: taken on, not finished yet. 500: what was waited for has failed. 503: what was found is a failure. */
  status: 200 | 202 | 500 | 503;
  data: unknown;
  /** Why it has failed, with 500 and 503. */
  error?: JobError | null;
}

/** An action of the menu. */
export interface Action {
  name: string;
  method: "GET" | "POST";
  /** One line for the list of actions. */
  summary: string;
  /** Fields of the query (GET) or of the body (POST); strict. */
  input: z.ZodObject;
  /** What `data` of the answer holds. */
  output: z.ZodType;
  /** Takes `wait=<seconds>` in the query and answers 202 while what was started goes on. */
  long: boolean;
  /** The answer, for a long action after at most so many seconds, from what `run` has given. */
  settle(deps: Deps, data: unknown, waitSeconds: number): Promise<Answer>;
  /** Answers 202: what was asked for goes on after the answer. */
  accepted: boolean;
  /** May answer 503 with its data, when what was found is a failure in itself. */
  judges: boolean;
  /** Whether a request needs the administrator's key besides, where one is set. */
  needsAdmin(input: Record<string, unknown>): boolean;
  run(deps: Deps, input: Record<string, unknown>, caller: Caller): Promise<unknown>;
}

/** Declares an action with the types of its schema, and forgets them for the list. */
export function defineAction<Input extends z.ZodObject>(definition: {
  name: string;
  method: "GET" | "POST";
  summary: string;
  input: Input;
  output: z.ZodType;
  /** @default false */
  accepted?: boolean;
  /** Why what was found is a failure in itself; null when it is none. @default null */
  failure?: (data: unknown) => JobError | null;
  needsAdmin?: (input: z.infer<Input>) => boolean;
  run(deps: Deps, input: z.infer<Input>, caller: Caller): Promise<unknown>;
}): Action {
  const { needsAdmin = () => false, accepted = false, failure, run, ...rest } = definition;
  return {
    ...rest,
    long: false,
    settle(_deps, data) {
      const error = failure?.(data) ?? null;
      if (error !== null) return Promise.resolve({ status: 503, data, error });
      return Promise.resolve({ status: accepted ? 202 : 200, data });
    },
    accepted,
    judges: failure !== undefined,
    needsAdmin: (input) => needsAdmin(input as z.infer<Input>),
    run: (deps, input, caller) => run(deps, input as z.infer<Input>, caller),
  };
}

/** Declares an action that starts a job; its data is the job. */
export function defineLongAction<Input extends z.ZodObject>(
  definition: Omit<Parameters<typeof defineAction<Input>>[0], "output" | "run"> & {
    run(deps: Deps, input: z.infer<Input>, caller: Caller): Promise<Job>;
  },
): Action {
  return {
    ...defineAction({ ...definition, output: jobSchema }),
    long: true,
    settle: (deps, data, waitSeconds) => answerJob(deps, data as Job, waitSeconds),
  };
}

/** Absent fields are absent, not undefined: what is not said has its default further down. */
export function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

/** Answers with the job as it is after at most so many seconds. */
export async function answerJob(deps: Deps, job: Job, waitSeconds: number): Promise<Answer> {
  const now = waitSeconds === 0 ? job : await deps.jobs.wait(job.jobId, waitSeconds * 1000) ?? job;
  if (!isFinished(now)) return { status: 202, data: { ...now } };
  if (now.status === "completed") return { status: 200, data: { ...now } };
  return { status: 500, data: { ...now }, error: now.error };
}

/** A job in an answer. */
export const jobSchema = z.object({
  jobId: z.string().describe("Of a backup it is the backup's id, too."),
  kind: z.enum(JOB_KINDS).describe("What the job does."),
  type: z.enum(["database", "function", "config", "secrets", "files"])
    .describe("What a backup or restore is of; of other kinds it says nothing."),
  status: z.enum(["pending", "running", "completed", "failed", "cancelled"]),
  backupId: z.string().nullable().describe("What is made or restored; latest until it is known."),
  startedAt: z.iso.datetime(),
  completedAt: z.iso.datetime().nullable().describe("Null while it goes on."),
  reason: z.string().nullable(),
  createdBy: z.string().nullable().describe("Name of the key that asked."),
  recoveryPointId: z.string().nullable().describe("The recovery point that it is made for."),
  sizeBytes: z.number().nullable().describe("What was backed up, before compression."),
  checksum: z.string().nullable().describe("Keyed hash of the backup's whole content."),
  location: z.string().nullable().describe("Where the backup is."),
  error: z.object({
    code: z.string(),
    message: z.string(),
    hint: z.string().optional(),
    details: z.record(z.string(), z.unknown()).optional(),
  }).nullable().describe("Why it failed: code, message, hint and details."),
  progress: z.object({
    phase: z.string(),
    partsDone: z.number(),
    partsTotal: z.number(),
    bytesDone: z.number(),
    bytesTotal: z.number().nullable(),
    bytesPerSecond: z.number().nullable().optional(),
    secondsLeft: z.number().nullable().optional(),
  }).nullable().describe("Phase, parts and bytes done of how many, and seconds left by that."),
  result: z.record(z.string(), z.unknown()).nullable()
    .describe("Of a backup its totals and remarks, of a restore its plan and comparison."),
  recorded: z.boolean().describe("Whether the tables have it; false while the database is down."),
}).meta({ id: "Job" });
