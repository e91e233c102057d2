/**
 * Rows of `backup_config`, one per setting that differs, and their versions.
 *
 * @module
 */
import type postgres from "postgres";
import { BackupError } from "../core/errors.ts";
import { describeIssues, type SettingsPatch, settingsPatchSchema } from "../core/settings.ts";
import type { Sql, StateDatabase } from "./database.ts";

/** Held while settings change. */
const LOCK = "7277816997830723";

/** A version of the rows. */
export interface ConfigVersion {
  version: number;
  settings: SettingsPatch;
  changedAt: string;
  changedBy: string | null;
}

/** What a change has made of the rows. */
export interface ConfigChanged {
  /** The version now, or the one that it would be. */
  version: number;
  settings: SettingsPatch;
  /** Names of the settings that are others than before. */
  changed: string[];
  /** When it was written; null when nothing was. */
  changedAt: string | null;
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

  /** Versions, newest first, each with the settings that it changed. */
  async versions(limit = 20): Promise<(ConfigVersion & { changed: string[] })[]> {
    const rows = await this.#database.run("read the versions of the settings", (sql) =>
      sql`
        select version, settings, changed_at, changed_by from backup_internal.config_versions
        order by version desc limit ${limit + 1}`);
    return rows.slice(0, limit).map((row, at) => ({
      version: row.version,
      settings: row.settings,
      changedAt: row.changed_at.toISOString(),
      changedBy: row.changed_by,
      changed: changedKeys(rows[at + 1]?.settings ?? {}, row.settings),
    }));
  }

  /** The version in force; 0 before the first change. */
  async current(): Promise<number> {
    return await this.#database.run("read the version of the settings", currentVersion);
  }

  /**
   * Puts other rows in the place of those that are there, one caller at a time, and keeps them as a new
   * version unless nothing changes. `make` and `check` refuse by throwing.
   *
   * @param make the rows to be, from the rows that are and their version
   */
  async change(
    make: (rows: Record<string, unknown>, version: number) => SettingsPatch,
    options: { changedBy: string | null; dryRun?: boolean; check: (patch: SettingsPatch) => void },
  ): Promise<ConfigChanged> {
    return await this.#database.transaction("change the settings", async (sql) => {
      await sql`select pg_catalog.pg_advisory_xact_lock(${LOCK}::bigint)`;
      const rows = await sql`select config_key, config_value from public.backup_config`;
      const before = Object.fromEntries(rows.map((row) => [row.config_key, row.config_value]));
      const last = await currentVersion(sql);
      const settings = make(before, last);
      options.check(settings);
      const changed = changedKeys(before, settings);
      if (changed.length === 0) return { version: last, settings, changed, changedAt: null };
      const version = last + 1;
      if (options.dryRun) return { version, settings, changed, changedAt: null };
      const changedAt = await write(sql, { settings, version, changedBy: options.changedBy });
      return { version, settings, changed, changedAt };
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

async function currentVersion(sql: Sql): Promise<number> {
  const [last] = await sql`
    select coalesce(max(version), 0)::integer as version from backup_internal.config_versions`;
  return Number(last?.version ?? 0);
}

async function write(
  sql: Sql,
  { settings, version, changedBy }: {
    settings: SettingsPatch;
    version: number;
    changedBy: string | null;
  },
): Promise<string> {
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
  // Not now(): callers wait for each other, and who began first may come last.
  const [row] = await sql`
    insert into backup_internal.config_versions (version, settings, changed_at, changed_by)
    values (${version}, ${
    sql.json(settings as postgres.JSONValue)
  }, clock_timestamp(), ${changedBy})
    returning changed_at`;
  return row!.changed_at.toISOString();
}

/** Names of what differs. Rows come back with the fields of an object in another order than they were given. */
export function changedKeys(
  before: Record<string, unknown>,
  after: Record<string, unknown>,
): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter((key) => sorted(before[key]) !== sorted(after[key])).sort();
}

function sorted(value: unknown): string | undefined {
  return JSON.stringify(
    value,
    (_key, inner) =>
      typeof inner === "object" && inner !== null && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => a < b ? -1 : 1))
        : inner,
  );
}
