/**
 * A live database, held against the tables of a backup.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { Settings } from "../../core/settings.ts";
import { MANAGED_SCHEMAS, matchesPattern, matchesRelation } from "../../dump/mod.ts";
import { connect } from "../../postgres/connect.ts";
import { readUnfinishedRestores, type RestoreTrace } from "../../postgres/restore_traces.ts";
import type { Session } from "../../postgres/session.ts";
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
import type { SavedTable } from "./saved_tables.ts";

/** How long to wait for a connection. */
const CONNECT_MS = 15_000;

/** What was found of a database beside a backup. */
export interface JudgedDatabase {
  /** `unreachable`: no connection; whether it needs a restore is then for people to say. */
  condition: Judgement["condition"] | "unreachable";
  /** What a restore is about: all of it, or the tables in `lostTables`; null when nothing needs one. */
  scope: Judgement["scope"];
  /** Why it is not sound, a line each. */
  findings: string[];
  /** What differs and is no reason to restore, a line each. */
  remarks: string[];
  /** Tables of the findings that are gone or hold no rows any more, as `action=restore` takes them. */
  lostTables: string[];
  /** Such tables of the remarks. */
  remarkedTables: string[];
}

/** The database, and which restores are not complete in it; no session when it cannot be reached. */
export interface Live {
  session: Session | null;
  why: string | null;
  traces: RestoreTrace[];
  signal: AbortSignal;
}

/** Opens it. @throws `database_*`, but not that it is unreachable */
export async function openLive(deps: Deps, signal: AbortSignal): Promise<Live> {
  return await unlessUnreachable<Live>(signal, async () => {
    const session = await connect({
      ...{ url: databaseUrl(deps), applicationName: "supabase-backup" },
      ...{ connectTimeoutMs: CONNECT_MS, signal },
    });
    try {
      const traces = await readUnfinishedRestores((sql) => session.query(sql));
      return { session, why: null, traces, signal };
    } catch (error) {
      await session.close();
      throw error;
    }
  }, (why) => ({ session: null, why, traces: [], signal }));
}

async function unlessUnreachable<T>(
  signal: AbortSignal,
  work: () => Promise<T>,
  otherwise: (why: string) => T,
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    signal.throwIfAborted();
    const error = toBackupError(thrown);
    if (error.code !== "database_unreachable") throw error;
    return otherwise(error.message);
  }
}

/** Holds it against the tables of a backup. @throws `database_*` */
export async function judgeLive(
  { session, why, signal }: Live,
  saved: readonly SavedTable[],
  settings: Settings,
): Promise<JudgedDatabase> {
  const unreachable = (found: string): JudgedDatabase => ({
    ...{ condition: "unreachable", scope: null, findings: [found] },
    ...{ remarks: [], lostTables: [], remarkedTables: [] },
  });
  if (session === null) return unreachable(why!);
  return await unlessUnreachable(
    signal,
    () => judgeSession(session, saved, settings),
    unreachable,
  );
}

async function judgeSession(
  session: Session,
  saved: readonly SavedTable[],
  settings: Settings,
): Promise<JudgedDatabase> {
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
