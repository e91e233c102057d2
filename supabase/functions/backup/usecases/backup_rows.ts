/**
 * The rows of a backup: copied by several sessions that see one moment, into the repository.
 *
 * @module
 */
import type { DataPart } from "../core/model.ts";
import {
  type DatabaseReading,
  type DataLimits,
  type DataUnit,
  isBusy,
  joinSnapshot,
  numberParts,
} from "../dump/mod.ts";
import { runUnits } from "../jobs/run_units.ts";
import type { Session } from "../postgres/session.ts";
import type { Repository, WrittenTotals } from "../repository/mod.ts";
import {
  copyPart,
  copyPayloads,
  type CopyRowsPayload,
  type CopyRowsResult,
  type RowCopier,
} from "./copy_rows.ts";

/** What {@linkcode backupRows} works with. */
export interface BackupRowsOptions {
  repository: Repository;
  /** Holds locks and snapshot. */
  coordinator: Session;
  snapshotId: string;
  /** Opens one more connection, with the pinned settings. */
  openSession: () => Promise<Session>;
  workers: number;
  /** Copies instead of sessions of this thread. */
  copier?: RowCopier | undefined;
  limits: DataLimits;
  onDamage: "fail" | "skip";
  onRemark: (remark: string) => void;
  onBytes: (bytes: number) => void;
  onUnit: () => void;
  signal?: AbortSignal | undefined;
}

/** Copies all units; the parts in their final order, and what was stored for them. */
export async function backupRows(
  model: DatabaseReading,
  units: readonly DataUnit[],
  options: BackupRowsOptions,
): Promise<{ parts: DataPart[]; written: WrittenTotals[] }> {
  const { repository, onBytes, onUnit, signal } = options;
  const bytes = units.reduce((sum, unit) => sum + unit.bytes, 0);
  const copier = options.copier !== undefined && bytes >= options.copier.leastBytes
    ? options.copier
    : await sessionCopier(units.length, options);
  const copyHere = (payload: CopyRowsPayload) =>
    copyPart(payload, { session: options.coordinator, repository, onBytes, signal });
  const payloads = copyPayloads(model, units, options).map(({ payload }) => payload);
  const busy: CopyRowsPayload[] = [];
  const results: (CopyRowsResult | null)[] = await runUnits(payloads, {
    workers: copier.concurrency,
    signal,
    run: async (payload, _worker, stop) => {
      try {
        const { snapshotId } = options;
        const { result } = await copier.copy(payload, { snapshotId, onBytes, signal: stop });
        onUnit();
        return result;
      } catch (error) {
        // Somebody waits for a table: behind them this session would wait for ever.
        if (!isBusy(error)) throw error;
        busy.push(payload);
        return null;
      }
    },
  });
  for (const payload of busy) {
    results.push((await copyHere(payload)).result);
    onUnit();
  }
  const done = results.filter((result) => result !== null);
  done.flatMap(({ remarks }) => remarks).forEach(options.onRemark);
  return {
    parts: numberParts(done.flatMap(({ parts }) => parts)),
    written: done.map(({ written }) => written),
  };
}

/** Sessions of this thread that have joined the snapshot. */
async function sessionCopier(units: number, options: BackupRowsOptions): Promise<RowCopier> {
  const { repository, snapshotId, openSession } = options;
  const free: Session[] = [];
  const concurrency = Math.max(1, Math.min(options.workers, units));
  for (let i = 0; i < concurrency; i++) {
    const session = await openSession();
    await joinSnapshot(session, snapshotId);
    free.push(session);
  }
  return {
    concurrency,
    leastBytes: 0,
    async copy(payload, { onBytes, signal }) {
      const session = free.pop()!;
      try {
        return await copyPart(payload, {
          session,
          repository,
          signal,
          ...(onBytes === undefined ? {} : { onBytes }),
        });
      } finally {
        free.push(session);
      }
    },
  };
}
