/**
 * Brings data into another database.
 *
 * @module
 */
import { z } from "zod";
import { secretReference } from "../../core/storage_settings.ts";
import { BackupError } from "../../core/errors.ts";
import type { StepKind } from "../step.ts";

/** The kinds of migration that there are. */
export const MIGRATION_TYPES = ["backup_to_database"] as const;

const parameters = z.strictObject({
  /** A backup's id, or `latest`. */
  source: z.string().min(1).max(255),
  /** Reference to the address of the database. */
  destination: secretReference,
  migrationType: z.enum(MIGRATION_TYPES),
});

/** See the module. */
export const dataMigration: StepKind = {
  type: "data_migration",
  parameters,
  run: () => Promise.reject(new BackupError("internal", "not built")),
};
