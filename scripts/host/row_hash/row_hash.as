/*
 * The hashes that PostgreSQL makes of rows, from binary COPY data: AssemblyScript, compiled by
 * scripts/write_webassembly.ts into row_hash_wasm.ts.
 *
 * The caller writes the kinds of the columns at COLUMNS, COPY data at INPUT, and calls hashRows. Memory is laid out by
 * hand; nothing is allocated. Words are read past the end of a value and masked: there is always memory behind it.
 * One long file, because the compiler puts what is inlined, and the memory, together for a module as a whole.
 */

/** Two bytes for each column: its kind, and that of an array's elements. */
export const COLUMNS: u32 = 4096;
export const MOST_COLUMNS: u32 = 1600;
/** Keys of the jsonb value before, by their place among its keys. */
const KEYS: usize = 8192;
const MOST_KEYS: u32 = 256;
const KEY_ROOM: usize = 64; // 52 bytes of text, its length, its hash
const KEY_BYTES: u32 = 52;
/** What has to be put together before it is hashed. */
const SCRATCH: usize = 32768;
const SCRATCH_BYTES: u32 = 131072;
export const INPUT: u32 = 196608;
export const INPUT_BYTES: u32 = 1310720;

const BOOL: u8 = 1;
const INT2: u8 = 2;
const INT4: u8 = 3;
const INT8: u8 = 4;
const FLOAT4: u8 = 5;
const FLOAT8: u8 = 6;
const NUMERIC: u8 = 7;
const BYTES: u8 = 8;
const INTERVAL: u8 = 9;
const TIMETZ: u8 = 10;
const INET: u8 = 11;
const STRING: u8 = 12;
const BPCHAR: u8 = 13;
const JSONB: u8 = 14;
const TEXT_OF_ROW: u8 = 15;
const ARRAY: u8 = 16;

let columns: u32 = 0;
let rows: u64 = 0;
/** Sums of the lower halves of hashes, unsigned, and of the higher ones, signed. */
let sumLow: u64 = 0;
let sumHigh: i64 = 0;
let isEnded: bool = false;
/** A value that is not known to be hashed right was found. */
let isUnsure: bool = false;

export function begin(count: u32): void {
  columns = count;
  rows = 0;
  sumLow = 0;
  sumHigh = 0;
  isEnded = false;
  isUnsure = false;
}

export function rowsHashed(): u64 {
  return rows;
}

export function lowSum(): u64 {
  return sumLow;
}

export function highSum(): i64 {
  return sumHigh;
}

/** Whether the end of the COPY data was read, and everything before it is known to be right. */
export function isSure(): bool {
  return isEnded && !isUnsure;
}

/** Hashes all whole rows between two addresses; returns the address behind them. */
export function hashRows(from: u32, to: u32): u32 {
  let at: usize = from;
  const end: usize = to;
  while (!isUnsure && at + 2 <= end) {
    const count = <i32> <i16> bswap<u16>(load<u16>(at));
    if (isEnded || (count != -1 && count != columns)) {
      isUnsure = true;
    } else if (count == -1) {
      isEnded = true;
      at += 2;
    } else {
      const next = hashRow(at + 2, end);
      if (next == 0) break;
      at = next;
    }
  }
  return <u32> at;
}

/** Hashes a row and adds it up; returns its end, or 0 when that is not there yet. */
function hashRow(at: usize, end: usize): usize {
  let row: u64 = 0;
  for (let column: usize = COLUMNS, last = column + 2 * columns; column < last; column += 2) {
    if (at + 4 > end) return 0;
    const length = readInt(at);
    at += 4;
    let value: u64 = 0;
    const kind = load<u8>(column);
    if (length >= 0) {
      if (at + length > end) return 0;
      value = hashValue(kind, load<u8>(column, 1), at, length);
      at += length;
    } else if (kind == TEXT_OF_ROW) {
      value = hashInt8(hashWords(0x2928, 0, 2)); // a row of one NULL: ()
    }
    row = row * 31 + value;
  }
  row = hashSeeded(row);
  rows++;
  sumLow += row & 0xffffffff;
  sumHigh += <i64> row >> 32;
  return at;
}

function hashValue(kind: u8, element: u8, at: usize, length: i32): u64 {
  switch (kind) {
    case STRING:
      return hashInt8(hashBytes(at, length));
    case BPCHAR:
      while (length > 0 && load<u8>(at + length - 1) == 0x20) length--;
      return hashInt8(hashBytes(at, length));
    case JSONB:
      return hashInt8(hashJsonb(at, at + length));
    case TEXT_OF_ROW:
      return hashInt8(hashTextOfRow(at, length));
    case ARRAY:
      return hashArray(element, at, at + length);
    default:
      return hashDirect(kind, at, length);
  }
}

/** By the type's own hash function. */
function hashDirect(kind: u8, at: usize, length: i32): u64 {
  switch (kind) {
    case BOOL:
      return hashWords(<i32> load<i8>(at), 0, 4);
    case INT2:
      return hashWords(<i32> <i16> bswap<u16>(load<u16>(at)), 0, 4);
    case INT4:
      return hashWords(readInt(at), 0, 4);
    case INT8:
      return hashInt8(readLong(at));
    case FLOAT4:
      return hashFloat(<f64> reinterpret<f32>(readInt(at)));
    case FLOAT8:
      return hashFloat(reinterpret<f64>(readLong(at)));
    case NUMERIC:
      return hashNumeric(at);
    case BYTES:
      return hashBytes(at, length);
    case INTERVAL:
      return hashInt8(
        readLong(at) + (<i64> readInt(at + 12) * 30 + <i64> readInt(at + 8)) * 86400000000,
      );
    case TIMETZ:
      return hashInt8(readLong(at)) ^ hashWords(readInt(at + 8), 0, 4);
    case INET: {
      // Family, bits and address lie side by side in the server's memory; here two bytes are between them.
      const size = <i32> load<u8>(at, 3);
      store<u16>(SCRATCH, load<u16>(at));
      memory.copy(SCRATCH + 2, at + 4, size);
      return hashBytes(SCRATCH, size + 2);
    }
    default:
      isUnsure = true;
      return 0;
  }
}

function hashArray(element: u8, at: usize, end: usize): u64 {
  const dimensions = readInt(at);
  at += 12;
  let items = dimensions == 0 ? 0 : 1;
  for (let dimension = 0; dimension < dimensions; dimension++, at += 8) items *= readInt(at);
  let result: u64 = 1;
  for (let item = 0; item < items && at < end; item++) {
    const length = readInt(at);
    at += 4;
    result *= 31;
    if (length >= 0) {
      result += hashDirect(element, at, length);
      at += length;
    }
  }
  if (at != end) isUnsure = true;
  return result;
}

// Bytes and numbers

/** Bob Jenkins' lookup3, as PostgreSQL has it with the seed 0 on a little-endian machine. */
function hashBytes(at: usize, length: u32): u64 {
  let a: u32 = 0x9e3779b9 + 3923095 + length;
  let b = a;
  let c = a;
  while (length >= 12) {
    a += load<u32>(at);
    b += load<u32>(at, 4);
    c += load<u32>(at, 8);
    a -= c; a ^= rotl<u32>(c, 4); c += b;
    b -= a; b ^= rotl<u32>(a, 6); a += c;
    c -= b; c ^= rotl<u32>(b, 8); b += a;
    a -= c; a ^= rotl<u32>(c, 16); c += b;
    b -= a; b ^= rotl<u32>(a, 19); a += c;
    c -= b; c ^= rotl<u32>(b, 4); b += a;
    at += 12;
    length -= 12;
  }
  if (length > 8) {
    a += load<u32>(at);
    b += load<u32>(at, 4);
    // The lowest byte of the third word belongs to the length.
    c += load<u32>(at, 8) << (8 * (12 - length)) >> (8 * (12 - length)) << 8;
  } else if (length > 0) {
    const words = load<u64>(at) & (<u64> -1 >> (64 - 8 * length));
    a += <u32> words;
    b += <u32> (words >> 32);
  }
  return finish(a, b, c);
}

/** Hashes 1 to 8 bytes that are given as words; what is missing in them is 0. */
function hashWords(first: u32, second: u32, length: u32): u64 {
  const start: u32 = 0x9e3779b9 + 3923095 + length;
  return finish(start + first, start + second, start);
}

/** hash_uint32_extended of 0 with this seed. */
function hashSeeded(seed: u64): u64 {
  const start: u32 = 0x9e3779b9 + 3923095 + 4;
  let a = start;
  let b = start;
  let c = start;
  if (seed != 0) {
    a += <u32> (seed >> 32);
    b += <u32> seed;
    a -= c; a ^= rotl<u32>(c, 4); c += b;
    b -= a; b ^= rotl<u32>(a, 6); a += c;
    c -= b; c ^= rotl<u32>(b, 8); b += a;
    a -= c; a ^= rotl<u32>(c, 16); c += b;
    b -= a; b ^= rotl<u32>(a, 19); a += c;
    c -= b; c ^= rotl<u32>(b, 4); b += a;
  }
  return finish(a, b, c);
}

// @ts-ignore: decorator
@inline
function finish(a: u32, b: u32, c: u32): u64 {
  c ^= b; c -= rotl<u32>(b, 14);
  a ^= c; a -= rotl<u32>(c, 11);
  b ^= a; b -= rotl<u32>(a, 25);
  c ^= b; c -= rotl<u32>(b, 16);
  a ^= c; a -= rotl<u32>(c, 4);
  b ^= a; b -= rotl<u32>(a, 14);
  c ^= b; c -= rotl<u32>(b, 24);
  return <u64> b << 32 | <u64> c;
}

/** An integer that fits into 32 bits has the hash that it has there. */
function hashInt8(value: i64): u64 {
  const high = <u32> (value >> 32);
  return hashWords(<u32> value ^ (value >= 0 ? high : ~high), 0, 4);
}

function hashFloat(value: f64): u64 {
  if (value == 0) return 0;
  if (value != value) return hashWords(0, 0x7ff80000, 8);
  const bits = reinterpret<u64>(value);
  return hashWords(<u32> bits, <u32> (bits >> 32), 8);
}

function hashNumeric(at: usize): u64 {
  const digits = <u32> bswap<u16>(load<u16>(at));
  const weight = <i32> <i16> bswap<u16>(load<u16>(at, 2));
  if ((load<u8>(at, 4) & 0xc0) == 0xc0) return 0; // NaN and the infinities
  if (digits * 2 > SCRATCH_BYTES) {
    isUnsure = true;
    return 0;
  }
  for (let index: u32 = 0; index < digits; index++) {
    store<u16>(SCRATCH + 2 * index, bswap<u16>(load<u16>(at + 2 * index, 8)));
  }
  return hashDigits(digits, weight);
}

/** Hashes the digits to the base of 10,000 in the scratch, without zeros at both ends. */
function hashDigits(digits: u32, weight: i32): u64 {
  let from: u32 = 0;
  while (from < digits && load<u16>(SCRATCH + 2 * from) == 0) from++;
  if (from == digits) return -1;
  while (load<u16>(SCRATCH + 2 * digits - 2) == 0) digits--;
  return hashBytes(SCRATCH + 2 * from, 2 * (digits - from)) ^ <u64> <i64> (weight - <i32> from);
}

// JSON

/** Where the last scalar ended. */
let stop: usize = 0;

/**
 * From its text, which is the server's own: keys in jsonb's order, no doubles, one space behind a comma or colon. Each
 * scalar is mixed in, in the order of the text; of arrays and objects only that they begin.
 */
function hashJsonb(at: usize, end: usize): u64 {
  // The only version, and text behind it.
  if (at + 2 > end || load<u8>(at) != 1) isUnsure = true;
  at++;
  let result: u64 = 0;
  let keys: u32 = 0;
  const root = load<u8>(at);
  if (root == 0x7b || root == 0x5b) {
    if (end - at == 2) return 0;
  } else {
    result = 0x4000000040000000; // a scalar is kept as an array of one
  }
  while (at < end && !isUnsure) {
    const byte = load<u8>(at);
    let scalar: u64;
    if (byte == 0x22) { // "
      const key = KEYS + <usize> keys * KEY_ROOM;
      if (keys < MOST_KEYS && isKnownKey(at, key)) {
        scalar = load<u64>(key, 56);
        at += load<u32>(key, 52) + 1;
        keys++;
      } else {
        scalar = hashString(at + 1, end);
        if (stop < end && load<u8>(stop) == 0x3a) { // :
          if (keys < MOST_KEYS) keepKey(at, key, scalar);
          keys++;
        }
        at = stop;
        if (at < end && (load<u8>(at) == 0x2c || load<u8>(at) == 0x3a)) at += 2;
      }
    } else if (byte == 0x7b) { // {
      result ^= 0x2000000020000000;
      at++;
      continue;
    } else if (byte == 0x5b) { // [
      result ^= 0x4000000040000000;
      at++;
      continue;
    } else if (byte == 0x7d || byte == 0x5d) { // } ]
      at++;
      if (at < end && load<u8>(at) == 0x2c) at += 2;
      continue;
    } else {
      if (byte == 0x74) { // true
        scalar = 2;
        stop = at + 4;
      } else if (byte == 0x66) { // false
        scalar = 4;
        stop = at + 5;
      } else if (byte == 0x6e) { // null
        scalar = 1;
        stop = at + 4;
      } else {
        scalar = hashDecimal(at, end);
      }
      at = stop;
      if (at < end && load<u8>(at) == 0x2c) at += 2;
    }
    result = ((result << 1) & 0xfffffffefffffffe) | ((result >> 31) & 0x0000000100000001);
    result ^= scalar;
  }
  if (at != end) isUnsure = true;
  return result;
}

/** Whether the same key as last time is here, with quotes and colon. */
// @ts-ignore: decorator
@inline
function isKnownKey(at: usize, key: usize): bool {
  const length = load<u32>(key, 52);
  if (length == 0) return false;
  let from: u32 = 0;
  for (; from + 8 < length; from += 8) {
    if (load<u64>(at + from) != load<u64>(key + from)) return false;
  }
  return (load<u64>(at + from) ^ load<u64>(key + from)) << (64 - 8 * (length - from)) == 0;
}

/** Keeps the key whose closing quote is before `stop`. */
function keepKey(at: usize, key: usize, hash: u64): void {
  const length = <u32> (stop + 1 - at);
  if (length > KEY_BYTES) return;
  memory.copy(key, at, length);
  store<u32>(key, length, 52);
  store<u64>(key, hash, 56);
}

/** The string that begins at `at`, behind its quote; it stops behind the closing one. */
function hashString(at: usize, end: usize): u64 {
  let to = at;
  while (to < end) {
    const word = load<u64>(to);
    const quote = word ^ 0x2222222222222222;
    const backslash = word ^ 0x5c5c5c5c5c5c5c5c;
    // A byte that is 0 borrows from its highest bit; the first one that does so is one.
    const found = ((quote - 0x0101010101010101) & ~quote | (backslash - 0x0101010101010101) & ~backslash) &
      0x8080808080808080;
    if (found != 0) {
      to += <usize> ctz(found) >> 3;
      break;
    }
    to += 8;
  }
  if (to >= end) {
    isUnsure = true;
    return 0;
  }
  if (load<u8>(to) == 0x5c) return hashEscaped(at, to, end);
  stop = to + 1;
  return hashBytes(at, <u32> (to - at));
}

/** A string whose first escape is at `at`. */
function hashEscaped(from: usize, at: usize, end: usize): u64 {
  let to = SCRATCH;
  if (end - from > SCRATCH_BYTES) {
    isUnsure = true;
    return 0;
  }
  memory.copy(to, from, at - from);
  to += at - from;
  for (; at < end; at++) {
    let byte = load<u8>(at);
    if (byte == 0x22) {
      stop = at + 1;
      return hashBytes(SCRATCH, <u32> (to - SCRATCH));
    }
    if (byte == 0x5c) {
      byte = load<u8>(++at);
      if (byte == 0x75) { // \u00 and two digits, of a control character
        const tens = load<u8>(at, 3);
        const ones = load<u8>(at, 4);
        if (load<u16>(at, 1) != 0x3030 || (tens != 0x30 && tens != 0x31)) isUnsure = true;
        byte = (tens - 0x30) * 16 + (ones <= 0x39 ? ones - 0x30 : ones - 0x57);
        if (byte > 0x1f) isUnsure = true;
        at += 4;
      } else if (byte == 0x6e) byte = 10;
      else if (byte == 0x74) byte = 9;
      else if (byte == 0x72) byte = 13;
      else if (byte == 0x62) byte = 8;
      else if (byte == 0x66) byte = 12;
      else if (byte != 0x22 && byte != 0x5c) isUnsure = true;
    }
    store<u8>(to++, byte);
  }
  isUnsure = true;
  return 0;
}

/** A number in digits without an exponent, as the server writes a numeric: -12.50. */
function hashDecimal(at: usize, end: usize): u64 {
  if (load<u8>(at) == 0x2d) at++;
  let whole: u32 = 0;
  let point = at;
  while (point < end && isDigit(point)) whole = whole * 10 + load<u8>(point++) - 0x30;
  stop = point;
  if (point == at) isUnsure = true;
  if (point - at <= 8 && (point == end || load<u8>(point) != 0x2e)) return hashSmall(whole);
  const groups = <u32> (point - at + 3) / 4;
  if (end - at > SCRATCH_BYTES) {
    isUnsure = true;
    return 0;
  }
  let digits: u32 = 0;
  // The first group holds what is left when the others have four digits each.
  for (let to = point - 4 * (groups - 1); to <= point; to += 4) {
    const from = digits == 0 ? at : to - 4;
    store<u16>(SCRATCH + 2 * digits++, digitsBetween(from, to));
  }
  if (point < end && load<u8>(point) == 0x2e) {
    let from = point + 1;
    for (stop = from; stop < end && isDigit(stop);) stop++;
    for (; from < stop; from += 4) {
      let group = digitsBetween(from, min(from + 4, stop));
      for (let missing = stop; missing < from + 4; missing++) group *= 10;
      store<u16>(SCRATCH + 2 * digits++, group);
    }
  }
  return hashDigits(digits, <i32> groups - 1);
}

/** A whole number below 100,000,000, which most are. */
function hashSmall(value: u32): u64 {
  const low = value % 10000;
  const high = value / 10000;
  if (high == 0) return low == 0 ? <u64> -1 : hashWords(low, 0, 2);
  return (low == 0 ? hashWords(high, 0, 2) : hashWords(high | low << 16, 0, 4)) ^ 1;
}

function digitsBetween(from: usize, to: usize): u32 {
  let value: u32 = 0;
  while (from < to) value = value * 10 + load<u8>(from++) - 0x30;
  return value;
}

function isDigit(at: usize): bool {
  return <u32> load<u8>(at) - 0x30 <= 9;
}

// Text

/** ROW(value)::text, for types without a stable hash of their own. */
function hashTextOfRow(at: usize, length: i32): u64 {
  if (2 * length + 4 > <i32> SCRATCH_BYTES) {
    isUnsure = true;
    return 0;
  }
  const end = at + length;
  const isQuoted = needsQuotes(at, end);
  let to = SCRATCH;
  store<u8>(to++, 0x28); // (
  if (isQuoted) store<u8>(to++, 0x22);
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == 0x22 || byte == 0x5c) store<u8>(to++, byte);
    store<u8>(to++, byte);
  }
  if (isQuoted) store<u8>(to++, 0x22);
  store<u8>(to++, 0x29); // )
  return hashBytes(SCRATCH, <u32> (to - SCRATCH));
}

function needsQuotes(at: usize, end: usize): bool {
  if (at == end) return true;
  let isAscii = true;
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if (byte >= 0x80) isAscii = false;
    if (byte == 0x20 || (byte >= 9 && byte <= 13)) return true; // white space
    if (byte == 0x22 || byte == 0x5c || byte == 0x28 || byte == 0x29 || byte == 0x2c) return true; // " \ ( ) ,
  }
  // The server's locale decides whether a byte above ASCII is a space.
  if (!isAscii) isUnsure = true;
  return false;
}

function readInt(at: usize): i32 {
  return <i32> bswap<u32>(load<u32>(at));
}

function readLong(at: usize): i64 {
  return <i64> bswap<u64>(load<u64>(at));
}
