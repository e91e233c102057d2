/**
 * The four plans that are there without anybody adding them, as the guide lists them. Data only: what a
 * step does is in `steps/`.
 *
 * @module
 */
import type { Json } from "../core/part.ts";
import type { RecoveryStep, StepType } from "./step.ts";

/** A plan that the product brings. */
export interface DefaultPlan {
  id: string;
  name: string;
  description: string;
  priority: "low" | "medium" | "high" | "critical";
  triggers: string[];
  steps: RecoveryStep[];
  /** Minutes. */
  estimatedRecoveryTime: number;
  enabled: boolean;
}

/** A step without what its place in the plan says. */
interface Planned {
  id: string;
  name: string;
  description: string;
  type: StepType;
  /** Minutes. */
  timeout: number;
  /** Tries after the first, where they are others than usual. */
  retryCount?: number;
  /** Ids; the step before when left out. */
  dependencies?: string[];
  parameters: Record<string, Json>;
}

/** Tries of a step after the first: enough for what passes, few enough for the objective. */
const RETRIES = 2;

/** In the order of the guide. */
export const DEFAULT_PLANS: readonly DefaultPlan[] = [
  {
    id: "database_failure",
    name: "Database Failure Recovery",
    description: "Restores the newest database backup when the database is empty or damaged, and " +
      "leaves a sound one alone",
    priority: "critical",
    triggers: ["database_unavailable", "database_corruption", "database_performance_degraded"],
    estimatedRecoveryTime: 90,
    enabled: true,
    steps: inOrder([
      {
        id: "assess_database",
        name: "Assess Database Status",
        description: "Check database connectivity and status",
        type: "backup_restore",
        timeout: 15,
        parameters: { backupType: "database", useLatest: true, checkOnly: true },
      },
      {
        id: "restore_database",
        name: "Restore Database Backup",
        description: "Restore from latest database backup",
        type: "backup_restore",
        timeout: 60,
        parameters: { backupType: "database", useLatest: true },
      },
      {
        id: "verify_database",
        name: "Verify Database Restore",
        description: "Verify database restore was successful",
        type: "backup_restore",
        timeout: 15,
        parameters: { backupType: "database", useLatest: true, checkOnly: true, mustMatch: true },
      },
    ]),
  },
  {
    id: "function_failure",
    name: "Function Failure Recovery",
    description: "Deploys the Edge Functions that are gone or differ from the newest backup",
    priority: "high",
    triggers: ["function_deployment_failed", "function_runtime_error", "function_timeout"],
    estimatedRecoveryTime: 45,
    enabled: true,
    steps: inOrder([
      {
        id: "assess_functions",
        name: "Assess Function Status",
        description: "Check function deployment and runtime status",
        type: "backup_restore",
        timeout: 15,
        parameters: { backupType: "function", useLatest: true, checkOnly: true },
      },
      {
        id: "redeploy_functions",
        name: "Redeploy Functions",
        description: "Redeploy Edge Functions from backup",
        type: "backup_restore",
        timeout: 15,
        parameters: { backupType: "function", useLatest: true },
      },
      {
        id: "verify_functions",
        name: "Verify Function Deployment",
        description: "Verify function deployment was successful",
        type: "backup_restore",
        timeout: 15,
        parameters: { backupType: "function", useLatest: true, checkOnly: true, mustMatch: true },
      },
    ]),
  },
  {
    id: "config_corruption",
    name: "Configuration Corruption Recovery",
    description: "Puts settings back that differ from the newest backup of the configuration",
    priority: "medium",
    triggers: ["config_validation_failed", "config_corruption_detected"],
    estimatedRecoveryTime: 30,
    enabled: true,
    steps: inOrder([
      {
        id: "assess_config",
        name: "Assess Configuration Status",
        description: "Check configuration validity and corruption",
        type: "backup_restore",
        timeout: 15,
        parameters: { backupType: "config", useLatest: true, checkOnly: true },
      },
      {
        id: "restore_config",
        name: "Restore Configuration Backup",
        description: "Restore configuration from backup",
        type: "backup_restore",
        timeout: 15,
        parameters: { backupType: "config", useLatest: true },
      },
      {
        id: "restart_services",
        name: "Restart Services",
        description: "Restart services with restored configuration",
        type: "service_restart",
        timeout: 5,
        parameters: {
          services: ["database", "api", "auth", "storage", "realtime", "functions"],
          force: false,
          waitForHealth: true,
        },
      },
    ]),
  },
  {
    id: "secrets_compromise",
    name: "Secrets Compromise Recovery",
    description:
      "Rotates the keys and secrets that the request names, and says what must be supplied",
    priority: "critical",
    triggers: ["secrets_compromise_detected", "unauthorized_access"],
    estimatedRecoveryTime: 60,
    enabled: true,
    steps: inOrder([
      {
        id: "assess_breach",
        name: "Assess Security Breach",
        description: "Assess the scope of the security breach",
        type: "backup_restore",
        timeout: 15,
        parameters: { backupType: "secrets", useLatest: true, checkOnly: true },
      },
      {
        id: "rotate_secrets",
        name: "Rotate Compromised Secrets",
        description: "Rotate all compromised secrets immediately",
        type: "config_update",
        timeout: 15,
        dependencies: [],
        parameters: { configKey: "secrets.rotate", configValue: [], restartRequired: false },
      },
      {
        id: "restore_secrets",
        name: "Restore Secrets Backup",
        description: "Restore secrets from secure backup",
        type: "backup_restore",
        timeout: 15,
        dependencies: ["assess_breach"],
        parameters: { backupType: "secrets", useLatest: true },
      },
      {
        id: "verify_security",
        name: "Verify Security Restoration",
        description: "Verify all secrets have been restored and secured",
        type: "backup_restore",
        timeout: 15,
        retryCount: 0, // what is missing waits for a person
        dependencies: ["rotate_secrets", "restore_secrets"],
        parameters: { backupType: "secrets", useLatest: true, checkOnly: true, mustMatch: true },
      },
    ]),
  },
];

function inOrder(planned: readonly Planned[]): RecoveryStep[] {
  return planned.map((step, at) => {
    const before = planned[at - 1]?.id;
    return {
      ...step,
      order: at + 1,
      retryCount: step.retryCount ?? RETRIES,
      dependencies: step.dependencies ?? (before === undefined ? [] : [before]),
    };
  });
}
