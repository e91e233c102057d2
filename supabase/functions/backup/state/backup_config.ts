/**
 * Rows of `backup_config`, one per setting that differs, and their versions.
 *
 * @module
 */
import type postgres from "postgres";
import { BackupError } from "../core/errors.ts";
import { describeIssues, type SettingsPatch, settingsPatchSchema } from "../core/settings.ts";
import type { StateDatabase } from "./database.ts";

/** Held while settings change. */
const LOCK = "7277816997830723";

/** A version of the rows. */
export interface ConfigVersion {
  version: number;
  settings: SettingsPatch;
  changedAt: string;
  changedBy: string | null;
}

/** The settings that were changed at run time. */
export class BackupConfigTable {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** All rows as one patch, unchecked: whoever merges it checks it. */
  async read(): Promise<Record<string, unknown>> {
    const rows = await this.#database.run(
      "read the settings",
      (sql) => sql`select config_key, config_value from public.backup_config order by config_key`,
    );
    return Object.fromEntries(rows.map((row) => [row.config_key, row.config_value]));
  }

  /** Versions, newest first. */
  async versions(limit = 20): Promise<ConfigVersion[]> {
    const rows = await this.#database.run("read the versions of the settings", (sql) =>
      sql`
        select version, settings, changed_at, changed_by from backup_internal.config_versions
        order by version desc limit ${limit}`);
    return rows.map((row) => ({
      version: row.version,
      settings: row.settings,
      changedAt: row.changed_at.toISOString(),
      changedBy: row.changed_by,
    }));
  }

  /**
   * Lays the patch over the rows and keeps the outcome as a new version. `check` sees the outcome before
   * it is written and refuses by throwing.
   */
  async change(
    make: (rows: Record<string, unknown>) => SettingsPatch,
    options: { changedBy: string | null; dryRun?: boolean; check: (patch: SettingsPatch) => void },
  ): Promise<{ version: number; settings: SettingsPatch }> {
    return await this.#database.transaction("change the settings", async (sql) => {
      await sql`select pg_catalog.pg_advisory_xact_lock(${LOCK}::bigint)`;
      const rows = await sql`select config_key, config_value from public.backup_config`;
      const before = Object.fromEntries(rows.map((row) => [row.config_key, row.config_value]));
      const settings = make(before);
      options.check(settings);
      const [last] = await sql`
        select coalesce(max(version), 0)::integer as version from backup_internal.config_versions`;
      const version = Number(last?.version ?? 0) + 1;
      if (options.dryRun) return { version, settings };
      await sql`
        delete from public.backup_config where config_key <> all(${Object.keys(settings)}::text[])`;
      for (const [key, value] of Object.entries(settings)) {
        await sql`
          insert into public.backup_config (config_key, config_value)
          values (${key}, ${sql.json(value as postgres.JSONValue)})
          on conflict (config_key) do update
            set config_value = excluded.config_value, updated_at = now()
            where backup_config.config_value is distinct from excluded.config_value`;
      }
      await sql`
        insert into backup_internal.config_versions (version, settings, changed_by)
        values (${version}, ${sql.json(settings as postgres.JSONValue)}, ${options.changedBy})`;
      return { version, settings };
    });
  }

  /** The rows of an earlier version; version 0 is "no rows". @throws `not_found` */
  async version(version: number): Promise<SettingsPatch> {
    if (version === 0) return {};
    const rows = await this.#database.run(
      "read a version of the settings",
      (sql) => sql`select settings from backup_internal.config_versions where version = ${version}`,
    );
    if (!rows[0]) {
      throw new BackupError("not_found", `Cannot go back to version ${version}: there is none`, {
        hint: "action=status lists the versions.",
      });
    }
    const parsed = settingsPatchSchema.safeParse(rows[0].settings);
    if (parsed.success) return parsed.data;
    throw new BackupError(
      "invalid_config",
      `Cannot go back to version ${version}: this release does not accept it`,
      { details: { issues: describeIssues(parsed.error) } },
    );
  }
}
