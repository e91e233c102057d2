/**
 * The messages that a client sends in PostgreSQL's protocol 3.0, as bytes.
 *
 * @module
 */

const CANCEL_REQUEST = 80877102;
const SSL_REQUEST = 80877103;
const VERSION_3_0 = 196608;

/** A frontend message: type letter, length, payload. */
export function frame(type: string, ...payload: Uint8Array[]): Uint8Array {
  const length = payload.reduce((sum, part) => sum + part.length, 4);
  const message = new Uint8Array(length + 1);
  message[0] = type.charCodeAt(0);
  writeInt32(message, 1, length);
  let at = 5;
  for (const part of payload) {
    message.set(part, at);
    at += part.length;
  }
  return message;
}

/** The StartupMessage with its parameters. */
export function startupMessage(parameters: Record<string, string>): Uint8Array {
  const text = Object.entries(parameters).map(([name, value]) => `${name}\0${value}\0`).join("");
  const body = new TextEncoder().encode(`${text}\0`);
  const message = new Uint8Array(body.length + 8);
  writeInt32(message, 0, message.length);
  writeInt32(message, 4, VERSION_3_0);
  message.set(body, 8);
  return message;
}

/** Asks whether the server speaks TLS. */
export function sslRequest(): Uint8Array {
  const message = new Uint8Array(8);
  writeInt32(message, 0, 8);
  writeInt32(message, 4, SSL_REQUEST);
  return message;
}

/** Asks the server to cancel what the backend of this key runs. */
export function cancelRequest(pid: number, secret: Uint8Array): Uint8Array {
  const message = new Uint8Array(12 + secret.length);
  writeInt32(message, 0, message.length);
  writeInt32(message, 4, CANCEL_REQUEST);
  writeInt32(message, 8, pid);
  message.set(secret, 12);
  return message;
}

/** Parse, Bind, Describe, Execute and Sync of an unnamed statement with text parameters. */
export function extendedQuery(
  sql: Uint8Array,
  parameters: readonly (Uint8Array | null)[],
): Uint8Array {
  const zero = new Uint8Array(1);
  const none = new Uint8Array(2);
  const values: Uint8Array[] = [];
  for (const value of parameters) {
    values.push(int32(value === null ? -1 : value.length));
    if (value !== null) values.push(value);
  }
  const messages = [
    frame("P", zero, sql, zero, none),
    frame("B", zero, zero, none, int16(parameters.length), ...values, none),
    frame("D", new TextEncoder().encode("P\0")),
    frame("E", zero, int32(0)),
    frame("S"),
  ];
  const all = new Uint8Array(messages.reduce((sum, message) => sum + message.length, 0));
  let at = 0;
  for (const message of messages) {
    all.set(message, at);
    at += message.length;
  }
  return all;
}

/** Writes a big-endian 32-bit integer. */
export function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Reads a big-endian signed 32-bit integer. */
export function readInt32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** Reads a big-endian unsigned 16-bit integer. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  writeInt32(bytes, 0, value);
  return bytes;
}

function int16(value: number): Uint8Array {
  return new Uint8Array([value >>> 8, value]);
}
