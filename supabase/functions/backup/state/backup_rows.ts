/**
 * What the rows of `backup_jobs` know of backups that storage should have.
 *
 * @module
 */
import type { StateDatabase } from "./database.ts";

/** A finished backup as its row tells it. */
export interface KnownBackup {
  backupId: string;
  /** Name of its manifest, which is a keyed hash of the whole content; null in rows of others. */
  checksum: string | null;
}

/** Finished backups. A row whose location is null is of a backup that was given up on purpose. */
export class BackupRows {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** Backups that were finished at this place. */
  async knownAt(location: string): Promise<KnownBackup[]> {
    const rows = await this.#database.run("read the list of backups", (sql) =>
      sql`
        select job_id, checksum from public.backup_jobs
        where status = 'completed' and location = ${location} and freed_at is null
        order by job_id`);
    return rows.map((row) => ({ backupId: row.job_id, checksum: row.checksum }));
  }

  /** Records that backups have left storage, and recovery points with them; returns those that were new. */
  async markFreed(
    { backupIds, pointIds }: { backupIds: readonly string[]; pointIds: readonly string[] },
  ): Promise<string[]> {
    return await this.#database.transaction("record what left storage", async (sql) => {
      const rows = await sql`
        update public.backup_jobs set freed_at = now(), updated_at = now()
        where job_id = any(${[...backupIds]}::text[]) and status = 'completed' and freed_at is null
        returning job_id`;
      await sql`
        update public.recovery_points set freed_at = now()
        where point_id = any(${[...pointIds]}::text[]) and freed_at is null`;
      return rows.map((row) => String(row.job_id));
    });
  }

  /** Backups in which a verification has found damage. */
  async damaged(): Promise<string[]> {
    const rows = await this.#database.run(
      "read the list of damaged backups",
      (sql) => sql`select job_id from public.backup_jobs where integrity_verified is false`,
    );
    return rows.map((row) => String(row.job_id));
  }

  /** Backups that somebody made with a reason; the schedule gives none. */
  async withReason(): Promise<string[]> {
    const rows = await this.#database.run("read which backups have a reason", (sql) =>
      sql`
        select job_id from public.backup_jobs
        where status = 'completed' and reason is not null and freed_at is null`);
    return rows.map((row) => String(row.job_id));
  }

  /** Records until when backups are kept by their days; null where something else keeps them. */
  async setRetention(
    kept: readonly { backupId: string; until: string | null }[],
  ): Promise<void> {
    await this.#database.run("record until when backups are kept", (sql) =>
      sql`
        update public.backup_jobs j set retention_until = kept.until, updated_at = now()
        from unnest(${kept.map(({ backupId }) => backupId)}::text[],
          ${kept.map(({ until }) => until)}::timestamptz[]) as kept (job_id, until)
        where j.job_id = kept.job_id and j.status = 'completed'
          and j.retention_until is distinct from kept.until`);
  }

  /**
   * Records that exactly these backups are in a copy: they say so once among their locations, and no other
   * finished backup does.
   */
  async recordCopies(
    { destination, location, backupIds }: {
      destination: string;
      location: string;
      backupIds: readonly string[];
    },
  ): Promise<void> {
    await this.#database.run("record which backups are in a copy", async (sql) => {
      const entry = sql.json({ copy: destination, location });
      await sql`
        with told as (
          select j.job_id, (
            select coalesce(jsonb_agg(e.entry order by e.place), '[]')
            from jsonb_array_elements(j.locations) with ordinality as e (entry, place)
            where e.entry->>'copy' is distinct from ${destination}
          ) || case when j.job_id = any(${[...backupIds]}::text[])
            then jsonb_build_array(${entry}::jsonb) else '[]' end as locations
          from public.backup_jobs j
          where j.status = 'completed' and jsonb_typeof(j.locations) = 'array')
        update public.backup_jobs j set locations = told.locations, updated_at = now()
        from told where told.job_id = j.job_id and told.locations <> j.locations`;
    });
  }

  /** Gives backups up: their rows stay, and storage is no longer expected to have them. */
  async giveUp(backupIds: readonly string[]): Promise<string[]> {
    const rows = await this.#database.run("give backups up", (sql) =>
      sql`
        update public.backup_jobs set location = null, updated_at = now(),
          metadata = metadata || jsonb_build_object('givenUpAt', now(), 'locationBefore', location)
        where job_id = any(${[...backupIds]}::text[]) and status = 'completed'
          and location is not null
        returning job_id`);
    return rows.map((row) => String(row.job_id));
  }

  /** Those that were given up. */
  async givenUp(): Promise<string[]> {
    const rows = await this.#database.run("read which backups were given up", (sql) =>
      sql`
        select job_id from public.backup_jobs where location is null and metadata ? 'givenUpAt'`);
    return rows.map((row) => String(row.job_id));
  }

  /** Records that a backup was restored into a scratch database and found equal. */
  async markTested(backupId: string, at: Date): Promise<void> {
    await this.#database.run("record a restore test", (sql) =>
      sql`
        update public.backup_jobs set last_tested = ${at.toISOString()}, integrity_verified = true
        where job_id = ${backupId}`);
  }

  /** When a backup of this place was last tested so; null when none ever was. */
  async lastTestedAt(location: string): Promise<{ backupId: string; at: string } | null> {
    const rows = await this.#database.run("read the restore tests", (sql) =>
      sql`
        select job_id, last_tested from public.backup_jobs
        where location = ${location} and last_tested is not null
        order by last_tested desc limit 1`);
    const row = rows[0];
    return row === undefined ? null : { backupId: row.job_id, at: row.last_tested.toISOString() };
  }
}
