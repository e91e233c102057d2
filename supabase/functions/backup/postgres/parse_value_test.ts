import assert from "node:assert/strict";
import { parserOf } from "./parse_value.ts";
import { shortWord } from "./short_words.ts";
import { UTF8_CODEC } from "./text_codec.ts";

/** Reads a value out of the middle of a message. */
function read(typeOid: number, text: string) {
  const bytes = new TextEncoder().encode(`12${text}34`);
  return parserOf(typeOid, UTF8_CODEC)(bytes, 2, bytes.length - 2);
}

Deno.test("numbers are read as they are written, with as many digits as a number holds", () => {
  const texts = [
    "0",
    "-0",
    "7",
    "-2147483648",
    "4294967295",
    "999999999999999",
    "1e3",
    "-1.5",
    "NaN",
  ];
  for (const text of texts) assert.ok(Object.is(read(701, text), Number(text)), text);
  assert.equal(read(701, "Infinity"), Infinity);
  assert.equal(read(701, "-Infinity"), -Infinity);
  assert.equal(read(701, "1234567890123456"), 1234567890123456);
  assert.equal(read(20, "9007199254740993"), "9007199254740993", "bigint stays text");
});

Deno.test("booleans, text and arrays are read by their type", () => {
  assert.deepEqual([read(16, "t"), read(16, "f")], [true, false]);
  for (const text of ["", "a", "integer", "naïve ☃", "x".repeat(24), "x".repeat(25)]) {
    assert.equal(read(25, text), text);
  }
  assert.deepEqual(read(1028, "{1,NULL,3}"), [1, null, 3]);
  assert.deepEqual(read(1009, "{}"), []);
});

Deno.test("shortWord() never takes one word for another", () => {
  const bytes = new Uint8Array(8);
  for (let number = 0; number < 20_000; number++) {
    const word = (number * 7919).toString(36);
    const { written } = new TextEncoder().encodeInto(word, bytes);
    assert.equal(shortWord(bytes, 0, written), word);
  }
});

Deno.test("shortWord() leaves what is long or not of ASCII to the decoder", () => {
  const long = new TextEncoder().encode("a".repeat(25));
  assert.equal(shortWord(long, 0, 25), undefined);
  assert.equal(shortWord(long, 0, 24), "a".repeat(24));
  assert.equal(shortWord(new TextEncoder().encode("é"), 0, 2), undefined);
});
