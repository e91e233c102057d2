/**
 * Finds out whether the database needs to be restored: what is there against what a backup holds.
 *
 * @module
 */
import { typeOfJobId } from "../../core/ids.ts";
import type { DatabaseRecord, Repository } from "../../repository/mod.ts";
import type { Deps } from "../deps.ts";
import { backupToAssess } from "./backup_to_assess.ts";
import { type JudgedDatabase, judgeLive, openLive } from "./judge_live.ts";
import { judgeUnfinished, type UnfinishedRestore } from "./judge_unfinished.ts";
import { readSavedTables } from "./saved_tables.ts";

/** What was found. */
export interface DatabaseAssessment extends JudgedDatabase {
  /** The backup that it was held against. */
  backupId: string;
  backupAt: string;
  tablesCompared: number;
  /**
   * An earlier backup with more than twice the rows: the one that was looked at may have saved the loss.
   * Null when there is none among the newest.
   */
  fuller: FullerBackup | null;
  /** A restore that has begun in the database and is not complete; null when there is none. */
  unfinished: UnfinishedRestore | null;
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
  const live = await openLive(deps, signal);
  try {
    const trace = live.traces.find((each) => each.backupId === wanted) ?? live.traces[0] ?? null;
    const record = await backupToAssess(repository, { wanted, trace, signal });
    const { backupId, createdAt: backupAt } = record;
    const saved = await readSavedTables(repository, { backupId, signal });
    const judged = await judgeLive(live, saved, settings);
    const found = trace === null
      ? { ...judged, unfinished: null }
      : judgeUnfinished(judged, { trace, backupId });
    const facts = { ...found, backupId, backupAt, tablesCompared: saved.length };
    const fuller = lookBack ? await findFuller(repository, { record, signal }) : null;
    if (fuller === null || found.condition !== "sound") return { ...facts, fuller };
    // What agrees with the newest backup is sound, and people are told what the one before it says.
    const held = await readSavedTables(repository, { backupId: fuller.backupId, signal });
    const beside = await judgeLive(live, held, settings);
    return { ...facts, fuller: { ...fuller, lost: beside.scope === null ? [] : beside.findings } };
  } finally {
    await live.session?.close();
  }
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
