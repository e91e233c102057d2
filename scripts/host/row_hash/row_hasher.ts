/**
 * Hashes rows of binary COPY data as the server would, in WebAssembly: see `row_hash.as`.
 *
 * @module
 */
import { fromBase64 } from "../../../supabase/functions/backup/core/bytes.ts";
import type { RowsFingerprint } from "../../../supabase/functions/backup/core/model.ts";
import type { ColumnHash } from "./column_hashes.ts";
import { ROW_HASH_WASM } from "./row_hash_wasm.ts";

/** Signature, flags and length of an extension that is never there. */
const HEADER_BYTES = 19;

interface RowHashCode {
  memory: WebAssembly.Memory;
  COLUMNS: WebAssembly.Global;
  INPUT: WebAssembly.Global;
  INPUT_BYTES: WebAssembly.Global;
  begin(columns: number): void;
  hashRows(from: number, to: number): number;
  isSure(): number;
  rowsHashed(): bigint;
  lowSum(): bigint;
  highSum(): bigint;
}

let compiled: WebAssembly.Module | undefined;

/** Hashes one run of COPY data after the other. Its memory is 1.5 MB. */
export class RowHasher {
  readonly #code: RowHashCode;
  readonly #memory: Uint8Array;
  readonly #input: number;
  readonly #inputBytes: number;
  /** Bytes of the header that are still to come. */
  #skip = 0;
  /** Bytes in the input that have not been hashed: the beginning of a row. */
  #used = 0;
  #isTooLong = false;

  constructor() {
    compiled ??= new WebAssembly.Module(fromBase64(ROW_HASH_WASM));
    this.#code = new WebAssembly.Instance(compiled).exports as unknown as RowHashCode;
    this.#memory = new Uint8Array(this.#code.memory.buffer);
    this.#input = this.#code.INPUT.value;
    this.#inputBytes = this.#code.INPUT_BYTES.value;
  }

  /** Begins a run of rows with these columns. */
  begin(columns: readonly ColumnHash[]): void {
    this.#memory.set(
      columns.flatMap(({ kind, element }) => [kind, element]),
      this.#code.COLUMNS.value,
    );
    this.#code.begin(columns.length);
    this.#skip = HEADER_BYTES;
    this.#used = 0;
    this.#isTooLong = false;
  }

  /** Takes the next bytes, cut anywhere; they are not kept. */
  append(slice: Uint8Array): void {
    const skipped = Math.min(this.#skip, slice.length);
    this.#skip -= skipped;
    const step = this.#inputBytes / 2;
    for (let at = skipped; at < slice.length; at += step) {
      this.#hash(slice.subarray(at, at + step));
    }
  }

  /** The fingerprint; null when a row was too long, or a value is not known to be hashed right. */
  end(): RowsFingerprint | null {
    if (this.#isTooLong || this.#used > 0 || !this.#code.isSure()) return null;
    const sum = (this.#code.highSum() << 32n) + this.#code.lowSum();
    return { rows: String(this.#code.rowsHashed()), sum: String(sum) };
  }

  #hash(bytes: Uint8Array): void {
    const length = this.#used + bytes.length;
    this.#isTooLong ||= length > this.#inputBytes;
    if (this.#isTooLong) return;
    this.#memory.set(bytes, this.#input + this.#used);
    const end = this.#input + length;
    const hashed = this.#code.hashRows(this.#input, end);
    this.#memory.copyWithin(this.#input, hashed, end);
    this.#used = end - hashed;
  }
}
