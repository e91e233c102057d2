/**
 * Counts what a backup has done and tells whoever listens.
 *
 * @module
 */
import type { Progress, ProgressListener } from "../core/progress.ts";

/** Counts of one backup. */
export class BackupProgress {
  readonly #listener: ProgressListener | undefined;
  #state: Progress = {
    phase: "connecting",
    partsDone: 0,
    partsTotal: 0,
    bytesDone: 0,
    bytesTotal: null,
  };

  constructor(listener: ProgressListener | undefined) {
    this.#listener = listener;
  }

  /** Something else is being done now. */
  phase(phase: string): void {
    this.#tell({ phase });
  }

  /** The units are known. */
  begin(units: readonly { bytes: number }[]): void {
    const bytesTotal = units.reduce((sum, unit) => sum + unit.bytes, 0);
    this.#tell({ phase: "copying rows", partsTotal: units.length, bytesTotal });
  }

  bytes(bytes: number): void {
    this.#tell({ bytesDone: this.#state.bytesDone + bytes });
  }

  unitDone(): void {
    this.#tell({ partsDone: this.#state.partsDone + 1 });
  }

  #tell(change: Partial<Progress>): void {
    this.#state = { ...this.#state, ...change };
    this.#listener?.(this.#state);
  }
}
