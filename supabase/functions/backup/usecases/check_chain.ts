/**
 * Proves the whole chain end to end without touching data: settings, storage (write, read, delete), key,
 * database and rights, tables.
 *
 * @module
 */
import { utf8 } from "../core/bytes.ts";
import { BackupError, outwardMessage, toBackupError } from "../core/errors.ts";
import { randomId } from "../core/ids.ts";
import type { Settings } from "../core/settings.ts";
import { connect } from "../postgres/connect.ts";
import type { Deps } from "./deps.ts";
import { checkNothingLost } from "./recoverability.ts";

/** Outcome of one link of the chain. */
export interface Check {
  name: string;
  ok: boolean;
  ms: number;
  /** What was found. */
  found: string;
  error: { code: string; message: string; hint?: string } | null;
}

/** All links, in order; one that fails does not stop the next. */
export async function checkChain(deps: Deps): Promise<{ ok: boolean; checks: Check[] }> {
  const checks: Check[] = [];
  const check = async (name: string, work: () => Promise<string>) => {
    const begun = deps.clock.now().getTime();
    let found = "";
    let error: Check["error"] = null;
    try {
      found = await work();
    } catch (thrown) {
      const failure = toBackupError(thrown);
      if (failure.code === "internal") deps.reportError(failure, `test: ${name}`);
      const { code, hint } = failure;
      error = { code, message: outwardMessage(failure), ...(hint === undefined ? {} : { hint }) };
    }
    checks.push({
      name,
      ok: error === null,
      ms: deps.clock.now().getTime() - begun,
      found,
      error,
    });
  };
  let settings: Settings | null = null;
  await check("settings", async () => {
    const read = await deps.settings();
    settings = read.settings;
    return read.fromTables ? "environment and backup_config" : "environment only";
  });
  const known = () => {
    if (settings) return settings;
    throw new BackupError("invalid_config", "Cannot check: the settings cannot be read");
  };
  await check("storage", () => checkStorage(deps, known()));
  await check("repository", () => checkRepository(deps, known()));
  await check("database", () => checkDatabase(deps));
  await check("tables", async () => {
    await deps.state.jobs.failInterrupted();
    return "there and readable";
  });
  return { ok: checks.every((one) => one.ok), checks };
}

/** Objects of this prefix belong to nobody and may be removed. */
const PROBE_PREFIX = "probe/";

async function checkStorage(deps: Deps, settings: Settings): Promise<string> {
  const storage = await deps.openStorage(settings);
  const name = `${PROBE_PREFIX}${randomId(16)}`;
  const content = utf8(`probe ${name}`);
  await storage.put(name, content);
  try {
    const read = await storage.get(name);
    if (read.length !== content.length || read.some((byte, i) => byte !== content[i])) {
      throw new BackupError("object_altered", "Cannot trust the storage: it returned other bytes");
    }
  } finally {
    await storage.delete(name);
  }
  if (await storage.head(name) !== null) {
    throw new BackupError("storage_refused", "Cannot delete from the storage: the probe is there", {
      hint: "Object lock or a missing right; backups work, freeing space will not.",
    });
  }
  return `wrote, read and deleted at ${storage.location}`;
}

async function checkRepository(deps: Deps, settings: Settings): Promise<string> {
  try {
    const repository = await deps.openRepository(settings);
    const list = await repository.listBackups();
    await checkNothingLost(deps, { location: repository.location, list });
    return `opened; ${list.backups.length} backups, all that the tables know`;
  } catch (error) {
    const failure = toBackupError(error);
    if (failure.code !== "repository_missing") throw failure;
    const { location } = await deps.openStorage(settings);
    await checkNothingLost(deps, { location, list: null });
    return "none yet; the first backup makes it";
  }
}

async function checkDatabase(deps: Deps): Promise<string> {
  const url = deps.environment.databaseUrl;
  if (url === null) {
    throw new BackupError("invalid_config", "Cannot reach the database: no address is set", {
      hint: "Set SUPABASE_DB_URL.",
    });
  }
  const session = await connect({
    url,
    applicationName: "supabase-backup",
    connectTimeoutMs: 8000,
  });
  try {
    const [facts] = await session.query(`
      select current_user as role, r.rolsuper as superuser, r.rolbypassrls as bypass
      from pg_catalog.pg_roles r where r.rolname = current_user`);
    const unreadable = await session.query(`
      select format('%I.%I', n.nspname, c.relname) as name
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'm') and n.nspname not like 'pg\\_%'
        and n.nspname <> 'information_schema' and c.relpersistence <> 't'
        and not (pg_catalog.has_schema_privilege(n.oid, 'USAGE')
          and pg_catalog.has_table_privilege(c.oid, 'SELECT'))
      order by 1 limit 20`);
    const rights = facts?.superuser ? "superuser" : facts?.bypass ? "bypasses RLS" : "under RLS";
    const lacking = unreadable.length === 0
      ? "reads every table"
      : `cannot read ${unreadable.map((row) => row.name).join(", ")}`;
    const way = session.inClear
      ? "; the connection is not encrypted: say sslmode in its address"
      : "";
    return `PostgreSQL ${session.serverVersion} as ${facts?.role} (${rights}); ${lacking}${way}`;
  } finally {
    await session.close();
  }
}
