/** @module */
import { z } from "zod";
import { JOB_KINDS, JOB_STATUSES, JOB_TYPES } from "../core/job.ts";
import { goOn } from "../usecases/jobs/go_on.ts";
import { listJobs } from "../usecases/jobs/list_jobs.ts";
import { defineAction, jobSchema } from "./action.ts";

/** Lists jobs, newest first. */
export const jobs = defineAction({
  name: "jobs",
  method: "GET",
  summary: "Jobs of a kind, newest first; type=backup (the default), restore, verify, cleanup, " +
    "replicate or recovery. Long fields of results are left out and named in `shortened`; action=job has them.",
  input: z.strictObject({
    type: z.enum(JOB_KINDS).default("backup"),
    status: z.enum(JOB_STATUSES).optional(),
    of: z.enum(JOB_TYPES).optional().describe("What is backed up or restored."),
    limit: z.coerce.number().int().min(1).max(200).default(50),
    offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
  }),
  output: z.object({
    jobs: z.array(jobSchema),
    total: z.number(),
    limit: z.number(),
    offset: z.number(),
    from: z.enum(["tables", "storage"]),
  }),
  run: async (deps, { type, status, of, limit, offset }) => {
    const page = await listJobs(deps, {
      kind: type,
      limit,
      offset,
      ...(status === undefined ? {} : { status }),
      ...(of === undefined ? {} : { type: of }),
    });
    goOn(deps, page.jobs);
    return page;
  },
});
