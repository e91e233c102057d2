/**
 * The settings in force: made of layers, each checked alike, under what the environment has fixed.
 *
 * @module
 */
import type { z } from "zod";
import { BackupError } from "./errors.ts";
import {
  DEFAULT_SETTINGS,
  type Settings,
  type SettingsPatch,
  settingsPatchSchema,
  settingsSchema,
} from "./settings_schema.ts";
import { describeIssues, explainSetting } from "./settings_words.ts";

export { DEFAULT_SETTINGS, describeIssues, settingsPatchSchema, settingsSchema };
export type { Settings, SettingsPatch };
export { secretReference } from "./storage_settings.ts";

/** A layer of settings with a name for messages. */
export interface SettingsLayer {
  name: string;
  patch: unknown;
}

/**
 * The settings in force: defaults, then each layer over the ones before it.
 *
 * @throws `invalid_config` naming layer and path when a layer holds unknown keys or impossible values
 */
export function mergeSettings(layers: readonly SettingsLayer[]): Settings {
  let merged: Record<string, unknown> = { ...DEFAULT_SETTINGS };
  for (const layer of layers) {
    const parsed = settingsPatchSchema.safeParse(layer.patch, { error: explainSetting });
    if (!parsed.success) throw invalidSettings(layer.name, parsed.error);
    merged = { ...merged, ...parsed.data };
  }
  const whole = settingsSchema.safeParse(merged, { error: explainSetting });
  if (!whole.success) throw invalidSettings("the settings together", whole.error);
  const { notificationChannels } = DEFAULT_SETTINGS;
  return merged.notificationChannels === notificationChannels
    ? { ...whole.data, notificationChannels }
    : whole.data;
}

/** Whether nobody named channels: they are those of the defaults, not others that are like them. */
export function hasDefaultChannels({ notificationChannels }: Settings): boolean {
  return notificationChannels === DEFAULT_SETTINGS.notificationChannels;
}

/** Keys that only the environment may say once it says them: where backups and messages go, and with what. */
export const ENVIRONMENT_BOUND = [
  "backupStorageType",
  "backupStorageConfig",
  "destinations",
  "enableEncryption",
  "encryptionKey",
  "vaultKey",
  "allowLegacyServiceRoleKey",
  "emailApiUrl",
  "emailApiKey",
  "slackWebhookUrl",
  "webhookUrl",
  "webhookSecret",
  "pagerdutyRoutingKey",
] as const satisfies readonly (keyof Settings)[];

/** Retention that the environment sets is a minimum: a row may only lengthen it. */
export const ENVIRONMENT_MINIMUM = [
  "databaseBackupRetention",
  "functionBackupRetention",
  "configBackupRetention",
  "secretsBackupRetention",
  "filesBackupRetention",
  "weeklyBackupsKept",
  "monthlyBackupsKept",
  "manualBackupRetention",
  "minimumBackupsKept",
  "cleanupGraceHours",
] as const satisfies readonly (keyof Settings)[];

/**
 * Refuses a change of what the environment has fixed.
 *
 * @throws `invalid_config` naming the keys
 */
export function checkAgainstEnvironment(patch: SettingsPatch, environment: SettingsPatch): void {
  const fixed = ENVIRONMENT_BOUND.filter((key) =>
    patch[key] !== undefined && environment[key] !== undefined &&
    JSON.stringify(patch[key]) !== JSON.stringify(environment[key])
  );
  const shortened = ENVIRONMENT_MINIMUM.filter((key) =>
    patch[key] !== undefined && environment[key] !== undefined && patch[key] < environment[key]
  );
  const keys = [...fixed, ...shortened];
  if (keys.length === 0) return;
  throw new BackupError(
    "invalid_config",
    `Cannot change ${keys.join(", ")}: the environment of the function fixes it`,
    {
      hint: "Change the function's secrets (supabase secrets set …) instead.",
      details: { keys },
    },
  );
}

/**
 * Rows without what the environment has fixed: a row can be written by other ways than a checked change,
 * and the environment may have been set after it.
 */
export function underEnvironment(
  rows: Record<string, unknown>,
  environment: SettingsPatch,
): Record<string, unknown> {
  const kept = Object.entries(rows).filter(([key, value]) => {
    const fixed = environment[key as keyof Settings];
    if (fixed === undefined) return true;
    const shortened = (ENVIRONMENT_MINIMUM as readonly string[]).includes(key) &&
      typeof value === "number" && value < Number(fixed);
    return !shortened && !(ENVIRONMENT_BOUND as readonly string[]).includes(key);
  });
  return Object.fromEntries(kept);
}

function invalidSettings(layer: string, error: z.ZodError): BackupError {
  const issues = describeIssues(error);
  return new BackupError(
    "invalid_config",
    `Cannot use the settings of ${layer}: ${
      issues.map((i) => `${i.path}: ${i.message}`).join("; ")
    }`,
    {
      hint:
        "Correct these settings, or take them back: action=update-config with updates or unset.",
      details: { issues },
    },
  );
}
