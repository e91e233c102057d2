/**
 * One request of each action that takes something, for the API's page and the OpenAPI document.
 *
 * @module
 */

/** Fields of the query (GET) or of the body (POST), by the action's name. */
export const EXAMPLES: Readonly<Record<string, Record<string, unknown>>> = {
  "init": { config: { databaseBackupInterval: 12 } },
  "backup-database": { reason: "before the release" },
  "backup-function": { reason: "before the release" },
  "backup-config": { reason: "before the release" },
  "backup-secrets": { reason: "before the rotation" },
  "backup-files": { reason: "before the move" },
  "backup-all": { reason: "before the move" },
  "create": {
    type: "manual",
    reason: "before migration 42",
    includeComponents: ["database", "configurations"],
    priorityLevel: "high",
  },
  "recovery-points": { from: "2026-01-01T00:00:00Z", limit: 20 },
  "restore": { backupId: "latest", type: "database", tables: ["shop.orders"], dryRun: true },
  "jobs": { type: "backup", status: "failed", limit: 20 },
  "job": { jobId: "backup_20260131T235959123Z_0123456789", type: "backup" },
  "cancel": { jobId: "backup_20260131T235959123Z_0123456789" },
  "verify": { backupId: "latest", level: "full" },
  "replicate": { destination: "offsite", level: "full" },
  "test-restore": { backupId: "latest" },
  "cleanup": { dryRun: true },
  "disaster-recovery": { planId: "database_failure", trigger: "test_trigger" },
  "plans": { priority: "critical" },
  "add-plan": {
    plan: {
      id: "tell_people",
      name: "Tell people",
      description: "Says that the shop is down",
      priority: "medium",
      triggers: ["shop_down"],
      steps: [{
        id: "tell",
        name: "Tell",
        description: "Sends a message to all channels",
        type: "notification",
        order: 1,
        timeout: 1,
        retryCount: 2,
        dependencies: [],
        parameters: { message: "The shop is down" },
      }],
      estimatedRecoveryTime: 5,
      enabled: true,
    },
  },
  "remove-plan": { planId: "tell_people" },
  "enable-plan": { planId: "function_failure", enabled: false },
  "executions": { planId: "database_failure", mode: "live", limit: 5 },
  "execution": { executionId: "recovery_20260131T235959123Z_0123456789" },
  "update-config": { updates: { databaseBackupInterval: 12, enableCompression: false } },
  "uninstall": { confirm: "remove everything but the backups" },
};
