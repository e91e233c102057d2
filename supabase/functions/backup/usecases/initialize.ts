/**
 * Creates or checks everything the service needs; safe to repeat, also by two callers at once.
 *
 * @module
 */
import { toBase64 } from "../core/bytes.ts";
import { type BackupError, outwardMessage, toBackupError } from "../core/errors.ts";
import type { SettingsPatch } from "../core/settings.ts";
import type { Caller, Deps } from "./deps.ts";
import { recordAudit } from "./record_audit.ts";
import { syncBackups } from "./stored_backups.ts";
import { updateConfig } from "./update_config.ts";

/** One item of the way from deployed to recoverable. */
export interface InitStep {
  step: "tables" | "settings" | "storage" | "repository" | "list-of-backups" | "first-backup";
  done: boolean;
  found: string;
  /** A line to copy that brings this item further. */
  next: string | null;
}

/** What `init` found and did. */
export interface InitReport {
  /** True when every step is done. */
  recoverable: boolean;
  steps: InitStep[];
  /** A random key to keep, proposed while none is set. It is shown once and stored nowhere. */
  proposedEncryptionKey: string | null;
}

/** @throws `invalid_config` when `config` is wrong; everything else is a step that is not done */
export async function initialize(
  deps: Deps,
  caller: Caller,
  config: SettingsPatch | undefined,
): Promise<InitReport> {
  const steps: InitStep[] = [];
  let proposedEncryptionKey: string | null = null;
  const step = async (
    name: InitStep["step"],
    work: () => Promise<{ done?: boolean; found: string; next?: string }>,
    onError: (error: BackupError) => string | null = (error) => error.hint ?? null,
  ) => {
    try {
      const { done = true, found, next = null } = await work();
      steps.push({ step: name, done, found, next });
    } catch (thrown) {
      const error = toBackupError(thrown);
      if (error.code === "internal") deps.reportError(error, `init: ${name}`);
      steps.push({ step: name, done: false, found: outwardMessage(error), next: onError(error) });
    }
  };

  await step("tables", async () => {
    const { applied, present } = await deps.state.migrate();
    return {
      found: applied.length > 0 ? `made: ${applied.join(", ")}` : `there: ${present.join(", ")}`,
    };
  });
  if (config !== undefined && Object.keys(config).length > 0) {
    await updateConfig(deps, caller, { updates: config, dryRun: false });
  }
  const { settings, fromTables } = await deps.settings();
  await step(
    "settings",
    () => Promise.resolve({ found: fromTables ? "valid" : "valid; from the environment only" }),
  );
  await step(
    "storage",
    async () => {
      const storage = await deps.openStorage(settings);
      await storage.head("repository.json");
      return { found: storage.location };
    },
    (error) => error.hint ?? "supabase secrets set BACKUP_STORAGE_TYPE=s3 BACKUP_STORAGE_BUCKET=…",
  );
  await step("repository", async () => {
    await deps.openRepository(settings, { create: true });
    return { found: "opened with the key that is set" };
  }, (error) => {
    if (error.code !== "key_missing" && error.code !== "key_weak") return error.hint ?? null;
    proposedEncryptionKey = toBase64(crypto.getRandomValues(new Uint8Array(32)));
    return "Save proposedEncryptionKey outside this project, then: " +
      "supabase secrets set BACKUP_ENCRYPTION_KEY=<the key>";
  });
  await step("list-of-backups", async () => {
    const added = await syncBackups(deps, await deps.openRepository(settings));
    return { found: `${added.length} added from storage` };
  });
  await step("first-backup", async () => {
    const { backups } = await (await deps.openRepository(settings)).listBackups();
    return backups.length > 0
      ? { found: `${backups.length} backups` }
      : { done: false, found: "no backup yet", next: "POST ?action=backup-database" };
  }, () => "POST ?action=backup-database");

  await recordAudit(deps, caller, {
    action: "init",
    subject: null,
    outcome: "completed",
    details: { done: steps.filter((one) => one.done).map((one) => one.step) },
  });
  return { recoverable: steps.every((one) => one.done), steps, proposedEncryptionKey };
}
