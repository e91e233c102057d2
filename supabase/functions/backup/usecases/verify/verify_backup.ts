/**
 * Checks stored backups.
 *
 * @module
 */
import type { ProgressListener } from "../../core/progress.ts";
import type { Repository, VerifyReport } from "../../repository/mod.ts";

/** What {@linkcode verifyBackups} works with. */
export interface VerifyBackupsOptions {
  repository: Repository;
  /** `quick`: everything referred to is there; `full`: it is also read, decrypted and hashed. */
  level: "quick" | "full";
  /** Ids, or `latest`; none means all. */
  backups: readonly string[];
  signal?: AbortSignal;
  onProgress?: ProgressListener;
}

/**
 * What was found; problems are in the report, not thrown.
 *
 * @throws {BackupError} `backup_not_found` for an id that does not exist, `storage_*`, `cancelled`
 */
export async function verifyBackups(options: VerifyBackupsOptions): Promise<VerifyReport> {
  const { repository, level, signal, onProgress } = options;
  const ids: string[] = [];
  for (const name of options.backups) {
    ids.push(name === "latest" ? (await repository.readBackup(name)).record.backupId : name);
  }
  return await repository.verify({
    level,
    ...(ids.length === 0 ? {} : { backups: ids }),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}
