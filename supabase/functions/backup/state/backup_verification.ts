/**
 * Rows of `backup_verification`, and what they say in those of `backup_jobs`.
 *
 * @module
 */
import type { StateDatabase } from "./database.ts";
import { toJson } from "./job_rows.ts";

/** What was looked at: objects and sizes only, or all content. */
export type VerificationType = "existence" | "checksum" | "integrity_check" | "restore_test";

/** What a verification found of one backup. */
export interface VerificationResult {
  backupId: string;
  verificationType: VerificationType;
  success: boolean;
  /** Counts and codes; never values of rows. */
  details: Record<string, unknown>;
}

/** Stands for a job where whoever brings the tables up found that a record cannot be read. */
const LIST = "list-of-backups";

/** Results of verifications; rows are only ever added. */
export class BackupVerificationRows {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /**
   * Adds what a job has found, a row for each backup, and marks the backups: damage always, soundness only
   * where all content was read. What was found in a copy marks none: the backup itself may be another way. Doing
   * it twice is doing it once.
   */
  async add(
    results: readonly VerificationResult[],
    { jobId, location, verifiedBy, ofCopy = false }: {
      jobId: string;
      location: string;
      verifiedBy: string | null;
      /** @default false */
      ofCopy?: boolean;
    },
  ): Promise<void> {
    if (results.length === 0) return;
    await this.#database.transaction("record a verification", async (sql) => {
      const added = await sql`
        insert into public.backup_verification
          (job_id, location, verified_by, backup_id, verification_type, success, details)
        select ${jobId}, ${location}, ${verifiedBy}, f."backupId", f."verificationType", f.success,
          f.details
        from jsonb_to_recordset(${sql.json(toJson(results))}) as f("backupId" text,
          "verificationType" text, success boolean, details jsonb)
        on conflict (job_id, backup_id, verification_type) do nothing
        returning id`;
      if (ofCopy) return;
      await sql`
        update public.backup_jobs j set integrity_verified = v.success, updated_at = now()
        from public.backup_verification v
        where v.id = any(${added.map(({ id }) => String(id))}::uuid[]) and j.job_id = v.backup_id
          and j.integrity_verified is distinct from v.success
          and (not v.success or v.verification_type <> 'existence')`;
    });
  }

  /** Remembers records, of backups or recovery points, that cannot be read; each once. */
  async noteUnreadable(
    records: readonly { id: string; code: string }[],
    { location }: { location: string },
  ): Promise<void> {
    const results = records.map(({ id, code }): VerificationResult => ({
      ...{
        backupId: id,
        verificationType: "existence",
        success: false,
        details: { codes: [code] },
      },
    }));
    await this.add(results, { jobId: LIST, location, verifiedBy: null });
  }

  /** Those of these that are remembered so. */
  async unreadable(ids: readonly string[]): Promise<Set<string>> {
    const rows = await this.#database.run("read which records cannot be read", (sql) =>
      sql`
        select backup_id from public.backup_verification
        where backup_id = any(${[...ids]}::text[]) and job_id = ${LIST}`);
    return new Set(rows.map((row) => String(row.backup_id)));
  }

  /**
   * When each backup was last verified at this place, by any means or by reading all of it; backups without are
   * absent.
   */
  async lastDates(
    backupIds: readonly string[],
    { location, complete = false }: { location: string; complete?: boolean },
  ): Promise<Map<string, string>> {
    const rows = await this.#database.run("read the verifications", (sql) =>
      sql`
        select backup_id, max(verification_date) as last from public.backup_verification
        where backup_id = any(${[...backupIds]}::text[]) and location = ${location}
          and (not ${complete} or verification_type <> 'existence')
        group by backup_id`);
    return new Map(rows.map((row) => [row.backup_id, row.last.toISOString()]));
  }

  /**
   * When backups at this place were last verified, null for never, and those of them that are there still and
   * are marked as damaged.
   */
  async integrityAt(location: string): Promise<{ lastAt: string | null; damaged: string[] }> {
    return await this.#database.run("read the verifications", async (sql) => {
      const [row] = await sql`
        select max(verification_date) as last from public.backup_verification
        where location = ${location} and job_id is distinct from ${LIST}`;
      const damaged = await sql`
        select job_id from public.backup_jobs
        where integrity_verified is false and location = ${location} and freed_at is null
        order by job_id`;
      return {
        lastAt: row?.last?.toISOString() ?? null,
        damaged: damaged.map(({ job_id }) => String(job_id)),
      };
    });
  }

  /** Backups in which the latest verification at this place that could tell has found damage. */
  async damagedAt(location: string): Promise<string[]> {
    const rows = await this.#database.run("read what is damaged in a copy", (sql) =>
      sql`
        select backup_id from (
          select distinct on (backup_id) backup_id, success from public.backup_verification
          where location = ${location} and (not success or verification_type <> 'existence')
          order by backup_id, verification_date desc) latest
        where not success`);
    return rows.map((row) => String(row.backup_id));
  }
}
