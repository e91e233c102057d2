/**
 * SQL text and values between JavaScript strings and the connection's encoding.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";

/** How a connection writes and reads text. */
export interface TextCodec {
  encode(text: string): Uint8Array;
  /** @throws {BackupError} `damaged_source` when the bytes are not text in this encoding */
  decode(bytes: Uint8Array): string;
}

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const looseDecoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** UTF-8. A byte order mark is a character like any other. */
export const UTF8_CODEC: TextCodec = {
  encode: (text) => encoder.encode(text),
  decode(bytes) {
    try {
      return strictDecoder.decode(bytes);
    } catch (cause) {
      throw new BackupError("damaged_source", "Cannot read a value: it is not valid UTF-8", {
        hint: "The database holds text that does not fit its encoding; find and correct it.",
        cause,
      });
    }
  },
};

/** One character code for each byte: for databases whose text has no UTF-8 form. */
export const BYTES_CODEC: TextCodec = {
  encode(text) {
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code > 255) {
        throw new BackupError("internal", "Cannot send SQL text: it holds a character above 255", {
          hint: "On a connection whose sqlText is `bytes`, each character stands for one byte.",
        });
      }
      bytes[at] = code;
    }
    return bytes;
  },
  decode(bytes) {
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) {
      text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    }
    return text;
  },
};

/** Text of a message that may come before the encoding is known. */
export function decodeLoosely(bytes: Uint8Array): string {
  return looseDecoder.decode(bytes);
}
