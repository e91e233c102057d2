/**
 * Reads a multipart body with the headers of its parts, which the platform's own reader does not give.
 *
 * @module
 */
import { fromUtf8, utf8 } from "../core/bytes.ts";

/** One part of a body. */
export interface BodyPart {
  /** By lower-case name. */
  headers: Map<string, string>;
  /** Field name of `content-disposition`; empty when it has none. */
  name: string;
  /** File name of `content-disposition`; null for a plain field. */
  filename: string | null;
  /** A view into the body. */
  content: Uint8Array;
}

/** @throws {SyntaxError} when the body is not whole, or no multipart body at all */
export function parseMultipart(body: Uint8Array, contentType: string): BodyPart[] {
  const boundary = parameterOf(contentType, "boundary");
  if (!/^multipart\//i.test(contentType.trim()) || boundary === null) {
    throw new SyntaxError("the answer is no multipart body");
  }
  const delimiter = utf8(`\r\n--${boundary}`);
  const parts: BodyPart[] = [];
  // The first delimiter needs no line end before it.
  let at = startsWith(body, 0, delimiter.subarray(2)) ? -2 : indexOf(body, delimiter, 0);
  for (;;) {
    if (at === -1) throw new SyntaxError("the multipart body has no end");
    const afterDelimiter = at + delimiter.length;
    if (startsWith(body, afterDelimiter, utf8("--"))) return parts;
    // White space may follow the delimiter on its line.
    const begin = indexOf(body, LINE_END, afterDelimiter);
    const next = indexOf(body, delimiter, afterDelimiter);
    if (begin === -1 || next === -1) throw new SyntaxError("the multipart body has no end");
    parts.push(parsePart(body.subarray(begin, next)));
    at = next;
  }
}

const LINE_END = utf8("\r\n");
const HEADERS_END = utf8("\r\n\r\n");

/** @param part from the line end of its delimiter on */
function parsePart(part: Uint8Array): BodyPart {
  const end = indexOf(part, HEADERS_END, 0);
  if (end === -1) throw new SyntaxError("a part of the multipart body has no headers");
  const headers = new Map<string, string>();
  for (const line of fromUtf8(part.subarray(0, end)).split("\r\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) {
      headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
    }
  }
  const disposition = headers.get("content-disposition") ?? "";
  return {
    headers,
    name: parameterOf(disposition, "name") ?? "",
    filename: extendedParameterOf(disposition, "filename") ?? parameterOf(disposition, "filename"),
    content: part.subarray(end + HEADERS_END.length),
  };
}

/** `name=value` or `name="value"` of a header, the latter with escapes by backslash. */
function parameterOf(header: string, name: string): string | null {
  const pattern = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^;\\s"]+))`, "i");
  const [, quoted, bare] = pattern.exec(header) ?? [];
  return quoted?.replace(/\\(.)/g, "$1") ?? bare ?? null;
}

/** `name*=UTF-8''value` of a header. */
function extendedParameterOf(header: string, name: string): string | null {
  const value = new RegExp(`;\\s*${name}\\*=UTF-8''([^;\\s]+)`, "i").exec(header)?.[1];
  try {
    return value === undefined ? null : decodeURIComponent(value);
  } catch {
    return null; // the plain parameter is beside it
  }
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  const first = wanted[0] as number;
  for (
    let at = bytes.indexOf(first, Math.max(0, from));
    at !== -1;
    at = bytes.indexOf(first, at + 1)
  ) {
    if (startsWith(bytes, at, wanted)) return at;
  }
  return -1;
}

function startsWith(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  return bytes.length >= at + wanted.length && wanted.every((byte, i) => bytes[at + i] === byte);
}
