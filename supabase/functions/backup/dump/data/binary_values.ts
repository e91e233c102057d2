/**
 * Numbers, addresses, shapes and lexemes from their binary form, as PostgreSQL writes them.
 *
 * @module
 */

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Shortest digits that give the number back, in the server's way of writing them. */
function floatText(value: number, digits: string, limit: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(digits);
  if (match === null) throw new TypeError("Cannot write a number: it has no exponent");
  const [, sign = "", first = "", rest = "", power = "0"] = match;
  const mantissa = first + rest;
  const exponent = Number(power);
  if (exponent < -4 || exponent >= limit) {
    const tail = rest === "" ? "" : `.${rest}`;
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${first}${tail}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${mantissa}`;
  const whole = mantissa.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  const fraction = mantissa.slice(exponent + 1);
  return sign + whole + (fraction === "" ? "" : `.${fraction}`);
}

function float8(value: number): string {
  return floatText(value, value.toExponential(), 15);
}

/** double precision */
export function float8Text(bytes: Uint8Array): string {
  return float8(view(bytes).getFloat64(0));
}

/** real */
export function float4Text(bytes: Uint8Array): string {
  const value = view(bytes).getFloat32(0);
  let digits = value.toExponential();
  for (let precision = 0; precision < 9; precision++) {
    const shorter = value.toExponential(precision);
    if (Math.fround(Number(shorter)) !== value) continue;
    digits = shorter;
    break;
  }
  return floatText(value, digits, 6);
}

/** numeric */
export function numericText(bytes: Uint8Array): string {
  const data = view(bytes);
  const [count, weight, sign, scale] = [
    data.getInt16(0),
    data.getInt16(2),
    data.getUint16(4),
    data.getUint16(6),
  ];
  if (sign === 0xc000) return "NaN";
  if (sign === 0xd000) return "Infinity";
  if (sign === 0xf000) return "-Infinity";
  const group = (index: number) =>
    String(index >= 0 && index < count ? data.getInt16(8 + 2 * index) : 0).padStart(4, "0");
  let whole = "";
  for (let i = 0; i <= weight; i++) whole += group(i);
  let fraction = "";
  for (let i = weight + 1; fraction.length < scale; i++) fraction += group(i);
  const text = whole.replace(/^0+(?=\d)/, "") || "0";
  const tail = scale === 0 ? "" : `.${fraction.slice(0, scale)}`;
  return (sign === 0x4000 ? "-" : "") + text + tail;
}

/** bit, bit varying */
export function bitText(bytes: Uint8Array): string {
  const length = view(bytes).getInt32(0);
  let text = "";
  for (const byte of bytes.subarray(4)) text += byte.toString(2).padStart(8, "0");
  return text.slice(0, length);
}

/** inet, cidr */
export function inetText(bytes: Uint8Array): string {
  const [family, bits = 0, isCidr] = bytes;
  const address = bytes.subarray(4);
  const text = family === 2 ? address.join(".") : ipv6(address);
  const whole = bits === (family === 2 ? 32 : 128);
  return whole && isCidr === 0 ? text : `${text}/${bits}`;
}

function ipv6(address: Uint8Array): string {
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push(view(address).getUint16(i));
  const run = longestZeros(words);
  const mapped = run.from === 0 && (run.length === 6 || (run.length === 5 && words[5] === 0xffff));
  const last = mapped ? 6 : 8;
  let text = "";
  for (let i = 0; i < last; i++) {
    if (run.length > 0 && i >= run.from && i < run.from + run.length) {
      if (i === run.from) text += ":";
      continue;
    }
    text += (i === 0 ? "" : ":") + words[i]!.toString(16);
  }
  if (mapped) text += `:${address.subarray(12).join(".")}`;
  else if (run.length > 0 && run.from + run.length === 8) text += ":";
  return text;
}

/** The first longest run of two or more zero words. */
function longestZeros(words: readonly number[]): { from: number; length: number } {
  let best = { from: -1, length: 0 };
  for (let i = 0; i < words.length; i++) {
    let length = 0;
    while (words[i + length] === 0) length++;
    if (length >= 2 && length > best.length) best = { from: i, length };
    i += length;
  }
  return best;
}

/** macaddr, macaddr8 */
export function macText(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function numbers(bytes: Uint8Array, from = 0): string[] {
  const values: string[] = [];
  for (let at = from; at < bytes.length; at += 8) values.push(float8(view(bytes).getFloat64(at)));
  return values;
}

function points(bytes: Uint8Array, from = 0): string {
  const values = numbers(bytes, from);
  const pairs: string[] = [];
  for (let i = 0; i < values.length; i += 2) pairs.push(`(${values[i]},${values[i + 1]})`);
  return pairs.join(",");
}

/** point */
export function pointText(bytes: Uint8Array): string {
  return points(bytes);
}

/** lseg */
export function lsegText(bytes: Uint8Array): string {
  return `[${points(bytes)}]`;
}

/** path: closed in parentheses, open in brackets */
export function pathText(bytes: Uint8Array): string {
  return bytes[0] === 0 ? `[${points(bytes, 5)}]` : `(${points(bytes, 5)})`;
}

/** box */
export function boxText(bytes: Uint8Array): string {
  return points(bytes);
}

/** polygon */
export function polygonText(bytes: Uint8Array): string {
  return `(${points(bytes, 4)})`;
}

/** line */
export function lineText(bytes: Uint8Array): string {
  return `{${numbers(bytes).join(",")}}`;
}

/** circle */
export function circleText(bytes: Uint8Array): string {
  const [x, y, radius] = numbers(bytes);
  return `<(${x},${y}),${radius}>`;
}

/** tsvector */
export function tsvectorText(bytes: Uint8Array): string {
  const data = view(bytes);
  const lexemes: string[] = [];
  let at = 4;
  for (let i = 0; i < data.getInt32(0); i++) {
    const end = bytes.indexOf(0, at);
    let word = "";
    for (const byte of bytes.subarray(at, end)) word += String.fromCharCode(byte);
    at = end + 1;
    const positions: string[] = [];
    const count = data.getUint16(at);
    at += 2;
    for (let j = 0; j < count; j++, at += 2) {
      const position = data.getUint16(at);
      positions.push(`${position & 0x3fff}${["", "C", "B", "A"][position >> 14]}`);
    }
    const quoted = `'${word.replace(/['\\]/g, "$&$&")}'`;
    lexemes.push(positions.length === 0 ? quoted : `${quoted}:${positions.join(",")}`);
  }
  return lexemes.join(" ");
}
