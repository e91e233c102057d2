/**
 * Changes settings: checked whole before anything is written, every version kept.
 *
 * @module
 */
import { checkStorageHost } from "../core/allowed_hosts.ts";
import {
  checkAgainstEnvironment,
  mergeSettings,
  type Settings,
  type SettingsPatch,
  underEnvironment,
} from "../core/settings.ts";
import type { Caller, Deps } from "./deps.ts";
import { recordAudit } from "./record_audit.ts";

/** A change; exactly one of `updates` and `rollbackTo` is given. */
export interface ConfigChange {
  updates?: SettingsPatch;
  rollbackTo?: number;
  dryRun: boolean;
}

/** What the change makes of the settings. */
export interface ConfigOutcome {
  version: number;
  dryRun: boolean;
  changed: string[];
  settings: Settings;
}

/** @throws `invalid_config`, `not_found` (version), `database_unreachable` */
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
  const merged = (rows: Record<string, unknown>) =>
    mergeSettings([
      { name: "the environment", patch: environment },
      { name: "backup_config", patch: underEnvironment(rows, environment) },
    ]);
  let after: Settings = mergeSettings([]);
  let changed: string[] = [];
  const { version } = await deps.state.config.change(
    (rows) => {
      const settings = target ?? { ...rows, ...change.updates };
      changed = changedKeys(rows, settings);
      return settings;
    },
    {
      changedBy: caller.name,
      dryRun: change.dryRun,
      check: (settings) => {
        after = merged(settings);
        checkStorageHost(after, deps.environment);
      },
    },
  );
  if (!change.dryRun) {
    await recordAudit(deps, caller, {
      action: "update-config",
      subject: `version ${version}`,
      outcome: "completed",
      details: { changed },
    });
  }
  return { version, dryRun: change.dryRun, changed, settings: after };
}

function changedKeys(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys]
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .sort();
}
