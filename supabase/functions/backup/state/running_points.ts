/**
 * Recovery points that are being made: which jobs they wait for, so that one whose service died is
 * concluded by whoever looks next.
 *
 * @module
 */
import type { StateDatabase } from "./database.ts";
import { toJson } from "./job_rows.ts";

/** What is known of a point before it is one. */
export interface RunningPoint {
  pointId: string;
  createdAt: string;
  reason: string | null;
  createdBy: string;
}

/** Rows of `recovery_points` that are not concluded; `RecoveryPointRows` makes them points. */
export class RunningPoints<Plan extends RunningPoint> {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** Writes down what a point will be made of, before the first of its jobs begins. */
  async begin(plan: Plan): Promise<void> {
    const { pointId, createdAt, reason, createdBy } = plan;
    await this.#database.run("record a recovery point", (sql) =>
      sql`
        insert into public.recovery_points
          (point_id, recovery_timestamp, created_at, status, is_consistent, reason, created_by, plan)
        values (${pointId}, ${createdAt}, ${createdAt}, 'running', false, ${reason}, ${createdBy},
          ${sql.json(toJson(plan))})
        on conflict (point_id) do nothing`);
  }

  /** Those that were begun and not concluded, oldest first. */
  async list({ limit }: { limit: number }): Promise<Plan[]> {
    const rows = await this.#database.run(
      "look for recovery points that are not concluded",
      (sql) =>
        sql`
        select plan from public.recovery_points
        where status = 'running' and plan is not null order by created_at limit ${limit}`,
    );
    return rows.map(({ plan }) => plan as Plan);
  }

  /** Takes back one that was begun and will never be a point. */
  async forget(pointId: string): Promise<void> {
    await this.#database.run("forget a recovery point", (sql) =>
      sql`
        delete from public.recovery_points where point_id = ${pointId} and plan is not null`);
  }
}
