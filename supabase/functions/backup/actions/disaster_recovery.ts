/** @module */
import { z } from "zod";
import { EXECUTION_MODES, EXECUTION_STATUSES, hasEnded, STEP_TYPES } from "../core/recovery.ts";
import { planIdSchema, triggerSchema } from "../recovery/plan_schema.ts";
import { answerOf, type ExecutionAnswer, settleExecution } from "../recovery/settle_execution.ts";
import { startExecution } from "../recovery/start_execution.ts";
import { ROTATION_NAME } from "../usecases/mend/rotate_secrets.ts";
import { type Action, defineAction, defined } from "./action.ts";

const errorSchema = z.object({
  code: z.string(),
  message: z.string(),
  hint: z.string().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

const stepRecordSchema = z.object({
  stepId: z.string(),
  name: z.string(),
  type: z.enum(STEP_TYPES),
  status: z.enum(["pending", "running", "waiting", "done", "skipped", "failed", "not_run"]),
  startedAt: z.string().nullable(),
  completedAt: z.string().nullable(),
  durationMs: z.number().nullable(),
  tries: z.number(),
  jobId: z.string().nullable(),
  found: z.string().nullable(),
  details: z.record(z.string(), z.unknown()),
  byHand: z.array(z.string()),
  error: errorSchema.nullable(),
});

/** An execution in an answer. */
export const executionSchema = z.object({
  executionId: z.string(),
  planId: z.string(),
  planName: z.string(),
  trigger: z.string(),
  mode: z.enum(EXECUTION_MODES),
  force: z.boolean(),
  rotate: z.array(z.string()),
  idempotencyKey: z.string().nullable(),
  status: z.enum(EXECUTION_STATUSES),
  initiatedBy: z.string(),
  startedAt: z.string(),
  completedAt: z.string().nullable(),
  durationMs: z.number().nullable(),
  message: z.string().nullable(),
  steps: z.array(stepRecordSchema),
  error: errorSchema.nullable(),
  recorded: z.boolean(),
  journaled: z.boolean(),
}).meta({ id: "Execution" });

const input = z.strictObject({
  planId: planIdSchema.optional().describe("Left out: the most urgent plan with the trigger."),
  trigger: triggerSchema.describe("One of the plan's, or test_trigger for a drill."),
  mode: z.enum(EXECUTION_MODES).optional()
    .describe("drill works on scratch targets and changes nothing else; live is the default."),
  force: z.boolean().default(false).describe("Restores also what is found to be sound."),
  rotate: z.array(
    z.string().regex(
      ROTATION_NAME,
      "is not api_key:<name>, publishable_key:<name>, legacy_keys or database_password",
    ),
  ).max(50).default([]).describe("What a plan that rotates is to rotate; nothing else is."),
  idempotencyKey: z.string().regex(
    /^[A-Za-z0-9_.:-]{1,200}$/,
    "is not 1 to 200 of A-Z a-z 0-9 _ . : -",
  ).optional().describe("The same key gives the same execution, also after its end."),
});

/** Runs a recovery plan. */
export const disasterRecovery: Action = {
  ...defineAction({
    name: "disaster-recovery",
    method: "POST",
    summary: "Run a recovery plan, or join the run of it that goes on.",
    input,
    output: executionSchema.extend({
      jobId: z.string(),
      joined: z.boolean(),
      commandLine: z.string().nullable(),
    }),
    // A live run may restore over the live database.
    needsAdmin: ({ trigger, mode }) => trigger !== "test_trigger" && mode !== "drill",
    run: async (deps, fields, caller) =>
      answerOf(await startExecution(deps, caller, defined(fields))),
  }),
  long: true,
  settle: async (deps, data, waitSeconds) => {
    const answer = await settleExecution(deps, data as ExecutionAnswer, waitSeconds);
    if (!hasEnded(answer)) return { status: 202, data: answer };
    // Who has not waited is told how an earlier execution ended, not that asking has failed.
    const isGood = answer.status === "success" || waitSeconds === 0;
    return isGood
      ? { status: 200, data: answer }
      : { status: 500, data: answer, error: answer.error };
  },
};
