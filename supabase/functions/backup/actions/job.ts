/** @module */
import { z } from "zod";
import { JOB_KINDS } from "../core/job.ts";
import { getJob } from "../usecases/jobs/get_job.ts";
import { goOn } from "../usecases/jobs/go_on.ts";
import { defineAction, jobSchema } from "./action.ts";

/** One job with its progress. */
export const job = defineAction({
  name: "job",
  method: "GET",
  summary: "One job with its progress, its result or its error.",
  input: z.strictObject({
    jobId: z.string().min(1).max(255),
    type: z.enum(JOB_KINDS).optional(),
  }),
  output: jobSchema,
  run: async (deps, { jobId, type }) => {
    const found = await getJob(deps, jobId, type);
    goOn(deps, [found]);
    return found;
  },
});
