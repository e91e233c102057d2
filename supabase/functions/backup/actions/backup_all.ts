/** @module */
import { z } from "zod";
import { JOB_TYPES } from "../core/job.ts";
import { createPoint } from "../usecases/points/create_point.ts";
import { startPoint } from "../usecases/points/start_point.ts";
import { defineAction, jobSchema, reasonSchema } from "./action.ts";

const reason = reasonSchema;

/** Every enabled type at once, as one recovery point. */
export const backupAll = defineAction({
  name: "backup-all",
  method: "POST",
  summary: "Back up every enabled type as one recovery point. A type that fails leaves the others.",
  input: z.strictObject({ reason }),
  output: z.object({
    recoveryPointId: z.string(),
    jobs: z.array(jobSchema),
    skipped: z.array(z.object({ type: z.enum(JOB_TYPES), reason: z.string() })),
  }),
  accepted: true,
  run: (deps, { reason = null }, caller) => startPoint(deps, caller, { reason }),
});

/** A recovery point of chosen components. */
export const create = defineAction({
  name: "create",
  method: "POST",
  summary:
    "Make a recovery point of chosen components, now or at a time, and say about how long it will take.",
  input: z.strictObject({
    type: z.enum(["full", "incremental", "manual"]).describe(
      "Every backup is complete and stores only what has changed; the type is kept as its reason.",
    ),
    reason,
    includeComponents: z.array(z.enum([...JOB_TYPES, "configurations"])).min(1).max(10).optional(),
    priorityLevel: z.enum(["normal", "high"]).default("normal").describe(
      "high goes before others: it is begun first of what waits, and its parts are done first.",
    ),
    scheduleAt: z.iso.datetime({ offset: true }).optional().describe(
      "When it is to begin, as ISO 8601 with an offset; its jobs are pending until then, and cancel takes them back.",
    ),
  }),
  output: z.object({
    backupId: z.string().describe("The recovery point's id."),
    estimatedDuration: z.number().nullable().describe("Seconds, by past runs; null without any."),
    scheduledComponents: z.array(z.object({
      type: z.enum(JOB_TYPES),
      jobId: z.string(),
      status: z.string(),
      reason: z.string().nullable().describe("Why it could not be started."),
    })),
    skipped: z.array(z.object({ type: z.enum(JOB_TYPES), reason: z.string() })),
    recoveryPointsCreated: z.number(),
  }),
  accepted: true,
  run: (deps, { type, reason, includeComponents, priorityLevel, scheduleAt }, caller) =>
    createPoint(deps, caller, {
      ...{ type, priorityLevel, reason: reason ?? null, scheduleAt: scheduleAt ?? null },
      types: includeComponents?.map((each) => each === "configurations" ? "config" : each) ?? null,
    }),
});
