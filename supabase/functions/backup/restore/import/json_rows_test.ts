/**
 * Rows of any bytes as JSON and back, in slices of any cut.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { concat } from "../../core/bytes.ts";
import { BackupError } from "../../core/errors.ts";
import { textRow } from "../../dump/data/binary_rows.ts";
import { bytesOf, byteString } from "../../dump/data/binary_text.ts";
import { RowsAsJson } from "../../dump/export/rows_as_json.ts";
import { JsonRows } from "./json_rows.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

/** What a stream makes of bytes that come in slices of a size. */
function inSlices(bytes: Uint8Array, size: number, take: (slice: Uint8Array) => Uint8Array) {
  const slices: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    slices.push(take(bytes.subarray(at, at + size)).slice());
  }
  return concat(slices);
}

function toJson(
  text: Uint8Array,
  options: { columns: number; asCharacters: boolean; size: number },
) {
  const rows = new RowsAsJson(options);
  const json = inSlices(text, options.size, (slice) => rows.take(slice));
  rows.end();
  return json;
}

function fromJson(
  json: Uint8Array,
  options: { columns: number; asCharacters: boolean; size: number },
) {
  const rows = new JsonRows({
    ...options,
    line: 3,
    refuse: (why, { line, byte }) => new BackupError("invalid_request", `${line}:${byte}: ${why}`),
  });
  return inSlices(json, options.size, (slice) => rows.take(slice).text);
}

/** Values with what text formats stumble over, NULLs, and any character but NUL. */
const value = fc.option(fc.oneof(
  fc.constantFrom(
    "",
    "\\N",
    "\\.",
    "null",
    '"',
    "\\",
    "\t",
    "\n",
    "\r\n",
    "\b\f\v\x01\x7f",
    "{",
    "😀",
  ),
  fc.string({ unit: "binary", maxLength: 12 }).map((text) =>
    text.replaceAll("\0", "").toWellFormed()
  ),
));
const table = fc.integer({ min: 0, max: 4 }).chain((columns) =>
  fc.record({
    columns: fc.constant(columns),
    rows: fc.array(fc.array(value, { minLength: columns, maxLength: columns }), { maxLength: 5 }),
    size: fc.integer({ min: 1, max: 20 }),
  })
);

/** COPY data of rows of bytes, each character one byte. */
const copyText = (rows: (string | null)[][]) =>
  bytesOf(rows.map((row) => `${textRow(row)}\n`).join(""));

Deno.test("RowsAsJson writes what JSON.parse reads as the values, and JsonRows brings the bytes back", () => {
  fc.assert(
    fc.property(table, ({ columns, rows, size }) => {
      const bytes = copyText(
        rows.map((row) => row.map((each) => each === null ? null : byteString(encode(each)))),
      );
      const options = { columns, asCharacters: false, size };
      const json = toJson(bytes, options);
      const lines = decode(json).split("\n").slice(0, -1).map((line) => JSON.parse(line));
      assert.deepEqual(lines, rows);
      assert.deepEqual(fromJson(json, options), bytes);
    }),
    { numRuns: 300 },
  );
});

Deno.test("RowsAsJson and JsonRows keep any bytes of another encoding", () => {
  const bytesValue = fc.option(
    fc.uint8Array({ min: 1, maxLength: 12 }).map((bytes) => byteString(bytes)),
  );
  const rows = fc.array(fc.array(bytesValue, { minLength: 2, maxLength: 2 }), { maxLength: 5 });
  fc.assert(
    fc.property(rows, fc.integer({ min: 1, max: 9 }), (rows, size) => {
      const options = { columns: 2, asCharacters: true, size };
      const json = toJson(copyText(rows), options);
      const lines = decode(json).split("\n").slice(0, -1).map((line) => JSON.parse(line));
      assert.deepEqual(lines, rows);
      assert.deepEqual(fromJson(json, options), copyText(rows));
    }),
    { numRuns: 300 },
  );
});

Deno.test("JsonRows reads whatever JSON writes for a row", () => {
  fc.assert(
    fc.property(table, fc.boolean(), ({ columns, rows, size }, isSpaced) => {
      const json = rows.map((row) => {
        const ascii = JSON.stringify(row).replace(
          /[\u007f-\uffff]/g,
          (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
        );
        return isSpaced ? `[ ${ascii.slice(1, -1)}\t] \r\n` : `${ascii}\n`;
      }).join("");
      assert.deepEqual(
        fromJson(encode(json), { columns, asCharacters: false, size }),
        copyText(rows.map((row) => row.map((each) => each && byteString(encode(each))))),
      );
    }),
    { numRuns: 300 },
  );
});

for (
  const [what, json, message] of [
    ["too few values", '["a","b"]\n["a"]\n', /^4:5: the row has fewer values .* 2$/],
    ["too many values", '["a","b","c"]\n', /^3:10: the row has more values/],
    ["a number", '["a",1]\n', /^3:6: a value should be a string or null/],
    ["a list", '["a",["b"]]\n', /^3:6: a value should be a string or null/],
    ["a word", '["a",nil]\n', /^3:7: a value should be a string or null/],
    ["half a character", '["a","\\ud800"]\n', /half a character/],
    ["the other half alone", '["\\udc00","a"]\n', /half a character/],
    ["a NUL", '["a","\\u0000"]\n', /holds no NUL/],
    ["a control character", '["a","\x01"]\n', /should be escaped/],
    ["a line break in a string", '["a","b\nc"]\n', /should be escaped/],
    ["an unknown escape", '["a","\\x"]\n', /no such escape/],
    ["a short escape", '["a","\\u12g"]\n', /four digits/],
    ["no comma", '["a" "b"]\n', /should stand , or \]/],
    ["more after the row", '["a","b"],\n', /should stand nothing/],
    ["an empty line", '\n["a","b"]\n', /^3:1: a row should begin with \[/],
    ["text", "hello\n", /^3:1: a row should begin with \[/],
  ] as const
) {
  Deno.test(`JsonRows refuses ${what} with its line and byte`, () => {
    for (const size of [1, 100]) {
      assert.throws(
        () => fromJson(encode(json), { columns: 2, asCharacters: false, size }),
        (error) => error instanceof BackupError && message.test(error.message),
      );
    }
  });
}

Deno.test("JsonRows refuses a character that is no byte of the encoding", () => {
  const broken = Uint8Array.of(...encode('["'), 0xc2, 0x41);
  for (const json of [encode('["€"]\n'), encode('["\\u0100"]\n'), broken]) {
    assert.throws(
      () => fromJson(json, { columns: 1, asCharacters: true, size: 100 }),
      /one byte of the file's encoding/,
    );
  }
});
