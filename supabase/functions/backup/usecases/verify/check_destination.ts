/**
 * Tries a storage that the settings name: what its provider promises, and whether the lock that is set
 * is enforced.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { settingsAt } from "../../core/destinations.ts";
import type { Settings } from "../../core/settings.ts";
import type { StorageConfig } from "../../core/storage_settings.ts";
import { checkProvider, type ProviderFinding } from "../../storage/check_provider.ts";
import type { Deps } from "../deps.ts";

/** A lock of the probe: long enough to be tried, and soon over. */
const PROBE_LOCK_DAYS = 1 / 1440;

/**
 * Tries the primary storage, or a destination by its name.
 *
 * @throws `invalid_config` when it cannot even be opened
 */
export async function checkDestination(
  deps: Pick<Deps, "clock" | "environment" | "openStorage">,
  settings: Settings,
  { destination }: { destination?: string | undefined } = {},
): Promise<{ location: string; findings: ProviderFinding[] }> {
  const { backupStorageType: type, backupStorageConfig } = settingsAt(settings, destination);
  const { objectLock, legalHold, endpoint } = backupStorageConfig;
  const opened = (lock: StorageConfig["objectLock"]) =>
    deps.openStorage(withLock(settings, { destination, lock }), { destination });
  const storage = await opened(undefined);
  const locked = objectLock ? await opened({ ...objectLock, days: PROBE_LOCK_DAYS }) : null;
  const findings = await checkProvider({ storage, locked, clock: deps.clock });
  if (legalHold) {
    const found = "the legal hold was not tried: a probe under it could not be removed";
    findings.push({ check: "lock", severity: "note", found });
  }
  const own = deps.environment.projectRef;
  if (type === "supabase" && own !== null && new URL(endpoint!).hostname.startsWith(`${own}.`)) {
    findings.push({
      check: "rights",
      severity: "warning",
      found: "the backups are kept in the project that is backed up, and are lost with it",
      hint: "Use a bucket of another project, or a second copy elsewhere.",
    });
  }
  return { location: storage.location, findings };
}

/**
 * In a sentence.
 *
 * @throws `storage_refused` when backups cannot be kept there as the settings ask
 */
export function tellOf(location: string, findings: readonly ProviderFinding[]): string {
  const worst = findings.find(({ severity }) => severity === "error");
  if (worst !== undefined) {
    throw new BackupError("storage_refused", `Cannot rely on ${location}: ${worst.found}`, {
      ...(worst.hint === undefined ? {} : { hint: worst.hint }),
    });
  }
  const warnings = findings.filter(({ severity }) => severity === "warning");
  const tried = `wrote, read, listed and deleted at ${location}`;
  return [tried, ...warnings.map(({ found }) => found)].join("; ");
}

/** The settings with this lock, and no hold, in the place of those of the storage that is tried. */
function withLock(
  settings: Settings,
  { destination, lock }: { destination: string | undefined; lock: StorageConfig["objectLock"] },
): Settings {
  const locked = <C extends StorageConfig>({ legalHold: _, ...config }: C) => ({
    ...config,
    objectLock: lock,
  });
  return destination === undefined
    ? { ...settings, backupStorageConfig: locked(settings.backupStorageConfig) }
    : {
      ...settings,
      destinations: settings.destinations.map((each) =>
        each.name === destination ? locked(each) : each
      ),
    };
}
