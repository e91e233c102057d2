/**
 * Finds out whether the database needs to be restored: what is there against what a backup holds.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import { typeOfJobId } from "../../core/ids.ts";
import type { Settings } from "../../core/settings.ts";
import { MANAGED_SCHEMAS, matchesPattern, matchesRelation } from "../../dump/mod.ts";
import { connect } from "../../postgres/connect.ts";
import type { Session } from "../../postgres/session.ts";
import type { DatabaseRecord, Repository } from "../../repository/mod.ts";
import { OWN_SCHEMA, OWN_TABLES } from "../../state/migrations.ts";
import { databaseUrl } from "../database_access.ts";
import type { Deps } from "../deps.ts";
import {
  type ComparedTable,
  type Judgement,
  judgeTables,
  mayBe,
  type Stranger,
} from "./judge_tables.ts";
import { findStrangers, lookAtTables, type NamedTable } from "./look_at_tables.ts";
import { readSavedTables, type SavedTable } from "./saved_tables.ts";

/** What was found. */
export interface DatabaseAssessment {
  /** `unreachable`: no connection; whether it needs a restore is then for people to say. */
  condition: Judgement["condition"] | "unreachable";
  /** What a restore is about: all of it, or the tables in `lostTables`; null when nothing needs one. */
  scope: Judgement["scope"];
  /** The backup that it was held against. */
  backupId: string;
  backupAt: string;
  /** Why it is not sound, a line each. */
  findings: string[];
  /** What differs and is no reason to restore, a line each. */
  remarks: string[];
  /** Tables of the findings that are gone or hold no rows any more, as `action=restore` takes them. */
  lostTables: string[];
  /** Such tables of the remarks. */
  remarkedTables: string[];
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

/** Backups of the database among which a fuller one is looked for. */
const LOOKED_BACK = 50;

/** How long to wait for a connection. */
const CONNECT_MS = 15_000;

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
  const saved = await readSavedTables(repository, { backupId, signal });
  const found = await judge(deps, saved, { settings, signal });
  const facts = { ...found, backupId, backupAt, tablesCompared: saved.length };
  const fuller = lookBack ? await findFuller(repository, { record, signal }) : null;
  if (fuller === null || found.condition !== "sound") return { ...facts, fuller };
  // What agrees with the newest backup is sound, and people are told what the one before it says.
  const held = await readSavedTables(repository, { backupId: fuller.backupId, signal });
  const beside = await judge(deps, held, { settings, signal });
  return { ...facts, fuller: { ...fuller, lost: beside.scope === null ? [] : beside.findings } };
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

type Found = Omit<DatabaseAssessment, "backupId" | "backupAt" | "tablesCompared" | "fuller">;

async function judge(
  deps: Deps,
  saved: readonly SavedTable[],
  { settings, signal }: { settings: Settings; signal: AbortSignal },
): Promise<Found> {
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
      const gone = own.filter(({ look }) => !look.isThere);
      const strangers = gone.length > 0
        ? await findStrangersOf(session, { saved, gone, settings })
        : [];
      const { lost, remarked, ...judgement } = judgeTables(own, { migrated, strangers });
      const unquoted = (names: readonly string[]) => {
        const named = new Set(names);
        return saved.filter(({ sqlName }) => named.has(sqlName))
          .map(({ schema, name }) => `${schema}.${name}`);
      };
      return { ...judgement, lostTables: unquoted(lost), remarkedTables: unquoted(remarked) };
    } finally {
      await session.close();
    }
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toBackupError(thrown);
    if (error.code !== "database_unreachable") throw error;
    return {
      ...{ condition: "unreachable", scope: null, findings: [error.message] },
      ...{ remarks: [], lostTables: [], remarkedTables: [] },
    };
  }
}

/** Where the Supabase CLI keeps which migrations ran. */
const MIGRATIONS = '"supabase_migrations"."schema_migrations"';

/** Tables with rows that could be saved, are not in the backup and may be one of those that are gone. */
async function findStrangersOf(
  session: Session,
  { saved, gone, settings }: {
    saved: readonly SavedTable[];
    gone: readonly ComparedTable[];
    settings: Settings;
  },
): Promise<Stranger[]> {
  const schemas = [...MANAGED_SCHEMAS, OWN_SCHEMA, "supabase_migrations"];
  const tables = OWN_TABLES.map((name) => `public.${name}`);
  const { excludeSchemas, excludeTables } = settings;
  const isLeftOut = ({ schema, name }: NamedTable) =>
    excludeSchemas.some((pattern) => matchesPattern(pattern, schema)) ||
    matchesRelation(excludeTables, schema, name);
  return await findStrangers(session, saved, {
    others: { schemas, tables },
    isSought: (table) => !isLeftOut(table) && gone.some((each) => mayBe(table, each)),
  });
}

/** Whether migrations ran since the backup, by the CLI's own list. */
async function hasMigrated(session: Session, tables: readonly ComparedTable[]): Promise<boolean> {
  const list = tables.find(({ sqlName, look }) => sqlName === MIGRATIONS && look.hasRows === true);
  if (list === undefined) return false;
  const [now] = await session.query(`select pg_catalog.count(*) as ran from only ${MIGRATIONS}`);
  return Number(now?.ran) > list.rows;
}
