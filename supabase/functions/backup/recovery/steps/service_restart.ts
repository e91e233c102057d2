/**
 * Restarts services of the project as far as the platform lets them be restarted, and waits for their health.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../../core/errors.ts";
import type { StepKind } from "../step.ts";

/** What a plan may name. */
export const SERVICES = [
  "database",
  "functions",
  "api",
  "auth",
  "storage",
  "realtime",
  "pooler",
] as const;

const parameters = z.strictObject({
  services: z.array(z.enum(SERVICES)).min(1).max(SERVICES.length),
  /** Also those that are healthy. */
  force: z.boolean().default(false),
  waitForHealth: z.boolean().default(true),
  /** Looks at their health and restarts none. */
  checkOnly: z.boolean().default(false),
});

/** See the module. */
export const serviceRestart: StepKind = {
  type: "service_restart",
  parameters,
  run: () => Promise.reject(new BackupError("internal", "not built")),
};
