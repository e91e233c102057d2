/**
 * Rows of `disaster_recovery_plans`: an index of the plans in storage and of those that the release brings.
 *
 * @module
 */
import type postgres from "postgres";
import type { KnownPlan, PlanObjectives, RecoveryPlan } from "../core/recovery.ts";
import type { Sql, StateDatabase } from "./database.ts";
import { toJson } from "./job_rows.ts";

/** A plan as its row keeps it. */
export interface PlanRow extends KnownPlan {
  /** Removed, and kept because executions refer to it. */
  hidden: boolean;
}

/** A plan to write. */
export interface NewPlanRow {
  plan: RecoveryPlan;
  version: number;
  isDefault: boolean;
  createdBy: string | null;
}

/** See the module. */
export class RecoveryPlanTable {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** All plans, hidden ones too, by id. */
  async list(): Promise<PlanRow[]> {
    const rows = await this.#database.run("read the recovery plans", (sql) =>
      sql`
        select * from public.disaster_recovery_plans order by plan_id`);
    return rows.map(toPlan);
  }

  /** Writes plans, unless a row has a newer version; what was removed is there again. */
  async put(plans: readonly NewPlanRow[]): Promise<void> {
    await this.#database.transaction("write a recovery plan", async (sql) => {
      for (const plan of plans) await upsert(sql, plan);
    });
  }

  /** Takes a plan away; one that has executions is hidden. */
  async remove(planId: string, version: number): Promise<"removed" | "hidden"> {
    return await this.#database.transaction("remove a recovery plan", async (sql) => {
      // Locked, so that no execution comes between the look and what follows from it.
      await sql`
        select from public.disaster_recovery_plans where plan_id = ${planId} for update`;
      const gone = await sql`
        delete from public.disaster_recovery_plans p
         where plan_id = ${planId} and not exists (
           select from public.disaster_recovery_executions e where e.plan_id = p.plan_id)
        returning plan_id`;
      if (gone.length > 0) return "removed";
      await sql`
        update public.disaster_recovery_plans
           set hidden = true, version = ${version}, updated_at = now()
         where plan_id = ${planId} and version <= ${version}`;
      return "hidden";
    });
  }

  /** An execution of the plan has done its work. */
  async markTested(planId: string, at: string): Promise<void> {
    await this.#database.run("mark a recovery plan as tested", (sql) =>
      sql`
        update public.disaster_recovery_plans
           set last_tested = greatest(last_tested, ${at}::timestamptz), updated_at = now()
         where plan_id = ${planId}`);
  }
}

/** A row for a plan that executions refer to, unless it is there. */
export async function insertPlanIfMissing(sql: Sql, plan: RecoveryPlan): Promise<void> {
  await sql`
    insert into public.disaster_recovery_plans
      (plan_id, name, description, priority, triggers, steps, estimated_recovery_time, enabled,
       version, hidden, metadata)
    values (${plan.id}, ${plan.name}, ${plan.description}, ${plan.priority},
      ${sql.json(plan.triggers)}, ${sql.json(toJson(plan.steps))}, ${plan.estimatedRecoveryTime},
      ${plan.enabled}, 0, true, ${sql.json(metadataOf(plan))})
    on conflict (plan_id) do nothing`;
}

async function upsert(
  sql: Sql,
  { plan, version, isDefault, createdBy }: NewPlanRow,
): Promise<void> {
  await sql`
    insert into public.disaster_recovery_plans as p
      (plan_id, name, description, priority, triggers, steps, estimated_recovery_time, enabled,
       version, is_default, created_by, metadata)
    values (${plan.id}, ${plan.name}, ${plan.description}, ${plan.priority},
      ${sql.json(plan.triggers)}, ${sql.json(toJson(plan.steps))}, ${plan.estimatedRecoveryTime},
      ${plan.enabled}, ${version}, ${isDefault}, ${createdBy}, ${sql.json(metadataOf(plan))})
    on conflict (plan_id) do update set
      name = excluded.name, description = excluded.description, priority = excluded.priority,
      triggers = excluded.triggers, steps = excluded.steps, enabled = excluded.enabled,
      estimated_recovery_time = excluded.estimated_recovery_time, version = excluded.version,
      is_default = excluded.is_default, hidden = false, metadata = excluded.metadata,
      updated_at = now()
    where p.version <= excluded.version`;
}

function metadataOf({ objectives }: RecoveryPlan): postgres.JSONValue {
  return toJson(objectives === undefined ? {} : { objectives });
}

function toPlan(row: postgres.Row): PlanRow {
  const objectives = row.metadata?.objectives as PlanObjectives | undefined;
  return {
    id: row.plan_id,
    name: row.name,
    description: row.description ?? "",
    priority: row.priority,
    triggers: row.triggers,
    steps: row.steps,
    estimatedRecoveryTime: row.estimated_recovery_time,
    enabled: row.enabled,
    ...(objectives === undefined ? {} : { objectives }),
    lastTested: row.last_tested?.toISOString() ?? null,
    isDefault: row.is_default,
    version: row.version,
    hidden: row.hidden,
  };
}
