/**
 * Reads binary COPY data from slices of any cut.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { byteString } from "./binary_text.ts";

/** A reader that stands before the first row. @throws {BackupError} `object_altered` */
export async function openBinaryRows(source: AsyncIterable<Uint8Array>): Promise<ByteReader> {
  const input = new ByteReader(source);
  const head = await input.take(19);
  if (byteString(head.subarray(0, 11)) !== "PGCOPY\n\xff\r\n\0") throw malformed("no signature");
  await input.take(int32(head, 15));
  return input;
}

/** The error for stored rows that are not what a server wrote. */
export function malformed(why: string): BackupError {
  return new BackupError("object_altered", `Cannot read stored rows: ${why}`, {
    hint: "Verify the repository.",
  });
}

function int32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt32(at);
}

function int16(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getInt16(at);
}

/** Takes counted bytes from slices of any cut. */
export class ByteReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #slice: Uint8Array = new Uint8Array();

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async take(length: number): Promise<Uint8Array> {
    if (length <= this.#slice.length) {
      const taken = this.#slice.subarray(0, length);
      this.#slice = this.#slice.subarray(length);
      return taken;
    }
    const taken = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (this.#slice.length === 0 && !await this.#next()) throw malformed("they end too early");
      const part = this.#slice.subarray(0, length - filled);
      taken.set(part, filled);
      filled += part.length;
      this.#slice = this.#slice.subarray(part.length);
    }
    return taken;
  }

  /** Some of the next bytes, at least one and at most so many: what has come already. */
  async takeSome(most: number): Promise<Uint8Array> {
    if (this.#slice.length === 0 && !await this.#next()) throw malformed("they end too early");
    return await this.take(Math.min(most, this.#slice.length));
  }

  /** Goes to the next row; false at the end. @throws {BackupError} when it has another shape */
  async nextRow(columns: number): Promise<boolean> {
    const count = int16(await this.take(2), 0);
    if (count !== -1 && count !== columns) throw malformed(`a row of ${count} values`);
    if (count === -1 && !await this.atEnd()) throw malformed("more bytes after the end");
    return count !== -1;
  }

  /** Bytes of the value that comes next; null for NULL. */
  async valueLength(): Promise<number | null> {
    const length = int32(await this.take(4), 0);
    return length < 0 ? null : length;
  }

  async atEnd(): Promise<boolean> {
    return this.#slice.length === 0 && !await this.#next();
  }

  async #next(): Promise<boolean> {
    while (true) {
      const { done, value } = await this.#source.next();
      if (done === true) return false;
      if (value.length === 0) continue;
      this.#slice = value;
      return true;
    }
  }
}
