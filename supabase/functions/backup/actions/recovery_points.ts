/** @module */
import { z } from "zod";
import { JOB_TYPES } from "../core/job.ts";
import { listRecoveryPoints } from "../usecases/points/list_recovery_points.ts";
import { defineAction } from "./action.ts";

const moment = z.iso.datetime({ offset: true }).optional();

/** What can be recovered, straight from storage. */
export const recoveryPoints = defineAction({
  name: "recovery-points",
  method: "GET",
  summary: "What can be recovered, and to which times: recovery points and single backups.",
  input: z.strictObject({
    from: moment,
    to: moment,
    limit: z.coerce.number().int().min(1).max(250).default(100),
  }).refine(
    ({ from, to }) => from === undefined || to === undefined || Date.parse(from) <= Date.parse(to),
    { path: ["from"], message: "is after to" },
  ),
  output: z.object({
    points: z.array(z.object({
      pointId: z.string(),
      createdAt: z.string(),
      completedAt: z.string(),
      reason: z.string().nullable(),
      status: z.enum(["completed", "partial", "failed"]),
      components: z.array(z.object({
        type: z.enum(JOB_TYPES),
        status: z.enum(["completed", "partial", "failed", "skipped", "expired"]),
        backupId: z.string().nullable(),
        from: z.string().nullable(),
        to: z.string().nullable(),
        reason: z.string().nullable(),
      })),
      consistency: z.array(z.string()),
    })),
    backups: z.array(z.object({
      backupId: z.string(),
      type: z.enum(JOB_TYPES),
      from: z.string(),
      to: z.string(),
      partial: z.boolean(),
      origin: z.string(),
    })),
    damaged: z.array(z.object({ id: z.string(), code: z.string(), message: z.string() })),
  }),
  run: (deps, { from, to, limit }) =>
    listRecoveryPoints(deps, { from: from ?? null, to: to ?? null, limit }),
});
