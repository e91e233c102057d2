/**
 * Reads stored COPY data row by row, for exports.
 *
 * @module
 */
import type { BinaryForm } from "../../core/model.ts";
import { textOf } from "./binary_text.ts";
import { openBinaryRows } from "./byte_reader.ts";

/** Values of a row as byte strings of the data's encoding; null for NULL. */
export type RowValues = (string | null)[];

/** Rows of one part in binary COPY format. @throws {BackupError} `object_altered` when it is not that */
export async function* readBinaryRows(
  source: AsyncIterable<Uint8Array>,
  forms: readonly BinaryForm[],
): AsyncIterable<RowValues> {
  const decoders = forms.map(textOf);
  const input = await openBinaryRows(source);
  while (await input.nextRow(decoders.length)) {
    const values: RowValues = [];
    for (const decode of decoders) {
      const length = await input.valueLength();
      values.push(length === null ? null : decode(await input.take(length)));
    }
    yield values;
  }
}

/** A row as a line of text COPY data, without the newline. */
export function textRow(values: RowValues): string {
  return values.map((value) => value === null ? "\\N" : escapeText(value)).join("\t");
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

/** A value, or a slice of one, as text COPY data holds it. */
export function escapeText(value: string): string {
  // deno-lint-ignore no-control-regex
  return value.replace(/[\x08\f\n\r\t\v\\]/g, (char) => ESCAPES[char]!);
}
