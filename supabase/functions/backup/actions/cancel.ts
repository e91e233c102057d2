/** @module */
import { z } from "zod";
import { cancelJob } from "../usecases/jobs/cancel_job.ts";
import { defineAction, jobSchema } from "./action.ts";

/** Stops a job cleanly. */
export const cancel = defineAction({
  name: "cancel",
  method: "POST",
  summary: "Stop a running job cleanly.",
  input: z.strictObject({ jobId: z.string().min(1).max(255) }),
  output: jobSchema,
  run: (deps, { jobId }, caller) => cancelJob(deps, caller, jobId),
});
