import assert from "node:assert/strict";
import { describeIssues } from "../../core/settings.ts";
import type { StepType } from "../step.ts";
import { STEP_KINDS } from "./mod.ts";

function issuesOf(type: StepType, parameters: unknown): string[] {
  const parsed = STEP_KINDS[type].parameters.safeParse(parameters);
  return parsed.success ? [] : describeIssues(parsed.error).map(({ path }) => path);
}

Deno.test("parameters of the guide are taken by each type of step", () => {
  const good: [StepType, unknown][] = [
    ["backup_restore", { backupType: "database", useLatest: true }],
    ["backup_restore", { backupType: "config", useLatest: false, backupId: "backup_1234567890" }],
    ["service_restart", { services: ["database", "functions"], force: false, waitForHealth: true }],
    ["config_update", {
      configKey: "databaseBackupInterval",
      configValue: 12,
      restartRequired: false,
    }],
    ["config_update", { configKey: "auth.site_url", configValue: "https://shop.example" }],
    ["config_update", { configKey: "secrets.rotate", configValue: ["legacy_keys"] }],
    ["data_migration", {
      source: "latest",
      destination: "env:OTHER_DB_URL",
      migrationType: "backup_to_database",
    }],
    ["data_migration", {
      source: "backup_20261121T120000000Z_0123456789",
      destination: "vault://other_database",
      migrationType: "backup_to_database",
      target: "plain",
      acceptHazards: ["missing-extension"],
    }],
    ["notification", { message: "look", channels: ["email", "slack"], priority: "high" }],
  ];
  for (const [type, parameters] of good) {
    assert.deepEqual(issuesOf(type, parameters), [], `${type} ${JSON.stringify(parameters)}`);
  }
});

Deno.test("parameters that are unknown, missing or impossible are named by their paths", () => {
  const bad: [StepType, unknown, string[]][] = [
    ["backup_restore", {}, ["backupType"]],
    ["backup_restore", { backupType: "database", backup_id: "b" }, ["backup_id"]],
    ["backup_restore", { backupType: "everything" }, ["backupType"]],
    ["backup_restore", { backupType: "database", useLatest: false }, ["backupId"]],
    ["backup_restore", { backupType: "database", backupId: "backup_1" }, ["backupId"]],
    ["backup_restore", { backupType: "database", mustMatch: true }, ["mustMatch"]],
    ["backup_restore", { backupType: "database", items: ["a"] }, ["items"]],
    ["service_restart", { services: [] }, ["services"]],
    ["service_restart", { services: ["postgrest"] }, ["services.0"]],
    ["config_update", { configKey: "nothing", configValue: 1 }, ["configKey"]],
    ["config_update", { configKey: "constructor", configValue: 1 }, ["configKey"]],
    ["config_update", { configKey: "auth.jwt_secret", configValue: "x" }, ["configKey"]],
    ["config_update", { configKey: "databaseBackupInterval", configValue: "12" }, ["configValue"]],
    ["config_update", { configKey: "secrets.rotate", configValue: ["all"] }, ["configValue.0"]],
    ["data_migration", {
      source: "latest",
      destination: "postgres://user:secret@host/db",
      migrationType: "backup_to_database",
    }, ["destination"]],
    ["data_migration", {
      source: "../x",
      destination: "env:OTHER",
      migrationType: "replicate",
    }, ["source", "migrationType"]],
    ["notification", { message: "", channels: ["pigeon"] }, ["message", "channels.0"]],
  ];
  for (const [type, parameters, paths] of bad) {
    assert.deepEqual(issuesOf(type, parameters), paths, `${type} ${JSON.stringify(parameters)}`);
  }
});
