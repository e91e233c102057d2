/**
 * Versions of the settings in storage, so that a database that loses its tables does not lose them: they hold
 * references to secrets and no secret, and only ever become more.
 *
 * @module
 */
import { BackupError, toBackupError } from "../../core/errors.ts";
import { type Settings, type SettingsPatch, underEnvironment } from "../../core/settings.ts";
import { settingsInForce } from "../../core/settings_in_force.ts";
import type { Repository } from "../../repository/mod.ts";
import { changedKeys, type ConfigVersion } from "../../state/backup_config.ts";
import type { Deps } from "../deps.ts";

/** Folder of all versions. A name begins with the time, so that the last one is the newest of any database. */
const FOLDER = "settings";

/** A storage that does not answer holds a change of settings up no longer than this. */
const PATIENCE_MS = 15_000;

/** What a repository is found and opened by: its own settings cannot say that. */
const FOUND_BY: readonly string[] = [
  "backupStorageType",
  "backupStorageConfig",
  "enableEncryption",
  "encryptionKey",
] satisfies (keyof Settings)[];

/** A version of the settings as storage keeps it. */
interface SettingsDocument extends ConfigVersion {
  format: 1;
}

/**
 * Keeps a version that the tables have. A storage that is out of reach does not stand in the way of a change.
 *
 * @returns a warning where storage does not have it now; null where it does
 */
export async function keepSettings(
  deps: Deps,
  settings: Settings,
  version: ConfigVersion,
): Promise<string | null> {
  try {
    await put(deps, await deps.openRepository(settings), version);
    return null;
  } catch (error) {
    const failure = toBackupError(error);
    const { code, message } = failure;
    deps.reportError(failure, "keep the settings in storage");
    return `version ${version.version} is in the tables only, not in storage (${code}: ${message}); ` +
      "init keeps it there";
  }
}

/** Keeps the version in force where storage has another one as its newest. @throws as {@linkcode put} */
export async function keepCurrentSettings(deps: Deps, repository: Repository): Promise<void> {
  const [current] = await deps.state.config.versions(1);
  if (current === undefined) return;
  const stored = await newest(repository);
  if (stored !== null && changedKeys(stored.settings, current.settings).length === 0) return;
  await put(deps, repository, current);
}

/**
 * Brings the newest version of storage back into tables that never had one: they are new, or were lost. What
 * the environment fixes stays as it says, and so does the place and the key that the version was found by.
 *
 * @returns in words what was brought back, or why not; null where there is nothing to bring
 */
export async function bringSettingsBack(deps: Deps): Promise<string | null> {
  if (await deps.state.config.current() > 0) return null;
  const { settings } = await deps.settings();
  let stored: SettingsDocument | null;
  try {
    stored = await newest(await deps.openRepository(settings));
  } catch (error) {
    const failure = toBackupError(error);
    // The steps of the storage and the repository say what these want.
    if (!failure.code.startsWith("object_") && failure.code !== "repository_format") return null;
    deps.reportError(failure, "read the settings from storage");
    return `those in storage cannot be read (${failure.code})`;
  }
  if (stored === null) return null;
  const { rows, leftOut } = usable(deps, stored.settings);
  const { changed } = await deps.state.config.change(
    // Another caller may have been faster, and rows that somebody wrote by hand are not replaced.
    (present, version) => version > 0 || Object.keys(present).length > 0 ? present : rows,
    { changedBy: `init, from storage: version ${stored.version}`, check: () => {} },
  );
  if (changed.length === 0 && leftOut.length === 0) return null;
  return `brought back from storage, as of ${stored.changedAt}: ${changed.join(", ") || "none"}` +
    (leftOut.length === 0
      ? ""
      : `; left out, for this release refuses them: ${leftOut.join(", ")}`);
}

function usable(
  deps: Deps,
  stored: Record<string, unknown>,
): { rows: SettingsPatch; leftOut: string[] } {
  const { settings: environment } = deps.environment;
  const free = Object.fromEntries(
    Object.entries(underEnvironment(stored, environment)).filter(([key]) =>
      !FOUND_BY.includes(key)
    ),
  );
  const { problems } = settingsInForce(environment, free);
  const leftOut = [...new Set(problems.map(({ path }) => path.split(".")[0]!))];
  const rows = Object.fromEntries(Object.entries(free).filter(([key]) => !leftOut.includes(key)));
  return { rows, leftOut };
}

/** @throws `repository_foreign`, `storage_*`, `object_*` */
async function put(deps: Deps, repository: Repository, version: ConfigVersion): Promise<void> {
  const owner = await repository.owner();
  const { projectRef } = deps.environment;
  if (owner?.projectRef && projectRef !== null && owner.projectRef !== projectRef) {
    throw new BackupError(
      "repository_foreign",
      `Cannot keep the settings in storage: its backups are the project ${owner.projectRef}'s`,
      { hint: "init with takeOverRepository makes them this project's." },
    );
  }
  const time = version.changedAt.replaceAll(/\D/g, "");
  const name = `${FOLDER}/${time}-${String(version.version).padStart(6, "0")}`;
  const value: SettingsDocument = { format: 1, ...version };
  await repository.writeDocument({ name, value }, { signal: AbortSignal.timeout(PATIENCE_MS) });
}

async function newest(repository: Repository): Promise<SettingsDocument | null> {
  let name: string | null = null;
  for await (const each of repository.listDocuments(FOLDER)) name = each;
  return name === null ? null : await repository.readDocument(name) as SettingsDocument;
}
