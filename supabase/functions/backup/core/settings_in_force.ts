/**
 * The settings in force with rows that anybody may have written: a wrong one must not stop a restore.
 *
 * @module
 */
import { BackupError } from "./errors.ts";
import { mergeSettings, type Settings, type SettingsPatch, underEnvironment } from "./settings.ts";

/** A row that was left out, and why. Never its value where that may be a secret. */
export interface SettingsProblem {
  path: string;
  message: string;
}

/** See the module. */
export interface SettingsInForce {
  settings: Settings;
  /** Rows that are not followed: what they set is as the environment or the default says. */
  problems: SettingsProblem[];
}

/** Without these nobody knows where backups are: another place would look like an empty one. */
const INDISPENSABLE: readonly string[] = ["backupStorageType", "backupStorageConfig"];

/** What a wrong row of it means: the door stays shut. */
const WHEN_WRONG: Partial<Settings> = { allowLegacyServiceRoleKey: false };

/**
 * Defaults, the environment, and of the rows those that are right.
 *
 * @throws `invalid_config` when the environment is wrong, or a row that says where backups are
 */
export function settingsInForce(
  environment: SettingsPatch,
  rows: Record<string, unknown>,
): SettingsInForce {
  const problems: SettingsProblem[] = [];
  let kept = underEnvironment(rows, environment);
  for (;;) {
    try {
      const settings = mergeSettings([
        { name: "the environment", patch: environment },
        { name: "backup_config", patch: kept },
      ]);
      return { settings, problems };
    } catch (error) {
      const wrong = wrongRows(error, kept);
      if (wrong.length === 0) throw error;
      problems.push(...wrong);
      const names = new Set(wrong.map(rowOf));
      kept = Object.fromEntries(
        Object.entries(kept).flatMap(([key, value]) => {
          if (!names.has(key)) return [[key, value]];
          const instead = WHEN_WRONG[key as keyof Settings];
          return instead === undefined ? [] : [[key, instead]];
        }),
      );
    }
  }
}

/** What can be left out; nothing when that would not help. */
function wrongRows(error: unknown, rows: Record<string, unknown>): SettingsProblem[] {
  if (!(error instanceof BackupError) || error.code !== "invalid_config") return [];
  const issues = (error.details?.issues ?? []) as SettingsProblem[];
  const ofRows = issues.filter((issue) => Object.hasOwn(rows, rowOf(issue)));
  return ofRows.some((issue) => INDISPENSABLE.includes(rowOf(issue))) ? [] : ofRows;
}

function rowOf({ path }: SettingsProblem): string {
  return path.split(".")[0] as string;
}
