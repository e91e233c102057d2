/**
 * The rows of a backup: copied by several sessions that see one moment, into the repository.
 *
 * @module
 */
import type { DataPart } from "../core/model.ts";
import {
  copyUnit,
  type CopyUnitOptions,
  type DatabaseReading,
  type DataUnit,
  isBusy,
  joinSnapshot,
  numberParts,
} from "../dump/mod.ts";
import { runUnits } from "../jobs/run_units.ts";
import type { Session } from "../postgres/session.ts";
import type { Repository } from "../repository/mod.ts";

/** What {@linkcode backupRows} works with. */
export interface BackupRowsOptions {
  repository: Repository;
  /** Holds locks and snapshot. */
  coordinator: Session;
  snapshotId: string;
  /** Opens one more connection, with the pinned settings. */
  openSession: () => Promise<Session>;
  workers: number;
  /** What every unit is copied with, except its sink. */
  copy: Omit<CopyUnitOptions, "sink" | "entries" | "tableData" | "signal">;
  onUnit: () => void;
  signal?: AbortSignal | undefined;
}

/**
 * Copies all units; the parts in their final order.
 *
 * Each unit has a piece writer of its own, so that what shares a chunk does not depend on which
 * worker was faster.
 */
export async function backupRows(
  model: DatabaseReading,
  units: readonly DataUnit[],
  options: BackupRowsOptions,
): Promise<DataPart[]> {
  const entries = new Map(model.entries.map((entry) => [entry.key, entry]));
  const tableData = new Map(model.tableData.map((data) => [data.entry, data]));
  const copyWith = async (session: Session, unit: DataUnit, signal?: AbortSignal) => {
    const sink = options.repository.pieceWriter(signal === undefined ? {} : { signal });
    const copied = await copyUnit(session, unit, {
      ...options.copy,
      entries,
      tableData,
      sink,
      ...(signal === undefined ? {} : { signal }),
    });
    await sink.finish();
    options.onUnit();
    const parts: DataPart[] = [];
    for (const { part, pieces } of copied) parts.push({ ...part, pieces: await pieces });
    return parts;
  };

  const sessions: Session[] = [];
  for (let i = 0; i < Math.min(options.workers, units.length); i++) {
    const session = await options.openSession();
    await joinSnapshot(session, options.snapshotId);
    sessions.push(session);
  }
  const busy: DataUnit[] = [];
  const parts: DataPart[][] = await runUnits(units, {
    workers: options.workers,
    signal: options.signal,
    run: async (unit, worker, signal) => {
      try {
        return await copyWith(sessions[worker] as Session, unit, signal);
      } catch (error) {
        // Somebody waits for a table: behind them this session would wait for ever.
        if (!isBusy(error)) throw error;
        busy.push(unit);
        return [];
      }
    },
  });
  for (const unit of busy) parts.push(await copyWith(options.coordinator, unit, options.signal));
  return numberParts(parts.flat());
}
