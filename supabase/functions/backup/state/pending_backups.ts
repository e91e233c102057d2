/**
 * Backups that were asked for and that nobody has begun. `create_manual_backup` writes one for now, a recovery
 * point with a time several for later; `tick` begins them when they are due.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { JobType } from "../core/job.ts";
import type { StateDatabase } from "./database.ts";
import { toJson } from "./job_rows.ts";

/** So many may wait; `create_manual_backup` has the same bound. */
const MOST_PENDING = 100;

/** A backup that waits to be begun. */
export interface PendingBackup {
  jobId: string;
  type: JobType;
  reason: string | null;
  createdBy: string | null;
  /** The plan of the recovery point that it belongs to, as it was given; null for one alone. */
  point: unknown;
}

/** A backup of a recovery point that is to be begun later. */
export interface PlannedBackup extends PendingBackup {
  pointId: string;
  startAt: string;
  isHigh: boolean;
}

/** Rows of `backup_jobs` that are pending. */
export class PendingBackups {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** Writes all of them down, or none. @throws `conflict` when too many wait already */
  async add(backups: readonly PlannedBackup[]): Promise<void> {
    await this.#database.transaction("write down backups for later", async (sql) => {
      const [found] = await sql`
        select count(*)::integer as waiting from public.backup_jobs where status = 'pending'`;
      const waiting = Number(found?.waiting ?? 0);
      if (waiting + backups.length > MOST_PENDING) throw tooMany(waiting);
      for (const { jobId, type, reason, createdBy, point, pointId, startAt, isHigh } of backups) {
        const request = { task: "backup", priority: isHigh ? "high" : "normal", point };
        await sql`
          insert into public.backup_jobs
            (job_id, type, status, started_at, reason, created_by, components, recovery_point_id, metadata)
          values (${jobId}, ${type}, 'pending', ${startAt}, ${reason}, ${createdBy},
            ${sql.json([type])}, ${pointId}, ${sql.json(toJson({ request }))})`;
      }
    });
  }

  /** Those whose time has come by the server's clock: what goes before others first, then by time. */
  async due(limit = 10): Promise<PendingBackup[]> {
    const rows = await this.#database.run("read the backups that were asked for", (sql) =>
      sql`
        select job_id, type, reason, created_by, metadata #> '{request,point}' as point
          from public.backup_jobs where status = 'pending' and started_at <= now()
         order by metadata #>> '{request,priority}' is distinct from 'high', started_at, job_id
         limit ${limit}`);
    return rows.map((row) => ({
      jobId: row.job_id,
      type: row.type,
      reason: row.reason,
      createdBy: row.created_by,
      point: row.point,
    }));
  }

  /** Takes a backup back, unless somebody has begun it. */
  async takeBack(jobId: string): Promise<boolean> {
    const rows = await this.#database.run("take a backup back", (sql) =>
      sql`
        update public.backup_jobs set status = 'cancelled', completed_at = now(), updated_at = now(),
          started_at = least(started_at, now())
        where job_id = ${jobId} and status = 'pending' returning job_id`);
    return rows.length > 0;
  }
}

function tooMany(waiting: number): BackupError {
  return new BackupError("conflict", `Cannot plan a backup: ${waiting} are waiting already`, {
    hint: "Take back what nobody needs (action=cancel), or see whether action=tick is called.",
  });
}
