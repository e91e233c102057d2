/** @module */
import { z } from "zod";
import { type Health, readHealth } from "../usecases/service/read_health.ts";
import { SEVERITIES } from "../usecases/service/health_checks.ts";
import { defineAction } from "./action.ts";

const severity = z.enum(SEVERITIES);

/** What monitors ask: how well the service is, and what to do. */
export const health = defineAction({
  name: "health",
  method: "GET",
  summary: "Checks of the service's health, each with severity, message and recommendation.",
  input: z.strictObject({}),
  output: z.object({
    severity: severity.describe("The worst of all checks; 503 when it is critical."),
    checkedAt: z.iso.datetime(),
    checks: z.array(z.object({
      name: z.string(),
      severity,
      message: z.string(),
      recommendation: z.string().nullable().describe(
        "What to do; null when nothing is to be done.",
      ),
    })).describe("What was looked at. Not to know is `unknown`, never `ok`."),
  }),
  run: (deps) => readHealth(deps),
  failure(data) {
    const { checks } = data as Health;
    const [first, ...others] = checks.filter(({ severity }) => severity === "critical");
    if (first === undefined) return null;
    const more = others.length === 0 ? "" : `; so are ${others.map(({ name }) => name).join(", ")}`;
    return {
      code: "unhealthy",
      message: `Cannot call it healthy: ${first.name} is critical (${first.message})${more}`,
      ...(first.recommendation === null ? {} : { hint: first.recommendation }),
    };
  },
});
