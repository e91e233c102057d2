/**
 * A recovery plan whose one step does nothing but tell.
 *
 * @module
 */

/** The guide's example, with a step in the place of its dots. */
export const PLAN = {
  id: "custom_plan",
  name: "Custom Recovery Plan",
  description: "Custom disaster recovery plan",
  priority: "medium",
  triggers: ["custom_trigger"],
  steps: [{
    id: "tell",
    name: "Tell",
    description: "Tells people",
    type: "notification",
    order: 1,
    timeout: 1,
    retryCount: 0,
    dependencies: [] as string[],
    parameters: { message: "it began" } as Record<string, unknown>,
  }],
  estimatedRecoveryTime: 30,
  enabled: true,
};
/** Its step. */
export const STEP = PLAN.steps[0]!;
