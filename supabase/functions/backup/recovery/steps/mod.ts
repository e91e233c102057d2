/**
 * What each type of step is made of.
 *
 * @module
 */
import type { StepKind, StepType } from "../step.ts";
import { backupRestore } from "./backup_restore.ts";
import { configUpdate } from "./config_update.ts";
import { dataMigration } from "./data_migration.ts";
import { notification } from "./notification.ts";
import { serviceRestart } from "./service_restart.ts";

/** By type; the list is closed. */
export const STEP_KINDS: Readonly<Record<StepType, StepKind>> = {
  backup_restore: backupRestore,
  service_restart: serviceRestart,
  config_update: configUpdate,
  data_migration: dataMigration,
  notification,
};
