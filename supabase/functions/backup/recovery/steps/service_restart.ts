/**
 * Restarts services of the project as far as the platform lets them be restarted, and waits for their health.
 *
 * @module
 */
import { z } from "zod";
import { toJson } from "../../core/json.ts";
import type { Json } from "../../core/part.ts";
import { restartServices, SERVICES } from "../../usecases/mend/restart_services.ts";
import type { StepContext, StepKind } from "../step.ts";
import { readParameters } from "./read_parameters.ts";

/** The guide's three, and `checkOnly`: looks at their health and restarts none. */
const parameters = z.strictObject({
  services: z.array(z.enum(SERVICES)).min(1).max(SERVICES.length),
  force: z.boolean().default(false),
  waitForHealth: z.boolean().default(true),
  checkOnly: z.boolean().default(false),
});

/** See the module. */
export const serviceRestart: StepKind = {
  type: "service_restart",
  parameters,
  async run(context) {
    const { deps, step, execution, signal } = context;
    const { checkOnly, services, force, waitForHealth } = readParameters(parameters, step);
    const isDrill = execution.mode === "drill";
    const needless = whyNeedless(context);
    const { health, restarted, byHand } = await restartServices(deps, {
      ...{ services, waitForHealth, signal },
      checkOnly: checkOnly || isDrill || needless !== null,
      force,
    });
    const states = Object.entries(health).map(([service, status]) => `${service}: ${status}`);
    const found = states.join("; ");
    const details = { health: toJson(health), restarted } as Record<string, Json>;
    if (restarted.length > 0) {
      return {
        state: "done",
        found: `restarted ${restarted.join(", ")}; ${found}`,
        details,
        byHand,
      };
    }
    if (checkOnly || byHand.length > 0) return { state: "done", found, details, byHand };
    const why = isDrill ? "a drill restarts nothing" : needless ?? "nothing needs a restart";
    return { state: "skipped", found: `${why}; ${found}`, details, byHand };
  },
};

/** A step that follows restores has nothing to do where none of them restored. */
function whyNeedless({ step, earlier }: StepContext): string | null {
  const before = step.dependencies.map((id) => earlier.get(id));
  const restores = before.filter((end) => end?.details.backupType !== undefined);
  if (restores.length === 0 || restores.some((end) => end?.details.restored === true)) return null;
  return "nothing was restored before it";
}
