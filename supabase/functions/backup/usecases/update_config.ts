/**
 * Changes settings: checked whole before anything is written, every version kept.
 *
 * @module
 */
import { checkStorageHost } from "../core/allowed_hosts.ts";
import { BackupError } from "../core/errors.ts";
import {
  checkAgainstEnvironment,
  mergeSettings,
  type Settings,
  type SettingsPatch,
  underEnvironment,
} from "../core/settings.ts";
import { findChannels } from "../notify/mod.ts";
import type { Caller, Deps } from "./deps.ts";
import { recordAudit } from "./record_audit.ts";

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
  /** What is accepted and has no effect yet. */
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
    : await deps.state.config.version(change.rollbackTo);
  checkAgainstEnvironment(target ?? change.updates ?? {}, environment);
  let after: Settings = mergeSettings([]);
  const outcome = await deps.state.config.change(
    (rows, version) => {
      checkVersion(change.expectedVersion, version);
      return target ?? { ...without(rows, change.unset ?? []), ...change.updates };
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
      },
    },
  );
  const { version, changed } = outcome;
  if (!change.dryRun) {
    const { rollbackTo } = change;
    await recordAudit(deps, caller, {
      action: "update-config",
      subject: `version ${version}`,
      outcome: "completed",
      details: { changed, ...(rollbackTo === undefined ? {} : { rollbackTo }) },
    });
  }
  return { version, dryRun: change.dryRun, changed, settings: after, warnings: warningsOf(after) };
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
  return findChannels(settings.notificationChannels, settings)
    .flatMap(({ problem }) => problem === null ? [] : [problem]);
}
