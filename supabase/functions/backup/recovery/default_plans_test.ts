import assert from "node:assert/strict";
import { DEFAULT_PLANS } from "./default_plans.ts";
import { planSchema } from "./plan_schema.ts";

Deno.test("DEFAULT_PLANS are the four of the guide, with its priorities, triggers and times", () => {
  const told = DEFAULT_PLANS.map(({ id, name, priority, triggers, estimatedRecoveryTime }) => {
    return [id, name, priority, triggers.join(" "), estimatedRecoveryTime];
  });
  assert.deepEqual(told, [
    [
      "database_failure",
      "Database Failure Recovery",
      "critical",
      "database_unavailable database_corruption database_performance_degraded",
      90,
    ],
    [
      "function_failure",
      "Function Failure Recovery",
      "high",
      "function_deployment_failed function_runtime_error function_timeout",
      45,
    ],
    [
      "config_corruption",
      "Configuration Corruption Recovery",
      "medium",
      "config_validation_failed config_corruption_detected",
      30,
    ],
    [
      "secrets_compromise",
      "Secrets Compromise Recovery",
      "critical",
      "secrets_compromise_detected unauthorized_access",
      60,
    ],
  ]);
});

Deno.test("DEFAULT_PLANS have the steps of the guide, in its order and words", () => {
  const told = DEFAULT_PLANS.map(({ steps }) =>
    steps.map(({ order, name, description }) => `${order}. ${name} - ${description}`)
  );
  assert.deepEqual(told, [
    [
      "1. Assess Database Status - Check database connectivity and status",
      "2. Restore Database Backup - Restore from latest database backup",
      "3. Verify Database Restore - Verify database restore was successful",
    ],
    [
      "1. Assess Function Status - Check function deployment and runtime status",
      "2. Redeploy Functions - Redeploy Edge Functions from backup",
      "3. Verify Function Deployment - Verify function deployment was successful",
    ],
    [
      "1. Assess Configuration Status - Check configuration validity and corruption",
      "2. Restore Configuration Backup - Restore configuration from backup",
      "3. Restart Services - Restart services with restored configuration",
    ],
    [
      "1. Assess Security Breach - Assess the scope of the security breach",
      "2. Rotate Compromised Secrets - Rotate all compromised secrets immediately",
      "3. Restore Secrets Backup - Restore secrets from secure backup",
      "4. Verify Security Restoration - Verify all secrets have been restored and secured",
    ],
  ]);
});

/** Minutes that the guide gives each type of step. */
const TIMEOUTS: Record<string, [number, number]> = {
  backup_restore: [15, 60],
  service_restart: [5, 15],
  config_update: [5, 20],
};

Deno.test("DEFAULT_PLANS are plans that could be added, with timeouts that the guide allows", () => {
  for (const plan of DEFAULT_PLANS) {
    assert.deepEqual(planSchema.parse(plan), plan);
    for (const { id, type, timeout } of plan.steps) {
      const [least, most] = TIMEOUTS[type]!;
      assert.ok(timeout >= least && timeout <= most, `${id}: ${timeout}`);
    }
  }
});
