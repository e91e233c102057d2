/**
 * Turns values in the server's text form into JavaScript values.
 *
 * @module
 */
import type { Value } from "./session.ts";

/** Reads one value that is not NULL. */
export type ValueParser = (text: string) => Value;

const asText: ValueParser = (text) => text;
const asBoolean: ValueParser = (text) => text === "t";
const asNumber: ValueParser = (text) =>
  text === "Infinity" ? Infinity : text === "-Infinity" ? -Infinity : Number(text);
const asJson: ValueParser = (text) => JSON.parse(text);
const arrayOf = (element: ValueParser): ValueParser => (text) => parseArray(text, element);

/** By type OID; these OIDs are fixed in every PostgreSQL. */
const PARSERS = new Map<number, ValueParser>([
  [16, asBoolean], // bool
  [21, asNumber], // int2
  [23, asNumber], // int4
  [26, asNumber], // oid
  [28, asNumber], // xid
  [700, asNumber], // float4
  [701, asNumber], // float8
  [114, asJson], // json
  [3802, asJson], // jsonb
  [22, (text) => text === "" ? [] : text.split(" ").map(Number)], // int2vector
  [30, (text) => text === "" ? [] : text.split(" ").map(Number)], // oidvector
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

/** The parser for a type's OID; types without one stay the server's text. */
export function parserOf(typeOid: number): ValueParser {
  return PARSERS.get(typeOid) ?? asText;
}

/**
 * Reads a one-dimensional array literal such as `{a,"b c",NULL}`. Arrays of more dimensions come back
 * as their text, because no caller reads them by element.
 */
export function parseArray(text: string, element: ValueParser): Value {
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
function parseBareArray(text: string, element: ValueParser): Value[] {
  if (text === "") return [];
  return text.split(",").map((item) => item.toUpperCase() === "NULL" ? null : element(item));
}
