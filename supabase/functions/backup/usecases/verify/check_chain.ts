/**
 * Proves the whole chain end to end without touching data: settings, storage and its provider, key,
 * database and rights, tables, and whether people would be told.
 *
 * @module
 */
import { readNewest } from "../service/newest_backups.ts";
import { startStopwatch } from "../../core/clock.ts";
import { BackupError, outwardMessage, toBackupError } from "../../core/errors.ts";
import type { Settings } from "../../core/settings.ts";
import { connect } from "../../postgres/connect.ts";
import type { ProviderFinding } from "../../storage/check_provider.ts";
import { checkDestination, tellOf } from "./check_destination.ts";
import type { Deps } from "../deps.ts";
import { readNotifications } from "../people/read_notifications.ts";
import { checkNothingLost } from "../service/recoverability.ts";

/** Outcome of one link of the chain. */
export interface Check {
  name: string;
  ok: boolean;
  ms: number;
  /** What was found. */
  found: string;
  error: { code: string; message: string; hint?: string } | null;
  /** Of the storage and each destination: what the provider keeps of its promises. */
  findings?: ProviderFinding[];
}

/** For the bucket that files are read from: whoever asks waits. */
const FILES_TIMEOUT_MS = 15_000;

/** All links, in order; one that fails does not stop the next. */
export async function checkChain(deps: Deps): Promise<{ ok: boolean; checks: Check[] }> {
  const checks: Check[] = [];
  const check = async (name: string, work: (check: Partial<Check>) => Promise<string>) => {
    const tookMs = startStopwatch(deps.clock);
    const more: Partial<Check> = {};
    let found = "";
    let error: Check["error"] = null;
    try {
      found = await work(more);
    } catch (thrown) {
      const failure = toBackupError(thrown);
      if (failure.code === "internal") deps.reportError(failure, `test: ${name}`);
      const { code, hint } = failure;
      error = { code, message: outwardMessage(failure), ...(hint === undefined ? {} : { hint }) };
    }
    checks.push({
      name,
      ok: error === null,
      ms: Math.round(tookMs()),
      found,
      error,
      ...more,
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
  const tried = (destination?: string) => async (more: Partial<Check>) => {
    const { location, findings } = await checkDestination(deps, known(), { destination });
    more.findings = findings;
    return tellOf(location, findings);
  };
  await check("storage", tried());
  const copies = () => settings?.destinations ?? [];
  for (const { name } of copies()) await check(`destination ${name}`, tried(name));
  await check("repository", () => checkRepository(deps, known()));
  if (deps.environment.variable("BACKUP_FILES_SOURCE_BUCKET") !== undefined) {
    await check("files", () => checkFiles(deps, known()));
  }
  await check("database", () => checkDatabase(deps));
  await check("tables", () => checkTables(deps));
  // Nobody has to be told: what channels lack is said, and fails nothing.
  await check("notifications", async () => (await readNotifications(deps, known())).found);
  return { ok: checks.every((one) => one.ok), checks };
}

async function checkTables(deps: Deps): Promise<string> {
  await deps.state.jobs.failInterrupted();
  const { unknown = [] } = await deps.state.release() ?? {};
  if (unknown.length === 0) return "there and readable";
  throw new BackupError(
    "conflict",
    `Cannot answer for the tables: a newer release made them (${unknown.join(", ")})`,
    { hint: "Deploy the newer release of the function." },
  );
}

async function checkRepository(deps: Deps, settings: Settings): Promise<string> {
  try {
    const repository = await deps.openRepository(settings);
    const stored = await readNewest(repository);
    await checkNothingLost(deps, { location: repository.location, stored });
    const count = stored.ids.length - stored.list.damaged.length;
    return `opened; ${count} backups, all that the tables know`;
  } catch (error) {
    const failure = toBackupError(error);
    if (failure.code !== "repository_missing") throw failure;
    const { location } = await deps.openStorage(settings);
    await checkNothingLost(deps, { location, stored: null });
    return "none yet; the first backup makes it";
  }
}

/** The bucket that files are read from in place of Storage: a page of its names, and one byte. */
async function checkFiles(deps: Deps, settings: Settings): Promise<string> {
  const { source, leave } = await deps.project.source("files", settings);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(noAnswer()), FILES_TIMEOUT_MS);
  const { signal } = stop;
  try {
    const { items, next } = await source.page(null, signal);
    const named = `${items.length}${next === null ? "" : " and more"} objects listed`;
    const item = items.find(({ sizeBytes }) => sizeBytes > 0);
    if (item === undefined) return `${named}; none of them has bytes to read`;
    const range = await source.readRange!(item, { from: 0, to: 1, signal });
    for await (const _ of range?.body ?? []) break;
    return range === null ? `${named}; the first one is gone meanwhile` : `${named}, one read`;
  } finally {
    clearTimeout(timer);
    await leave();
  }
}

function noAnswer(): BackupError {
  const seconds = FILES_TIMEOUT_MS / 1000;
  const message = `Cannot read the files: their bucket gave no answer in ${seconds} seconds`;
  return new BackupError("files_unreachable", message, {
    hint: "Check BACKUP_FILES_SOURCE_ENDPOINT, and the network between here and it.",
  });
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
