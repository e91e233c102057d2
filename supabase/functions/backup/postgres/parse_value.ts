/**
 * Turns values in the server's text form into JavaScript values.
 *
 * @module
 */
import type { Value } from "./session.ts";
import { shortWord } from "./short_words.ts";
import type { TextCodec } from "./text_codec.ts";

/** Reads one value that is not NULL, in the bytes from `from` up to `to`. */
export type ValueParser = (bytes: Uint8Array, from: number, to: number) => Value;

/** Reads the text of a value. */
type TextParser = (text: string) => Value;

const asText: TextParser = (text) => text;
const asBoolean: TextParser = (text) => text === "t";
const asNumber: TextParser = (text) =>
  text === "Infinity" ? Infinity : text === "-Infinity" ? -Infinity : Number(text);
const asJson: TextParser = (text) => JSON.parse(text);
const asNumbers: TextParser = (text) => text === "" ? [] : text.split(" ").map(Number);
const arrayOf = (element: TextParser): TextParser => (text) => parseArray(text, element);

/** By type OID; these OIDs are fixed in every PostgreSQL. */
const PARSERS = new Map<number, TextParser>([
  [16, asBoolean], // bool
  [21, asNumber], // int2
  [23, asNumber], // int4
  [26, asNumber], // oid
  [28, asNumber], // xid
  [700, asNumber], // float4
  [701, asNumber], // float8
  [114, asJson], // json
  [3802, asJson], // jsonb
  [22, asNumbers], // int2vector
  [30, asNumbers], // oidvector
  [1000, arrayOf(asBoolean)],
  [1005, arrayOf(asNumber)],
  [1007, arrayOf(asNumber)],
  [1028, arrayOf(asNumber)],
  [1011, arrayOf(asNumber)],
  [1021, arrayOf(asNumber)],
  [1022, arrayOf(asNumber)],
  [1016, arrayOf(asText)], // int8[]
  [199, arrayOf(asJson)],
  [3807, arrayOf(asJson)],
  [1002, arrayOf(asText)], // "char"[]
  [1003, arrayOf(asText)], // name[]
  [1009, arrayOf(asText)], // text[]
  [1015, arrayOf(asText)], // varchar[]
  [1034, arrayOf(asText)], // aclitem[]
]);

const TRUE = "t".charCodeAt(0);
const MINUS = "-".charCodeAt(0);
const ZERO = "0".charCodeAt(0);
/** More digits may need more than a number holds exactly; they are read as text. */
const MOST_DIGITS = 15;

/** The parser for a type's OID; values of types without one stay the server's text. */
export function parserOf(typeOid: number, { decode }: Pick<TextCodec, "decode">): ValueParser {
  const parse = PARSERS.get(typeOid) ?? asText;
  const asWord: ValueParser = (bytes, from, to) =>
    parse(shortWord(bytes, from, to) ?? decode(bytes.subarray(from, to)));
  // Catalogs are full of these: without a string in between they cost a fraction.
  if (parse === asBoolean) return (bytes, from) => bytes[from] === TRUE;
  if (parse !== asNumber) return asWord;
  return (bytes, from, to) => parseDigits(bytes, from, to) ?? asWord(bytes, from, to);
}

/** The whole number that is written there; undefined for what is more than plain digits. */
function parseDigits(bytes: Uint8Array, from: number, to: number): number | undefined {
  const first = bytes[from] === MINUS ? from + 1 : from;
  if (to - first > MOST_DIGITS || first === to) return undefined;
  let value = 0;
  for (let at = first; at < to; at++) {
    const digit = bytes[at]! - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return first === from ? value : -value;
}

/**
 * Reads a one-dimensional array literal such as `{a,"b c",NULL}`. Arrays of more dimensions come back
 * as their text, because no caller reads them by element.
 */
export function parseArray(text: string, element: TextParser): Value {
  const bounds = /^\[(-?\d+):-?\d+\]=/.exec(text);
  const start = bounds === null ? 0 : bounds[0].length;
  if (text[start] !== "{" || text[start + 1] === "{") return text;
  if (!/["\\]/.test(text)) return parseBareArray(text.slice(start + 1, -1), element);
  const values: Value[] = [];
  let at = start + 1;
  while (text[at] !== "}") {
    if (at >= text.length) return text;
    if (text[at] === '"') {
      let value = "";
      for (at++; text[at] !== '"'; at++) {
        if (text[at] === "\\") at++;
        value += text[at];
      }
      at++;
      values.push(element(value));
    } else {
      const from = at;
      let value = "";
      while (text[at] !== "," && text[at] !== "}") {
        if (text[at] === "\\") at++;
        value += text[at++];
      }
      const bare = text.slice(from, at);
      values.push(bare.toUpperCase() === "NULL" ? null : element(value));
    }
    if (text[at] === ",") at++;
  }
  return values;
}

/** The elements of an array in which no element needs quotes. */
function parseBareArray(text: string, element: TextParser): Value[] {
  if (text === "") return [];
  return text.split(",").map((item) => item.toUpperCase() === "NULL" ? null : element(item));
}
