/**
 * Finds out whether the database needs to be restored: what is there against what a backup holds.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import { typeOfJobId } from "../../core/ids.ts";
import type { DataPart, Entry } from "../../core/model.ts";
import type { Settings } from "../../core/settings.ts";
import { MANAGED_SCHEMAS, matchesPattern, matchesRelation } from "../../dump/mod.ts";
import { connect } from "../../postgres/connect.ts";
import { quoteQualified } from "../../postgres/quote.ts";
import type { Session } from "../../postgres/session.ts";
import type { DatabaseRecord, Repository } from "../../repository/mod.ts";
import { OWN_SCHEMA, OWN_TABLES } from "../../state/migrations.ts";
import { databaseUrl } from "../database_access.ts";
import type { Deps } from "../deps.ts";
import { type ComparedTable, type Judgement, judgeTables } from "./judge_tables.ts";
import { findStrangers, lookAtTables, type NamedTable } from "./look_at_tables.ts";

/** What was found. */
export interface DatabaseAssessment {
  /** `unreachable`: no connection; whether it needs a restore is then for people to say. */
  condition: Judgement["condition"] | "unreachable";
  /** The backup that it was held against. */
  backupId: string;
  backupAt: string;
  /** Why it is not sound, a line each. */
  findings: string[];
  /** What differs and is no reason to restore, a line each. */
  remarks: string[];
  /** Tables of the findings that are gone or hold no rows any more, as `action=restore` takes them. */
  lostTables: string[];
  tablesCompared: number;
  /**
   * An earlier backup with more than twice the rows: the one that was looked at may have saved the loss.
   * Null when there is none among the newest.
   */
  fuller: FullerBackup | null;
}

/** See {@linkcode DatabaseAssessment.fuller}. */
export interface FullerBackup {
  backupId: string;
  createdAt: string;
  rows: number;
  /** Of the one that was looked at. */
  rowsSince: number;
  /** What the database has lost of it, a line each; empty when it is sound beside this one, too. */
  lost: string[];
}

/** Tables that are looked at: those with the most rows. */
const MOST_TABLES = 5000;

/** Backups of the database among which a fuller one is looked for. */
const LOOKED_BACK = 50;

/** How long to wait for a connection. */
const CONNECT_MS = 15_000;

/** A table of the backup, and how many rows it held. */
type SavedTable = NamedTable & Omit<ComparedTable, "look">;

/**
 * Changes nothing. Reads definitions of the backup, and of the database a bounded sample.
 *
 * @param options `backupId` an id, or `latest`; `lookBack`: whether a fuller one before it is looked for
 * @throws `backup_not_found`, the `object_*` and `storage_*` codes; not that the database is unreachable
 */
export async function assessDatabase(
  deps: Deps,
  { backupId: wanted, lookBack, signal }: {
    backupId: string;
    lookBack: boolean;
    signal: AbortSignal;
  },
): Promise<DatabaseAssessment> {
  const { settings } = await deps.settings();
  const repository = await deps.openRepository(settings);
  const { record } = await repository.readBackup(wanted);
  const { backupId, createdAt: backupAt } = record;
  const saved = await readTables(repository, { backupId, signal });
  const found = await judge(deps, saved, { settings, signal });
  const facts = { ...found, backupId, backupAt, tablesCompared: saved.length };
  const fuller = lookBack ? await findFuller(repository, { record, signal }) : null;
  if (fuller === null || found.condition !== "sound") return { ...facts, fuller };
  const held = await readTables(repository, { backupId: fuller.backupId, signal });
  const beside = await judge(deps, held, { settings, signal });
  if (beside.condition === "sound") return { ...facts, fuller };
  // As good as a backup that saved the loss, and only people know whether it was one.
  const { findings: lost, lostTables } = beside;
  const fullerAndLost = { ...fuller, lost };
  return { ...facts, condition: "unclear", findings: lost, lostTables, fuller: fullerAndLost };
}

/** Where rows were lost step by step, the one from before the first step. */
async function findFuller(
  repository: Repository,
  { record, signal }: { record: DatabaseRecord; signal: AbortSignal },
): Promise<FullerBackup | null> {
  const ids = (await repository.backupIds({ signal })).filter((id) =>
    typeOfJobId(id) === "database" && !id.startsWith("safety_") && id !== record.backupId
  );
  const { backups } = await repository.listBackups({ ids: ids.slice(0, LOOKED_BACK), signal });
  const rowsSince = record.totals.rows;
  let most = rowsSince;
  let fuller: FullerBackup | null = null;
  for (const each of backups) {
    const { backupId, createdAt, type, origin } = each;
    if (type !== "database" || origin === "safety" || createdAt >= record.createdAt) continue;
    const { rows } = each.totals;
    if (rows <= 2 * most) continue;
    most = rows;
    fuller = { backupId, createdAt, rows, rowsSince, lost: [] };
  }
  return fuller;
}

async function judge(
  deps: Deps,
  saved: readonly SavedTable[],
  { settings, signal }: { settings: Settings; signal: AbortSignal },
): Promise<Pick<DatabaseAssessment, "condition" | "findings" | "remarks" | "lostTables">> {
  try {
    const session = await connect({
      ...{ url: databaseUrl(deps), applicationName: "supabase-backup" },
      ...{ connectTimeoutMs: CONNECT_MS, signal },
    });
    try {
      const looks = await lookAtTables(session, saved);
      const compared = saved.map((table, at) => ({ ...table, look: looks[at]! }));
      const migrated = await hasMigrated(session, compared);
      // What ran stays written down when all that it made is lost.
      const own = compared.filter(({ sqlName }) => sqlName !== MIGRATIONS);
      const isAnyGone = own.some(({ look }) => !look.isThere);
      const strangers = isAnyGone ? await findStrangersOf(session, { saved, settings }) : [];
      const { lost, ...judgement } = judgeTables(own, { migrated, strangers });
      const isNamed = ({ sqlName }: SavedTable) => lost.includes(sqlName);
      const lostTables = saved.filter(isNamed).map(({ schema, name }) => `${schema}.${name}`);
      return { ...judgement, lostTables };
    } finally {
      await session.close();
    }
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toBackupError(thrown);
    if (error.code !== "database_unreachable") throw error;
    return { condition: "unreachable", findings: [error.message], remarks: [], lostTables: [] };
  }
}

/** Where the Supabase CLI keeps which migrations ran. */
const MIGRATIONS = '"supabase_migrations"."schema_migrations"';

/** Tables with rows that could be saved and are not in the backup. */
async function findStrangersOf(
  session: Session,
  { saved, settings }: { saved: readonly SavedTable[]; settings: Settings },
): Promise<string[]> {
  const schemas = [...MANAGED_SCHEMAS, OWN_SCHEMA, "supabase_migrations"];
  const tables = OWN_TABLES.map((name) => `public.${name}`);
  const found = await findStrangers(session, saved, { schemas, tables });
  const { excludeSchemas, excludeTables } = settings;
  const isLeftOut = ({ schema, name }: NamedTable) =>
    excludeSchemas.some((pattern) => matchesPattern(pattern, schema)) ||
    matchesRelation(excludeTables, schema, name);
  return found.filter((table) => !isLeftOut(table)).map(({ sqlName }) => sqlName);
}

/** Whether migrations ran since the backup, by the CLI's own list. */
async function hasMigrated(session: Session, tables: readonly ComparedTable[]): Promise<boolean> {
  const list = tables.find(({ sqlName, look }) => sqlName === MIGRATIONS && look.hasRows === true);
  if (list === undefined) return false;
  const [now] = await session.query(`select pg_catalog.count(*) as ran from only ${MIGRATIONS}`);
  return Number(now?.ran) > list.rows;
}

/** What the platform keeps of the project, and how its loss counts. */
const PLATFORMS: Record<string, "users" | "files"> = {
  '"auth"."users"': "users",
  '"storage"."buckets"': "files",
  '"storage"."objects"': "files",
};

/**
 * The project's own tables, its users and its files. Others of the platform and those of extensions come and go
 * with other things.
 */
async function readTables(
  repository: Repository,
  { backupId, signal }: { backupId: string; signal: AbortSignal },
): Promise<SavedTable[]> {
  const { manifest } = await repository.readBackup(backupId);
  const tables = new Map<string, SavedTable>();
  const names = new Map<string, string>();
  const facts = { rows: 0, isPartition: false, isUnlogged: false };
  for await (const entry of repository.readLines<Entry>(manifest.entries, { signal })) {
    const { kind, key, schema, name, table } = entry;
    if (schema === null || entry.extension !== undefined) continue;
    const sqlName = quoteQualified(schema, name);
    const holds = entry.managed === true ? PLATFORMS[sqlName] : "own";
    if (holds === undefined) continue;
    if (kind === "table" && !isForeign(entry)) {
      tables.set(sqlName, { schema, name, sqlName, holds, ...facts });
    }
    const known = tables.get(sqlName);
    if (known === undefined) continue;
    if (kind === "table-attach") known.isPartition = true;
    if (kind !== "table-data") continue;
    names.set(key, sqlName);
    known.isUnlogged = table?.persistence === "u";
  }
  for await (const part of repository.readLines<DataPart>(manifest.dataParts, { signal })) {
    const table = tables.get(names.get(part.entry) ?? "");
    if (table !== undefined) table.rows += part.rows;
  }
  return [...tables.values()].sort((a, b) => b.rows - a.rows).slice(0, MOST_TABLES);
}

function isForeign({ statements }: Entry): boolean {
  return statements.create.some((sql) => sql.startsWith("CREATE FOREIGN TABLE"));
}
