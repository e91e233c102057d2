/**
 * Whether the backups could be used on the day they are needed: the key is kept outside, there is a backup
 * and nothing of the list is lost, and one was restored and compared. Answers of `init` and `status`.
 *
 * @module
 */
import { equalConstantTime, utf8 } from "../../core/bytes.ts";
import { BackupError } from "../../core/errors.ts";
import { typeOfJobId } from "../../core/ids.ts";
import { requestLine } from "../../core/request_line.ts";
import type { Settings } from "../../core/settings.ts";
import { FINGERPRINT_COMMAND, keyFingerprint, type Repository } from "../../repository/mod.ts";
import type { Caller, Deps } from "../deps.ts";
import { findLostBackups, lostError, type StoredNames } from "../restore/lost_backups.ts";
import type { NewestBackups } from "./newest_backups.ts";
import { updateConfig } from "./update_config.ts";

/** What one look has found. */
export interface Finding {
  done: boolean;
  found: string;
  /** A line to copy that brings it further. */
  next: string | null;
}

/** Whether somebody has shown that the key is kept outside. */
export function findKeySaved(settings: Settings, repository: Repository): Finding {
  if (repository.keyId === null) {
    return { done: true, found: "encryption is off: there is no key to keep", next: null };
  }
  if (settings.confirmedKeyId === repository.keyId) {
    return { done: true, found: "a copy outside was confirmed by its fingerprint", next: null };
  }
  return {
    done: false,
    found: "not recoverable yet: nobody has confirmed that the key is kept outside this project",
    next: `${FINGERPRINT_COMMAND} on the machine that keeps the key, then: ` +
      requestLine("init", { confirmKeyFingerprint: "<the 16 digits>" }),
  };
}

/**
 * Takes the fingerprint of a kept copy for a proof that there is one.
 *
 * @throws `key_wrong` when it is another key's, `key_missing` without encryption or key
 */
export async function checkKeyCopy(
  deps: Deps,
  { enableEncryption, encryptionKey }: Settings,
  fingerprint: string,
): Promise<void> {
  if (!enableEncryption || encryptionKey === undefined) throw noKey();
  const own = await keyFingerprint(await deps.secret(encryptionKey));
  if (!equalConstantTime(utf8(own), utf8(fingerprint.toLowerCase()))) {
    throw new BackupError("key_wrong", "Cannot confirm the key: the copy is of another key", {
      hint: `Keep the key that the function has. Its fingerprint: ${FINGERPRINT_COMMAND}`,
    });
  }
}

/** Keeps that a copy of the repository's key is outside. @throws `key_missing` without encryption */
export async function confirmKey(
  deps: Deps,
  caller: Caller,
  repository: Repository,
): Promise<void> {
  if (repository.keyId === null) throw noKey();
  const updates = { confirmedKeyId: repository.keyId };
  await updateConfig(deps, caller, { updates, dryRun: false });
}

function noKey(): BackupError {
  return new BackupError("key_missing", "Cannot confirm the key: encryption is off");
}

/** Whether there is a backup to go back to. */
export function findFirstBackup({ ids, list }: NewestBackups): Finding {
  const damaged = new Set(list.damaged.map(({ backupId }) => backupId));
  const count =
    ids.filter((id) =>
      typeOfJobId(id) === "database" && !id.startsWith("safety_") && !damaged.has(id)
    ).length;
  return count > 0 ? { done: true, found: `${count} backups of the database`, next: null } : {
    done: false,
    found: "no backup of the database yet",
    next: requestLine("backup-database&wait=60"),
  };
}

/** Whether storage still has what the tables know. @throws `backups_lost` */
export async function checkNothingLost(
  deps: Deps,
  place: { location: string; stored: StoredNames | null },
): Promise<Finding> {
  const error = lostError(await findLostBackups(deps, place));
  if (error !== null) throw error;
  return { done: true, found: "storage has all that the tables know", next: null };
}

/** Whether a backup was ever restored and compared. */
export async function findRestoreTest(deps: Deps, location: string): Promise<Finding> {
  const last = await deps.state.backups.lastTestedAt(location);
  return last !== null ? { done: true, found: `${last.backupId} at ${last.at}`, next: null } : {
    done: false,
    found: "no backup was restored and compared yet",
    next: requestLine("restore&wait=60", { backupId: "test_backup", type: "database" }),
  };
}
