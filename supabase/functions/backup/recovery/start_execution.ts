/**
 * Starts an execution, or joins the one that runs. While the tables cannot be used it runs in the memory of
 * this process, and the answer holds the command that restores without the service.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { newJobId } from "../core/ids.ts";
import { toJson } from "../core/json.ts";
import {
  type Execution,
  type ExecutionMode,
  hasEnded,
  type RecoveryPlan,
} from "../core/recovery.ts";
import { Turns } from "../core/turns.ts";
import type { Caller, Deps } from "../usecases/deps.ts";
import { recordAudit } from "../usecases/jobs/record_audit.ts";
import { backupToAssess } from "../usecases/mend/backup_to_assess.ts";
import { restoreCommand } from "../usecases/restore/restore_command.ts";
import { choosePlan } from "./choose_plan.ts";
import { type AskedExecution, firstOfExecution } from "./define_execution.ts";
import { goOnWith } from "./go_on_execution.ts";
import { isActing, newExecution, typeOfPlan } from "./execution.ts";
import { Journal } from "./journal.ts";
import { readPlans } from "./plans.ts";
import { refuseOther, remember } from "./record_execution.ts";
import { tellBegin } from "./tell_execution.ts";

/** What a caller asks for. */
export interface StartExecution {
  planId?: string;
  trigger: string;
  mode?: ExecutionMode;
  force: boolean;
  rotate: string[];
  idempotencyKey?: string;
}

/** What a caller is told. */
export interface StartedExecution {
  execution: Execution;
  /** It was started by an earlier trigger. */
  joined: boolean;
  /** Restores the database from a computer; null where the plan restores none or the service can do it. */
  commandLine: string | null;
}

/** Tries of one part before its worker is given up; a step's own tries are counted otherwise. */
const MAX_ATTEMPTS = 8;

/** One start at a time in this process: two cannot both find that none runs. */
const starting = new Turns();

/**
 * @throws `not_found`, `invalid_request` and `conflict` as {@linkcode choosePlan}; `conflict` for a key that
 * another plan's execution has
 */
export async function startExecution(
  service: Deps,
  caller: Caller,
  request: StartExecution,
): Promise<StartedExecution> {
  // A database that does not answer costs some seconds each time that it is asked: once is enough.
  const settings = service.settings();
  settings.catch(() => {}); // whoever needs them finds out
  const deps: Deps = { ...service, settings: () => settings };
  const { plans, from } = await readPlans(deps);
  const { plan, mode } = choosePlan(plans, request);
  const { trigger, force, rotate, idempotencyKey = null } = request;
  const at = deps.clock.now();
  const { name, requestId } = caller;
  const start = {
    executionId: newJobId("recovery", at),
    plan: wordsOf(plan),
    request: { trigger, mode, force, rotate, idempotencyKey, caller: { name, requestId } },
    startedAt: at.toISOString(),
  };
  const turn = await starting.take();
  try {
    const fresh = newExecution({ ...start, journaled: false });
    const other = findHere(deps, fresh) ??
      (from === "tables" && await begin(deps, { execution: fresh, plan: start.plan }));
    if (typeof other !== "boolean") return join(deps, other, fresh);
    const journaled = await new Journal(deps, start.executionId).begin(start);
    return await run(deps, caller, {
      asked: { task: "recovery", ...start, journaled },
      isWritten: other,
    });
  } finally {
    turn.end();
  }
}

/** The execution of this process that stands in the place of a new one. */
function findHere(
  { recovery }: Deps,
  { planId, mode, idempotencyKey }: Execution,
): Execution | undefined {
  return [...recovery.executions.values()].map(({ execution }) => execution).find((each) =>
    (idempotencyKey !== null && each.idempotencyKey === idempotencyKey) ||
    (each.planId === planId && each.mode === mode && !hasEnded(each))
  );
}

/** The same of the tables; else whether this one is written down now. */
async function begin(
  deps: Deps,
  planned: { execution: Execution; plan: RecoveryPlan },
): Promise<Execution | boolean> {
  try {
    return await deps.state.executions.begin(planned) ?? true;
  } catch (error) {
    refuseOther(deps, error);
    return false;
  }
}

function join(deps: Deps, other: Execution, asked: Execution): StartedExecution {
  if (other.planId !== asked.planId || other.mode !== asked.mode) {
    throw new BackupError(
      "conflict",
      `Cannot run the plan ${asked.planId}: the idempotencyKey belongs to another execution`,
      {
        hint: "Take a new key for each thing that is to be done.",
        details: { executionId: other.executionId, planId: other.planId, mode: other.mode },
      },
    );
  }
  goOnWith(deps, other);
  return { execution: other, joined: true, commandLine: null };
}

async function run(
  deps: Deps,
  caller: Caller,
  { asked, isWritten }: { asked: AskedExecution; isWritten: boolean },
): Promise<StartedExecution> {
  const { executionId, plan } = asked;
  const job = await deps.jobs.start({
    job: {
      ...{ jobId: executionId, kind: "recovery", type: typeOfPlan(plan), backupId: plan.id },
      ...{ reason: asked.request.trigger, createdBy: caller.name },
    },
    request: toJson(asked),
    first: firstOfExecution(),
    bounds: { maxWorkers: 1, maxAttempts: MAX_ATTEMPTS, maxRounds: 1 },
    concurrency: 1,
    evenIfRefused: true,
  });
  const execution = { ...newExecution(asked), recorded: isWritten && job.recorded };
  if (!execution.recorded && !deps.recovery.executions.has(executionId)) {
    remember(deps, { execution, plan });
  }
  const audited = recordAudit(deps, caller, {
    action: "disaster-recovery",
    subject: executionId,
    outcome: "accepted",
    details: { planId: plan.id, trigger: execution.trigger, mode: execution.mode },
  });
  if (execution.recorded) await audited;
  else deps.inBackground(audited);
  deps.inBackground(tellBegin(deps, execution, plan));
  const commandLine = execution.recorded ? null : await commandFor(deps, plan);
  return { execution, joined: false, commandLine };
}

/** The line that restores the newest backup of the database from a computer. */
async function commandFor(deps: Deps, plan: RecoveryPlan): Promise<string | null> {
  const restores = plan.steps.some((step) =>
    step.type === "backup_restore" && isActing(step) && step.parameters.backupType === "database"
  );
  if (!restores) return null;
  const { settings } = await deps.settings();
  const backupId = await newestBackup(deps);
  return restoreCommand({ settings, backupId, request: {}, targetDatabaseUrl: null, isDown: true });
}

async function newestBackup(deps: Deps): Promise<string> {
  try {
    const { settings } = await deps.settings();
    const repository = await deps.openRepository(settings);
    return (await backupToAssess(repository, { wanted: "latest", trace: null })).backupId;
  } catch (error) {
    if (!(error instanceof BackupError)) throw error;
    return "latest"; // the command finds it, once the storage answers
  }
}

/** The plan without what the service knows of it. */
function wordsOf({ lastTested: _, isDefault: __, version: ___, ...plan }: RecoveryPlan & {
  lastTested: unknown;
  isDefault: unknown;
  version: unknown;
}): RecoveryPlan {
  return plan;
}
