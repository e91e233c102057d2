/**
 * Rows of `disaster_recovery_executions`: an index of the journals in storage.
 *
 * @module
 */
import type postgres from "postgres";
import { momentOfJobId } from "../core/ids.ts";
import {
  type Execution,
  type ExecutionMode,
  type ExecutionStatus,
  hasEnded,
  type RecoveryPlan,
} from "../core/recovery.ts";
import type { Sql, StateDatabase } from "./database.ts";
import { STALE_SECONDS, toJson } from "./job_rows.ts";
import { insertPlanIfMissing } from "./recovery_plans.ts";

/** What a listing may be narrowed to. */
export interface ExecutionFilter {
  planId?: string;
  status?: ExecutionStatus;
  mode?: ExecutionMode;
  trigger?: string;
  limit: number;
  offset: number;
}

/** An execution with the plan that it runs, as it was then. */
export interface PlannedExecution {
  execution: Execution;
  plan: RecoveryPlan;
}

const GONE = {
  code: "interrupted",
  message: "Cannot finish the execution: the worker that ran it is gone",
  hint: "Post the trigger again.",
};

/** See the module. */
export class RecoveryExecutionTable {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /**
   * Writes down an execution that begins, unless one of the plan runs in its mode, or its key was used before:
   * then that one is given, and nothing is written.
   */
  async begin({ execution, plan }: PlannedExecution): Promise<Execution | null> {
    return await this.#database.transaction("record an execution", async (sql) => {
      await failInterrupted(sql);
      await insertPlanIfMissing(sql, plan);
      // The unique indexes decide between two at the same instant; the loser looks again and finds the winner.
      for (;;) {
        const there = await findSame(sql, execution);
        if (there !== null) return there;
        if (await insert(sql, execution)) return null;
      }
    });
  }

  /**
   * Writes an execution as it is now; what has ended stays as it ended. False when another run of the plan
   * stands in its place while it runs.
   */
  async write({ execution, plan }: PlannedExecution): Promise<boolean> {
    return await this.#database.transaction("record an execution", async (sql) => {
      await insertPlanIfMissing(sql, plan);
      if (await update(sql, execution) || await insert(sql, execution)) return true;
      // Its key was used by another one while the tables were out of reach.
      return await insert(sql, { ...execution, idempotencyKey: null });
    });
  }

  /** One execution; null when there is no row. */
  async get(executionId: string): Promise<Execution | null> {
    const rows = await this.#database.run("read an execution", async (sql) => {
      await failInterrupted(sql);
      return await sql`
        select * from public.disaster_recovery_executions where execution_id = ${executionId}`;
    });
    return rows[0] ? toExecution(rows[0]) : null;
  }

  /** Executions, newest first, and how many there are in all. */
  async list(filter: ExecutionFilter): Promise<{ executions: Execution[]; total: number }> {
    return await this.#database.run("list executions", async (sql) => {
      await failInterrupted(sql);
      const { planId = null, status = null, mode = null, trigger = null } = filter;
      const where = sql`
        where (${planId}::text is null or plan_id = ${planId})
          and (${status}::text is null or status = ${status})
          and (${mode}::text is null or mode = ${mode})
          and (${trigger}::text is null or trigger = ${trigger})`;
      const rows = await sql`
        select * from public.disaster_recovery_executions ${where}
        order by started_at desc, execution_id desc limit ${filter.limit} offset ${filter.offset}`;
      const [count] = await sql`
        select count(*)::integer as total from public.disaster_recovery_executions ${where}`;
      return { executions: rows.map(toExecution), total: Number(count?.total ?? 0) };
    });
  }

  /** Of these, the ids that have a row that has ended. */
  async ended(executionIds: readonly string[]): Promise<Set<string>> {
    const rows = await this.#database.run("read executions", (sql) =>
      sql`
        select execution_id from public.disaster_recovery_executions
         where status <> 'running' and execution_id = any(${[...executionIds]}::text[])`);
    return new Set(rows.map((row) => row.execution_id));
  }
}

/** Marks executions as failed that nobody can go on with: their job is not there. */
async function failInterrupted(sql: Sql): Promise<void> {
  await sql`
    update public.disaster_recovery_executions e
       set status = 'failed', completed_at = now(), updated_at = now(),
           duration_ms = least(extract(epoch from now() - started_at) * 1000, 2147483647)::integer,
           error_message = ${GONE.message},
           metadata = coalesce(metadata, '{}') || ${sql.json({ error: GONE })}
     where status = 'running' and updated_at < now() - make_interval(secs => ${STALE_SECONDS})
       and not exists (select from backup_internal.job_runs r where r.job_id = e.execution_id)`;
}

/** The execution that a trigger joins: of the same key, or the one of the plan that runs. */
async function findSame(
  sql: Sql,
  { planId, mode, idempotencyKey }: Execution,
): Promise<Execution | null> {
  const [row] = await sql`
    select * from public.disaster_recovery_executions
     where idempotency_key = ${idempotencyKey}
        or (plan_id = ${planId} and mode = ${mode} and status = 'running')
     order by idempotency_key = ${idempotencyKey} desc nulls last limit 1`;
  return row === undefined ? null : toExecution(row);
}

/** Adds the row unless one stands against it. */
async function insert(sql: Sql, execution: Execution): Promise<boolean> {
  const { trigger, mode, force, rotate, idempotencyKey } = execution;
  const rows = await sql`
    insert into public.disaster_recovery_executions
      (execution_id, plan_id, trigger, status, started_at, completed_at, duration_ms,
       steps_executed, error_message, metadata, job_id, mode, request, idempotency_key,
       recovery_environment, initiated_by, recovery_type, backup_used, data_loss_minutes)
    values (${execution.executionId}, ${execution.planId}, ${trigger}, ${execution.status},
      ${execution.startedAt}, ${execution.completedAt}, ${execution.durationMs},
      ${sql.json(toJson(execution.steps))}, ${execution.error?.message ?? null},
      ${sql.json(metadataOf(execution))}, ${execution.executionId}, ${mode},
      ${sql.json({ trigger, mode, force, rotate, idempotencyKey })}, ${idempotencyKey},
      ${mode === "drill" ? "scratch" : "live"}, ${execution.initiatedBy},
      ${restoredOf(execution).type}, ${restoredOf(execution).backupId},
      ${restoredOf(execution).lossMinutes})
    on conflict do nothing returning execution_id`;
  return rows.length > 0;
}

/** Whether there is a row; one that has ended is not changed by what came before its end. */
async function update(sql: Sql, execution: Execution): Promise<boolean> {
  const { type, backupId, lossMinutes } = restoredOf(execution);
  const changed = await sql`
    update public.disaster_recovery_executions set
      status = ${execution.status}, completed_at = ${execution.completedAt},
      duration_ms = ${execution.durationMs}, steps_executed = ${sql.json(toJson(execution.steps))},
      error_message = ${execution.error?.message ?? null}, updated_at = now(),
      metadata = ${sql.json(metadataOf(execution))}, recovery_type = ${type},
      backup_used = ${backupId}, data_loss_minutes = ${lossMinutes}
     where execution_id = ${execution.executionId}
       and (status = 'running' or ${hasEnded(execution)})
    returning execution_id`;
  if (changed.length > 0) return true;
  const there = await sql`
    select from public.disaster_recovery_executions where execution_id = ${execution.executionId}`;
  return there.length > 0;
}

/** The backup of the database that a step brought back, and how old that was when the trigger came. */
function restoredOf({ steps, startedAt }: Execution) {
  for (const { type, status, details } of steps) {
    const { backupId, backupType, restored, tables } = details;
    const isRestore = type === "backup_restore" && status === "done" && restored === true;
    if (!isRestore || backupType !== "database" || typeof backupId !== "string") continue;
    const moment = momentOfJobId(backupId);
    const lossMs = moment === null ? null : Date.parse(startedAt) - moment.getTime();
    const lossMinutes = lossMs === null ? null : Math.max(0, Math.round(lossMs / 60_000));
    return {
      type: Array.isArray(tables) ? "partial_restore" : "full_restore",
      backupId,
      lossMinutes,
    };
  }
  return { type: null, backupId: null, lossMinutes: null };
}

function metadataOf(execution: Execution): postgres.JSONValue {
  const { planName, message, error, journaled } = execution;
  return toJson({ planName, message, error, journaled });
}

function toExecution(row: postgres.Row): Execution {
  const metadata = (row.metadata ?? {}) as Partial<
    Pick<Execution, "planName" | "message" | "error" | "journaled">
  >;
  const request = row.request as Partial<Pick<Execution, "force" | "rotate">>;
  return {
    executionId: row.execution_id,
    planId: row.plan_id,
    planName: metadata.planName ?? row.plan_id,
    trigger: row.trigger,
    mode: row.mode,
    force: request.force ?? false,
    rotate: request.rotate ?? [],
    idempotencyKey: row.idempotency_key,
    status: row.status,
    initiatedBy: row.initiated_by ?? "",
    startedAt: row.started_at.toISOString(),
    completedAt: row.completed_at?.toISOString() ?? null,
    durationMs: row.duration_ms,
    message: metadata.message ?? null,
    steps: row.steps_executed,
    error: metadata.error ??
      (row.error_message === null ? null : { code: "internal", message: row.error_message }),
    recorded: true,
    journaled: metadata.journaled ?? false,
  };
}
