/**
 * Fingerprints of ranges that a host makes from the bytes being saved, instead of by a second scan in the server.
 *
 * See `docs/decisions/0015-fingerprints-from-the-saved-bytes.md`.
 *
 * @module
 */
import type { RowsFingerprint, TableData } from "../../core/model.ts";

/** One range whose rows are hashed while they are copied. */
export interface OwnFingerprint {
  /** Whether the server's own fingerprint is to be compared with it. */
  readonly isChecked: boolean;
  /** Takes the next bytes of the COPY data, cut anywhere; they are not kept. */
  append(slice: Uint8Array): void;
  /** The fingerprint of all of it; null when it is not known to be the server's. */
  end(): RowsFingerprint | null;
  /** Leaves the rows of this table to the server from now on. */
  giveUp(): void;
  /** The server's fingerprint was another: gives up, and all that was hashed of this table is in doubt. */
  doubt(): void;
}

/** Makes them. */
export interface OwnFingerprints {
  /**
   * Begins a range; undefined when the server must make its fingerprint.
   * @param fromPage where the range begins
   */
  begin(data: TableData, fromPage: number): OwnFingerprint | undefined;
  /** Entries of which a fingerprint was another than the server's. Those that were not checked may be wrong too. */
  readonly doubtful: ReadonlySet<string>;
}
