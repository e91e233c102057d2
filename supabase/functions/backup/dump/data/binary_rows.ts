/**
 * Reads stored COPY data row by row, for exports.
 *
 * @module
 */
import type { BinaryForm } from "../../core/model.ts";
import { BackupError } from "../../core/errors.ts";
import { byteString, textOf } from "./binary_text.ts";

/** Values of a row as byte strings of the data's encoding; null for NULL. */
export type RowValues = (string | null)[];

/** Rows of one part in binary COPY format. @throws {BackupError} `object_altered` when it is not that */
export async function* readBinaryRows(
  source: AsyncIterable<Uint8Array>,
  forms: readonly BinaryForm[],
): AsyncIterable<RowValues> {
  const decoders = forms.map(textOf);
  const input = new ByteReader(source);
  const head = await input.take(19);
  if (byteString(head.subarray(0, 11)) !== "PGCOPY\n\xff\r\n\0") throw malformed("no signature");
  await input.take(int32(head, 15));
  while (true) {
    const count = int16(await input.take(2), 0);
    if (count === -1) break;
    if (count !== decoders.length) throw malformed(`a row of ${count} values`);
    const values: RowValues = [];
    for (const decode of decoders) {
      const length = int32(await input.take(4), 0);
      values.push(length < 0 ? null : decode(await input.take(length)));
    }
    yield values;
  }
  if (!await input.atEnd()) throw malformed("more bytes after the end");
}

/** Rows of one part in text COPY format. */
export async function* readTextRows(source: AsyncIterable<Uint8Array>): AsyncIterable<RowValues> {
  for await (const line of readLines(source)) yield line.split("\t").map(unescape);
}

/** A row as a line of text COPY data, without the newline. */
export function textRow(values: RowValues): string {
  return values.map((value) => value === null ? "\\N" : escape(value)).join("\t");
}

/**
 * Lines of text COPY data, without their newline, as byte strings.
 *
 * @throws {BackupError} `object_altered` for a line `\.`: a server never writes one, and psql would take
 * what follows as commands
 */
export async function* readLines(source: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  let rest = "";
  for await (const slice of source) {
    const text = rest + byteString(slice);
    const lines = text.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (/^\\\.\r?$/.test(line)) throw malformed("an end mark inside of the rows");
      yield line;
    }
  }
  if (rest !== "") throw malformed("the last row has no end");
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
};

function escape(value: string): string {
  // deno-lint-ignore no-control-regex
  return value.replace(/[\x08\f\n\r\t\v\\]/g, (char) => ESCAPES[char]!);
}

const UNESCAPES: Readonly<Record<string, string>> = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

function unescape(field: string): string | null {
  if (field === "\\N") return null;
  return field.replace(/\\([\s\S])/g, (_all, char) => UNESCAPES[char] ?? char);
}

function malformed(why: string): BackupError {
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
class ByteReader {
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
