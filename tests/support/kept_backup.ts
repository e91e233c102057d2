/**
 * Backups that a repository in memory keeps, and restores of them.
 *
 * @module
 */
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import type { DataLimits } from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  createRepository,
  type Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backupDatabase } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import {
  restoreDatabase,
  type RestoreReport,
  type RestoreRequest,
} from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { DUMP_OPTIONS } from "./memory_backup.ts";

/** A backup and where it is. */
export interface KeptBackup {
  repository: Repository;
  backupId: string;
}

/** What is saved: without roles, because those of a shared server come and go. */
export const DUMP_OF_PUBLIC = { ...DUMP_OPTIONS, includeSchemas: ["public"] };

/** Backs up the schema `public` of a database into a new repository. */
export async function keepBackup(url: string, limits?: DataLimits): Promise<KeptBackup> {
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const { backupId } = await backupDatabase({
    ...{ connect: () => connect({ url }), repository, clock: systemClock, writtenBy: "test" },
    request: {
      ...{ origin: "manual", dump: DUMP_OF_PUBLIC },
      ...(limits === undefined ? {} : { limits }),
    },
  });
  return { repository, backupId };
}

/** Restores it into a database; a safety backup goes into the same repository. */
export async function restoreKept(
  url: string,
  { kept, ...request }: RestoreRequest & { kept: KeptBackup },
): Promise<RestoreReport> {
  return await restoreDatabase({
    ...{ connect: () => connect({ url }), ...kept, request },
    ...{ clock: systemClock, writtenBy: "test" },
  });
}
