/**
 * The menu: every action there is. Routing, validation and the OpenAPI document come from this list.
 *
 * @module
 */
import type { Action } from "./action.ts";
import { backupAll, create } from "./backup_all.ts";
import { backupDatabase, ITEM_BACKUPS } from "./backup_types.ts";
import { cancel } from "./cancel.ts";
import { cleanup } from "./cleanup.ts";
import { disasterRecovery } from "./disaster_recovery.ts";
import { execution, executions } from "./executions.ts";
import { health } from "./health.ts";
import { init } from "./init.ts";
import { job } from "./job.ts";
import { jobs } from "./jobs.ts";
import { openapiAction } from "./openapi.ts";
import { addPlan, enablePlan, plans, removePlan } from "./plans.ts";
import { recoveryPoints } from "./recovery_points.ts";
import { replicate } from "./replicate.ts";
import { restore } from "./restore.ts";
import { status } from "./status.ts";
import { test } from "./test.ts";
import { testRestoreAction } from "./test_restore.ts";
import { updateConfig } from "./update_config.ts";
import { tick } from "./tick.ts";
import { uninstall } from "./uninstall.ts";
import { verify } from "./verify.ts";

/** In the order in which they are shown. */
export const ACTIONS: readonly Action[] = [
  init,
  status,
  health,
  test,
  backupDatabase,
  ...ITEM_BACKUPS,
  backupAll,
  create,
  recoveryPoints,
  restore,
  jobs,
  job,
  cancel,
  verify,
  replicate,
  testRestoreAction,
  cleanup,
  disasterRecovery,
  plans,
  addPlan,
  removePlan,
  enablePlan,
  executions,
  execution,
  updateConfig,
  tick,
  uninstall,
  openapiAction(() => ACTIONS),
];
