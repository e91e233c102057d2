/** @module */
import { z } from "zod";
import { EXECUTION_MODES, EXECUTION_STATUSES } from "../core/recovery.ts";
import { planIdSchema, triggerSchema } from "../recovery/plan_schema.ts";
import { goOnWith } from "../recovery/go_on_execution.ts";
import { getExecution, listExecutions } from "../recovery/read_executions.ts";
import { defineAction, defined } from "./action.ts";
import { executionSchema } from "./disaster_recovery.ts";

/** Lists executions, newest first. */
export const executions = defineAction({
  name: "executions",
  method: "GET",
  summary: "Runs of recovery plans, newest first.",
  input: z.strictObject({
    planId: planIdSchema.optional(),
    status: z.enum(EXECUTION_STATUSES).optional(),
    mode: z.enum(EXECUTION_MODES).optional(),
    trigger: triggerSchema.optional(),
    limit: z.coerce.number().int().min(1).max(200).default(50),
    offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
  }),
  output: z.object({
    executions: z.array(executionSchema),
    total: z.number(),
    limit: z.number(),
    offset: z.number(),
    from: z.enum(["tables", "storage"]),
  }),
  run: (deps, filter) => listExecutions(deps, defined(filter)),
});

/** One execution's report. */
export const execution = defineAction({
  name: "execution",
  method: "GET",
  summary: "One run of a recovery plan: what became of each step, and what is left to do by hand.",
  input: z.strictObject({ executionId: z.string().min(1).max(255) }),
  output: executionSchema,
  run: async (deps, { executionId }) => {
    const found = await getExecution(deps, executionId);
    goOnWith(deps, found);
    return found;
  },
});
