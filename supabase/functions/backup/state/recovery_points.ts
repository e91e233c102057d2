/**
 * Rows of `recovery_points`.
 *
 * @module
 */
import type { StateDatabase } from "./database.ts";
import { toJson } from "./job_rows.ts";

/** A recovery point that storage has, as its row tells it. Times are ISO 8601. */
export interface StoredPoint {
  pointId: string;
  /** The backup of the database; null when the point has none. */
  backupId: string | null;
  /** The moment that the database shows; without one, the end of the point. */
  recoveryTimestamp: string;
  /** Whether the database is of one moment. */
  isConsistent: boolean;
  createdAt: string;
  completedAt: string;
  status: "completed" | "partial" | "failed";
  reason: string | null;
  createdBy: string | null;
  components: readonly unknown[];
  consistency: readonly string[];
  location: string;
}

/** An index of the points in storage. */
export class RecoveryPointRows {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** Of these points, those that have no row as it should be, in the same order. */
  async unknown(pointIds: readonly string[]): Promise<string[]> {
    const rows = await this.#database.run("read the recovery points", (sql) =>
      sql`
        select id from unnest(${[...pointIds]}::text[]) with ordinality as stored (id, place)
        where not exists (select from public.recovery_points p
          where p.point_id = stored.id and p.freed_at is null and p.plan is null)
        order by place`);
    return rows.map((row) => String(row.id));
  }

  /**
   * Adds rows for points that storage has, and fills those of points that were being made.
   *
   * @returns the ids of those that the table did not have
   */
  async addFromStorage(points: readonly StoredPoint[]): Promise<string[]> {
    return await this.#database.run("write the recovery points", async (sql) => {
      const added: string[] = [];
      for (const point of points) {
        const rows = await sql`
          insert into public.recovery_points
            (point_id, backup_id, recovery_timestamp, is_consistent, created_at, completed_at, status,
             reason, created_by, components, consistency, location)
          values (${point.pointId}, ${point.backupId}, ${point.recoveryTimestamp},
            ${point.isConsistent}, ${point.createdAt}, ${point.completedAt}, ${point.status},
            ${point.reason}, ${point.createdBy}, ${sql.json(toJson(point.components))},
            ${sql.json(toJson(point.consistency))}, ${point.location})
          on conflict (point_id) do update set freed_at = null, plan = null, status = excluded.status,
            backup_id = excluded.backup_id, recovery_timestamp = excluded.recovery_timestamp,
            is_consistent = excluded.is_consistent, completed_at = excluded.completed_at,
            components = excluded.components, consistency = excluded.consistency,
            location = excluded.location
            where recovery_points.freed_at is not null or recovery_points.plan is not null
          returning point_id`;
        if (rows.length > 0) added.push(point.pointId);
      }
      return added;
    });
  }
}
