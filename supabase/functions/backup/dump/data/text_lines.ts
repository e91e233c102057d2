/**
 * Stored rows as text COPY data in small slices, so that a value of any size needs little memory.
 *
 * @module
 */
import type { BinaryForm } from "../../core/model.ts";
import { BackupError } from "../../core/errors.ts";
import { escapeText } from "./binary_rows.ts";
import { bytesOf, byteString, textOf } from "./binary_text.ts";
import { malformed, openBinaryRows } from "./byte_reader.ts";

/** Values above this are written slice by slice where their form allows it. */
const SLICE_BYTES = 256 * 1024;
/** PostgreSQL takes no line of text COPY data that is longer. */
const LONGEST_LINE = 0x3fffffff;

/** How the slices of a value become the slices of its text. */
interface Slices {
  /** Text before them. */
  start: string;
  /** Bytes before them that are no text. */
  skip: number;
  textOf: (slice: Uint8Array) => Uint8Array;
}

const PLAIN: Slices = { start: "", skip: 0, textOf: escaped };
const SLICED: Readonly<Record<string, Slices>> = {
  bytea: { start: "\\\\x", skip: 0, textOf: hexDigits },
  text: PLAIN,
  varchar: PLAIN,
  bpchar: PLAIN,
  json: PLAIN,
  jsonb: { ...PLAIN, skip: 1 },
};

/**
 * Rows in binary COPY format as lines of text COPY data.
 *
 * @throws {BackupError} `object_altered`; `unsupported_object` for a bytea whose text no server can load
 */
export async function* binaryAsTextLines(
  source: AsyncIterable<Uint8Array>,
  forms: readonly BinaryForm[],
): AsyncIterable<Uint8Array> {
  const columns = forms.map((form) => ({
    decode: textOf(form),
    slices: form.kind === "base" ? SLICED[form.name] : undefined,
  }));
  const input = await openBinaryRows(source);
  while (await input.nextRow(columns.length)) {
    let text = "";
    for (const [index, { decode, slices }] of columns.entries()) {
      if (index > 0) text += "\t";
      const length = await input.valueLength();
      if (length === null) {
        text += "\\N";
      } else if (length <= SLICE_BYTES || slices === undefined) {
        text += escapeText(decode(await input.take(length)));
      } else {
        if (slices.textOf === hexDigits && 2 * length >= LONGEST_LINE) throw tooLong(length);
        yield bytesOf(text + slices.start);
        text = "";
        await input.take(slices.skip);
        for (let left = length - slices.skip; left > 0;) {
          const slice = await input.takeSome(Math.min(left, SLICE_BYTES));
          left -= slice.length;
          yield slices.textOf(slice);
        }
      }
    }
    yield bytesOf(`${text}\n`);
  }
}

/**
 * Lines of text COPY data as they are, with a look at where they begin and end.
 *
 * @throws {BackupError} `object_altered` for a line `\\.`: a server never writes one, and psql would take
 * what follows as commands
 */
export async function* checkedTextLines(
  source: AsyncIterable<Uint8Array>,
): AsyncIterable<Uint8Array> {
  /** The line so far, as far as it can still be an end mark. */
  let line = "";
  for await (const slice of source) {
    for (let at = 0; at < slice.length;) {
      const newline = slice.indexOf(0x0a, at);
      const end = newline < 0 ? slice.length : newline;
      if (line.length < 4) line += byteString(slice.subarray(at, Math.min(end, at + 4)));
      if (newline < 0) break;
      if (/^\\\.\r?$/.test(line)) throw malformed("an end mark inside of the rows");
      line = "";
      at = newline + 1;
    }
    if (slice.length > 0) yield slice;
  }
  if (line !== "") throw malformed("the last row has no end");
}

/** Letters that stand for control characters after a backslash, by their code from 8 to 13. */
const LETTERS = bytesOf("btnvfr");
const BACKSLASH = 0x5c;

/** What `escapeText` does, on bytes: most slices need no change and cost next to nothing. */
function escaped(slice: Uint8Array): Uint8Array {
  const isSpecial = (byte: number) => byte === BACKSLASH || (byte >= 8 && byte <= 13);
  let count = 0;
  for (const byte of slice) if (isSpecial(byte)) count++;
  if (count === 0) return slice;
  const text = new Uint8Array(slice.length + count);
  let at = 0;
  for (const byte of slice) {
    if (isSpecial(byte)) text[at++] = BACKSLASH;
    text[at++] = byte >= 8 && byte <= 13 ? LETTERS[byte - 8]! : byte;
  }
  return text;
}

const DIGITS = bytesOf("0123456789abcdef");

function hexDigits(slice: Uint8Array): Uint8Array {
  const text = new Uint8Array(2 * slice.length);
  for (let i = 0; i < slice.length; i++) {
    text[2 * i] = DIGITS[slice[i]! >> 4]!;
    text[2 * i + 1] = DIGITS[slice[i]! & 15]!;
  }
  return text;
}

function tooLong(length: number): BackupError {
  return new BackupError(
    "unsupported_object",
    `Cannot write a bytea of ${length} bytes as SQL: PostgreSQL takes no line of its length`,
    { hint: "Restore the backup instead: a restore sends it in binary form." },
  );
}
