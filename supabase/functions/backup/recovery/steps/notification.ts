/**
 * Tells people. A drill tells nobody: it would be taken for the real thing.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../../core/errors.ts";
import { CHANNELS, NOTIFY_PRIORITIES } from "../../core/notify_event.ts";
import type { StepKind } from "../step.ts";
import { readParameters } from "./read_parameters.ts";

/** The guide's three. */
const parameters = z.strictObject({
  message: z.string().min(1).max(2000),
  channels: z.array(z.enum(CHANNELS)).min(1).max(CHANNELS.length).optional(),
  priority: z.enum(NOTIFY_PRIORITIES).default("medium"),
});

/** See the module. */
export const notification: StepKind = {
  type: "notification",
  parameters,
  async run({ deps, step, execution, idempotencyKey }) {
    const { message, channels, priority } = readParameters(parameters, step);
    if (execution.mode === "drill") {
      const to = channels?.join(", ") ?? "the channels of the settings";
      return { state: "skipped", found: `a drill: would tell ${to}`, details: {}, byHand: [] };
    }
    const { executionId, planId } = execution;
    const { sent, failed, silencedBy, messageId } = await deps.notify({
      ...{ kind: "message", type: "plan", jobId: null, message, priority, id: idempotencyKey },
      ...(channels === undefined ? {} : { channels }),
      details: { executionId, planId, step: step.id },
    });
    const details = { messageId, sent, failed: failed.map(({ channel }) => channel) };
    const reasons = failed.map((each) => `${each.channel}: ${each.message}`);
    if (silencedBy !== null) {
      return { state: "skipped", found: `nobody was told: ${silencedBy}`, details, byHand: [] };
    }
    if (sent.length === 0 && failed.length > 0) {
      throw new BackupError("interrupted", `Cannot tell anybody: ${reasons.join("; ")}`, {
        hint: "Look at the channels' addresses in the settings.",
      });
    }
    return { state: "done", found: `told ${sent.join(", ")}`, details, byHand: reasons };
  },
};
