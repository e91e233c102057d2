/**
 * Changes settings: checked whole before anything is written, every version kept.
 *
 * @module
 */
import { checkStorageHost } from "../../core/allowed_hosts.ts";
import { BackupError } from "../../core/errors.ts";
import {
  checkAgainstEnvironment,
  mergeSettings,
  type Settings,
  type SettingsPatch,
  settingsPatchSchema,
  settingsSchema,
  underEnvironment,
} from "../../core/settings.ts";
import { channelsOf } from "../../notify/mod.ts";
import type { Caller, Deps } from "../deps.ts";
import { recordAudit } from "../jobs/record_audit.ts";
import { keepSettings } from "./stored_settings.ts";

/** A change: `updates` and `unset`, or `rollbackTo`. */
export interface ConfigChange {
  updates?: SettingsPatch;
  /** Rows to take away: their settings are as the environment or the default says. */
  unset?: readonly string[];
  rollbackTo?: number;
  /** The version that the caller has seen; another one in between is a conflict. */
  expectedVersion?: number;
  dryRun: boolean;
}

/** What the change makes of the settings. */
export interface ConfigOutcome {
  /** The version now, or the one that it would be; the one before when nothing changes. */
  version: number;
  dryRun: boolean;
  changed: string[];
  settings: Settings;
  /** What is accepted and has no effect yet, or is not kept in storage. */
  warnings: string[];
}

/** @throws `invalid_config`, `not_found` (version), `conflict`, `database_unreachable` */
export async function updateConfig(
  deps: Deps,
  caller: Caller,
  change: ConfigChange,
): Promise<ConfigOutcome> {
  const environment = deps.environment.settings;
  const target = change.rollbackTo === undefined
    ? null
    : without(await deps.state.config.version(change.rollbackTo), ["confirmedKeyId"]);
  checkAgainstEnvironment(target ?? change.updates ?? {}, environment);
  let after: Settings = mergeSettings([]);
  const outcome = await deps.state.config.change(
    (rows, version) => {
      checkVersion(change.expectedVersion, version);
      if (target !== null) return { ...target, ...confirmedKey(rows) };
      checkKnown(change.unset ?? [], rows);
      return { ...without(rows, change.unset ?? []), ...change.updates };
    },
    {
      changedBy: caller.name,
      dryRun: change.dryRun,
      check: (settings) => {
        after = mergeSettings([
          { name: "the environment", patch: environment },
          { name: "backup_config", patch: underEnvironment({ ...settings }, environment) },
        ]);
        checkStorageHost(after, deps.environment);
        for (const { name } of after.destinations) {
          checkStorageHost(after, deps.environment, { destination: name });
        }
      },
    },
  );
  const { version, changed, changedAt } = outcome;
  const warnings = warningsOf(after);
  if (!change.dryRun) {
    const { rollbackTo } = change;
    await recordAudit(deps, caller, {
      action: "update-config",
      subject: `version ${version}`,
      outcome: "completed",
      details: { changed, ...(rollbackTo === undefined ? {} : { rollbackTo }) },
    });
  }
  if (changedAt !== null) {
    const kept = { version, settings: outcome.settings, changedAt, changedBy: caller.name };
    const warning = await keepSettings(deps, after, kept);
    if (warning !== null) warnings.push(warning);
  }
  return { version, dryRun: change.dryRun, changed, settings: after, warnings };
}

/** That a key is kept outside is a fact and no wish: going back does not undo it, nor bring an old one. */
function confirmedKey({ confirmedKeyId }: Record<string, unknown>): SettingsPatch {
  if (confirmedKeyId === undefined) return {};
  const { data } = settingsPatchSchema.safeParse({ confirmedKeyId });
  return data ?? {};
}

/** A row of a name that nothing has can be taken away; a name without a row is a slip. */
function checkKnown(keys: readonly string[], rows: Record<string, unknown>): void {
  const unknown = keys.filter((key) => !(key in settingsSchema.shape) && !Object.hasOwn(rows, key));
  if (unknown.length === 0) return;
  throw new BackupError(
    "invalid_request",
    `Cannot take back ${unknown.map((key) => JSON.stringify(key)).join(", ")}: is not known`,
    {
      hint: "docs/settings.md lists all settings.",
      details: {
        issues: unknown.map((key) => ({ path: "unset", message: `${key}: is not known` })),
      },
    },
  );
}

function checkVersion(expected: number | undefined, version: number): void {
  if (expected === undefined || expected === version) return;
  throw new BackupError(
    "conflict",
    `Cannot change the settings: version ${version} is in force, not ${expected}`,
    {
      hint: "Somebody changed them in between: read action=status and ask again.",
      details: { version, expectedVersion: expected },
    },
  );
}

function without(
  rows: Record<string, unknown>,
  keys: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(rows).filter(([key]) => !keys.includes(key)));
}

function warningsOf(settings: Settings): string[] {
  return channelsOf(settings)
    .flatMap(({ problem, isWaiting }) => problem === null || isWaiting ? [] : [problem]);
}
