/**
 * The bytes of an export file, line by line or slice by slice, with the number of the line that comes next.
 *
 * @module
 */
import { concat, fromUtf8 } from "../../core/bytes.ts";
import { BackupError, type BackupErrorOptions } from "../../core/errors.ts";

/** A file to import. */
export interface ImportFile {
  /** For messages. */
  name: string;
  /** Its bytes from the beginning. */
  open(): AsyncIterable<Uint8Array>;
}

/** Headers and statements are kept whole; rows are not. */
const LONGEST_LINE = 64 << 20;
const NEWLINE = 0x0a;

/** See the module. */
export class ExportBytes {
  readonly name: string;
  /** Of the line that comes next or has begun; counted from 1. */
  line = 1;
  /** How lines become text. */
  decode: (bytes: Uint8Array) => string = fromUtf8;
  readonly #source: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(file: ImportFile) {
    this.name = file.name;
    this.#source = file.open()[Symbol.asyncIterator]();
  }

  /** What has come and is not consumed, at least one byte; null at the end. */
  async peek(): Promise<Uint8Array | null> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.next();
      if (done === true) return null;
      this.#rest = value;
    }
    return this.#rest;
  }

  /** As {@linkcode peek}, but so many bytes at least. @throws {BackupError} when there are fewer */
  async peekAtLeast(bytes: number): Promise<Uint8Array> {
    while (this.#rest.length < bytes) {
      const begun = this.#rest.slice();
      this.#rest = new Uint8Array();
      const more = await this.peek();
      if (more === null) throw this.cut();
      this.#rest = concat([begun, more]);
    }
    return this.#rest;
  }

  /** Goes past bytes that {@linkcode peek} has shown. */
  consume(bytes: number): void {
    this.#rest = this.#rest.subarray(bytes);
  }

  /** The next line without its end; null at the end of the file. @throws {BackupError} when it is cut */
  async readLine(): Promise<string | null> {
    const bytes = await this.readLineBytes();
    if (bytes === null) return null;
    try {
      return this.decode(bytes);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.line--;
      throw this.refuse("it is not text in UTF-8", { cause: error });
    }
  }

  /** As {@linkcode readLine}, before it is made text. */
  async readLineBytes(): Promise<Uint8Array | null> {
    const slices: Uint8Array[] = [];
    let length = 0;
    for (let slice; (slice = await this.peek()) !== null;) {
      const end = slice.indexOf(NEWLINE);
      // The slice may be used again by whoever gave it.
      slices.push(slice.slice(0, end < 0 ? slice.length : end));
      length += slices.at(-1)!.length;
      this.consume(end < 0 ? slice.length : end + 1);
      if (length > LONGEST_LINE) {
        throw this.refuse(`a line outside of the rows has more than ${LONGEST_LINE} bytes`);
      }
      if (end < 0) continue;
      this.line++;
      return concat(slices);
    }
    if (length > 0) throw this.cut();
    return null;
  }

  /** Lets go of the file. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  /** The error for a file that is not what an export writes, at the line that comes next. */
  refuse(why: string, options: BackupErrorOptions & { byte?: number } = {}): BackupError {
    const { byte, ...rest } = options;
    const place = byte === undefined ? "" : `, byte ${byte}`;
    return new BackupError(
      "invalid_request",
      `Cannot import ${this.name}, line ${this.line}${place}: ${why}`,
      { hint: "Nothing was changed. Mend the file, or export again.", ...rest },
    );
  }

  /** The error for a file that ends before it should. */
  cut(): BackupError {
    return new BackupError(
      "object_truncated",
      `Cannot import ${this.name}: it ends in line ${this.line}, before the export does`,
      { hint: "Nothing was changed. Copy the file again, or export again." },
    );
  }
}

/** The value of a text in JSON; undefined where it is none. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
