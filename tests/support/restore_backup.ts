/**
 * Restores of backups that are held in memory, and what they are judged by.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { DatabaseRecord } from "../../supabase/functions/backup/repository/mod.ts";
import {
  restoreDatabase,
  type RestoreDatabaseOptions,
  type RestoreReport,
  type RestoreRequest,
} from "../../supabase/functions/backup/usecases/restore/restore_database.ts";
import { asRepository, backupInMemory, type MemoryBackup } from "./memory_backup.ts";

/** A restore that is asked for, and what the use-case gets in place of its usual surroundings. */
export type RestoreBackupOptions = RestoreRequest & { given?: Partial<RestoreDatabaseOptions> };

/** Restores a backup; a safety backup that it needs is only claimed. */
export async function restoreBackup(
  backup: MemoryBackup,
  url: string,
  options: RestoreBackupOptions = {},
): Promise<RestoreReport> {
  const { given, ...request } = options;
  return await restoreDatabase({
    connect: () => connect({ url }),
    repository: asRepository(backup),
    backupId: "latest",
    request,
    safetyBackup: () => Promise.resolve({ backupId: "safety" } as DatabaseRecord),
    clock: systemClock,
    writtenBy: "test",
    ...given,
  });
}

/** A backup without roles: those of a shared server come and go while the tests run. */
export async function backupWithoutRoles(url: string): Promise<MemoryBackup> {
  const backup = await backupInMemory(url);
  const entries = backup.facts.entries.filter((entry) => !entry.kind.startsWith("role"));
  return { ...backup, facts: { ...backup.facts, entries } };
}

/** What a backup holds, to compare two of them. */
export function contentOf({ facts }: MemoryBackup): string[] {
  return [
    ...facts.entries.map(({ identity, statements }) => JSON.stringify([identity, statements])),
    ...facts.dataParts.map(({ rows, fingerprint }) => `${rows} ${fingerprint?.sum}`),
  ].sort();
}

/** The error of ours that something fails with. */
export async function failure(promise: Promise<unknown>): Promise<BackupError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof BackupError, String(error));
    return error;
  }
  assert.fail("it did not fail");
}
