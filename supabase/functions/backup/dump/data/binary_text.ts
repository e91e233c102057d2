/**
 * Writes binary values as the text that PostgreSQL itself would write under the pinned settings, so
 * that a backup can be read without a server.
 *
 * Text is held as byte strings here: each char code is one byte of the server's encoding.
 *
 * @module
 */
import type { BinaryForm } from "../../core/model.ts";
import {
  dateText,
  intervalText,
  timestampText,
  timestamptzText,
  timeText,
  timetzText,
} from "./binary_time.ts";
import {
  bitText,
  boxText,
  circleText,
  float4Text,
  float8Text,
  inetText,
  lineText,
  lsegText,
  macText,
  numericText,
  pathText,
  pointText,
  polygonText,
  tsvectorText,
} from "./binary_values.ts";

/** Turns the bytes of one value into text. */
export type ToText = (bytes: Uint8Array) => string;

/** The decoder of a form. @throws {TypeError} for a form that is not known */
export function textOf(form: BinaryForm): ToText {
  switch (form.kind) {
    case "base": {
      const decode = BASE_TYPES[form.name];
      if (decode === undefined) {
        throw new TypeError(`Cannot write ${form.name} as text: unknown type`);
      }
      return decode;
    }
    case "array":
      return arrayText(textOf(form.element), form.delimiter);
    case "composite":
      return compositeText(form.attributes.map(textOf));
    case "range":
      return rangeText(textOf(form.subtype));
    case "multirange":
      return multirangeText(rangeText(textOf(form.subtype)));
  }
}

/** Bytes as a byte string. */
export function byteString(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return text;
}

/** Bytes of a byte string. */
export function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const uint4: ToText = (bytes) => String(view(bytes).getUint32(0));

function afterVersion(bytes: Uint8Array): string {
  if (bytes[0] !== 1) throw new TypeError(`Cannot read a value: its version is ${bytes[0]}`);
  return byteString(bytes.subarray(1));
}

function hex(bytes: Uint8Array): string {
  const digits: string[] = [];
  for (const byte of bytes) digits.push(byte.toString(16).padStart(2, "0"));
  return digits.join("");
}

/** `"char"`: one byte; those outside of ASCII in octal, as servers since 16 write and read them. */
function charText(bytes: Uint8Array): string {
  const byte = bytes[0] ?? 0;
  if (byte === 0) return "";
  return byte < 0x80 ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
}

function uuidText(bytes: Uint8Array): string {
  return hex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function lsnText(bytes: Uint8Array): string {
  const part = (at: number) => view(bytes).getUint32(at).toString(16).toUpperCase();
  return `${part(0)}/${part(4)}`;
}

function snapshotText(bytes: Uint8Array): string {
  const data = view(bytes);
  const running: string[] = [];
  for (let i = 0; i < data.getInt32(0); i++) running.push(String(data.getBigInt64(20 + 8 * i)));
  return `${data.getBigInt64(4)}:${data.getBigInt64(12)}:${running.join(",")}`;
}

const BASE_TYPES: Readonly<Record<string, ToText>> = {
  bool: (bytes) => bytes[0] === 0 ? "f" : "t",
  bytea: (bytes) => `\\x${hex(bytes)}`,
  char: charText,
  name: byteString,
  text: byteString,
  varchar: byteString,
  bpchar: byteString,
  json: byteString,
  enum: byteString,
  jsonb: afterVersion,
  jsonpath: afterVersion,
  int2: (bytes) => String(view(bytes).getInt16(0)),
  int4: (bytes) => String(view(bytes).getInt32(0)),
  int8: (bytes) => String(view(bytes).getBigInt64(0)),
  oid: uint4,
  xid: uint4,
  cid: uint4,
  xid8: (bytes) => String(view(bytes).getBigUint64(0)),
  tid: (bytes) => `(${view(bytes).getUint32(0)},${view(bytes).getUint16(4)})`,
  float4: float4Text,
  float8: float8Text,
  numeric: numericText,
  bit: bitText,
  varbit: bitText,
  uuid: uuidText,
  pg_lsn: lsnText,
  pg_snapshot: snapshotText,
  txid_snapshot: snapshotText,
  date: dateText,
  time: timeText,
  timetz: timetzText,
  timestamp: timestampText,
  timestamptz: timestamptzText,
  interval: intervalText,
  inet: inetText,
  cidr: inetText,
  macaddr: macText,
  macaddr8: macText,
  point: pointText,
  lseg: lsegText,
  path: pathText,
  box: boxText,
  polygon: polygonText,
  line: lineText,
  circle: circleText,
  tsvector: tsvectorText,
  int2vector: (bytes) => elements(bytes, (item) => String(view(item).getInt16(0))).join(" "),
  oidvector: (bytes) => elements(bytes, uint4).join(" "),
};

/** Names of the base types that can be written. */
export const DECODABLE_TYPES: readonly string[] = Object.keys(BASE_TYPES);

function arrayHeader(bytes: Uint8Array) {
  const data = view(bytes);
  const dimensions: { length: number; lower: number }[] = [];
  for (let i = 0; i < data.getInt32(0); i++) {
    dimensions.push({ length: data.getInt32(12 + 8 * i), lower: data.getInt32(16 + 8 * i) });
  }
  return { dimensions, at: 12 + 8 * dimensions.length };
}

/** The values of an array, flat; NULL as null when the decoder allows it. */
function elements(bytes: Uint8Array, decode: ToText): (string | null)[] {
  const data = view(bytes);
  const values: (string | null)[] = [];
  for (let { at } = arrayHeader(bytes); at < bytes.length;) {
    const length = data.getInt32(at);
    at += 4;
    values.push(length < 0 ? null : decode(bytes.subarray(at, at + length)));
    at += Math.max(length, 0);
  }
  return values;
}

function arrayText(decode: ToText, delimiter: string): ToText {
  const special = (text: string) =>
    text === "" || /^null$/i.test(text) || text.includes(delimiter) ||
    /[{}"\\ \t\n\r\v\f]/.test(text);
  const quote = (text: string | null) =>
    text === null ? "NULL" : special(text) ? `"${text.replace(/["\\]/g, "\\$&")}"` : text;
  return (bytes) => {
    const { dimensions } = arrayHeader(bytes);
    let level = elements(bytes, decode).map(quote);
    if (level.length === 0) return "{}";
    for (const { length } of dimensions.toReversed()) {
      const outer: string[] = [];
      for (let i = 0; i < level.length; i += length) {
        outer.push(`{${level.slice(i, i + length).join(delimiter)}}`);
      }
      level = outer;
    }
    const bounds = dimensions.some(({ lower }) => lower !== 1)
      ? dimensions.map(({ length, lower }) => `[${lower}:${lower + length - 1}]`).join("") + "="
      : "";
    return bounds + level.join("");
  };
}

function quoteInside(text: string, special: RegExp): string {
  return text === "" || special.test(text) ? `"${text.replace(/["\\]/g, "$&$&")}"` : text;
}

function compositeText(attributes: readonly ToText[]): ToText {
  return (bytes) => {
    const data = view(bytes);
    const fields: string[] = [];
    let at = 4;
    for (let i = 0; i < data.getInt32(0); i++) {
      const length = data.getInt32(at + 4);
      at += 8;
      const decode = attributes[i];
      if (decode === undefined) {
        throw new TypeError("Cannot read a row value: it has other columns");
      }
      fields.push(
        length < 0
          ? ""
          : quoteInside(decode(bytes.subarray(at, at + length)), /["\\(), \t\n\r\v\f]/),
      );
      at += Math.max(length, 0);
    }
    return `(${fields.join(",")})`;
  };
}

function rangeText(decode: ToText): ToText {
  return (bytes) => {
    const flags = bytes[0] ?? 0;
    if (flags & 1) return "empty";
    const data = view(bytes);
    let at = 1;
    const bound = (infinite: number) => {
      if (flags & infinite) return "";
      const length = data.getInt32(at);
      const value = decode(bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length;
      return quoteInside(value, /["\\()[\], \t\n\r\v\f]/);
    };
    const lower = bound(8);
    const upper = bound(16);
    return `${flags & 2 ? "[" : "("}${lower},${upper}${flags & 4 ? "]" : ")"}`;
  };
}

function multirangeText(decode: ToText): ToText {
  return (bytes) => {
    const data = view(bytes);
    const ranges: string[] = [];
    let at = 4;
    for (let i = 0; i < data.getInt32(0); i++) {
      const length = data.getInt32(at);
      ranges.push(decode(bytes.subarray(at + 4, at + 4 + length)));
      at += 4 + length;
    }
    return `{${ranges.join(",")}}`;
  };
}
