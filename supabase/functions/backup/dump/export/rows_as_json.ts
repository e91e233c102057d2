/**
 * Lines of text COPY data as JSON arrays of strings and nulls, one to a line: byte by byte, so that a value
 * of any size needs no more memory than a slice of it.
 *
 * @module
 */
import { malformed } from "../data/byte_reader.ts";

/** What stands between two bytes. */
type State = "row" | "field" | "value" | "escape" | "first-escape" | "null";

const TAB = 0x09;
const NEWLINE = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_N = 0x4e;

/** What a letter behind a backslash stands for in COPY data, where it is not itself. */
const UNESCAPED = new Map([..."bfnrtv"].map((
  letter,
  index,
) => [letter.charCodeAt(0), [8, 12, 10, 13, 9, 11][index]!]));

/** How JSON writes the bytes of a value that do not stand for themselves. */
const ESCAPED: readonly (Uint8Array | undefined)[] = Array.from({ length: 256 }, (_, byte) => {
  if (byte >= 0x20 && byte !== QUOTE && byte !== BACKSLASH) return undefined;
  const text = JSON.stringify(String.fromCharCode(byte)).slice(1, -1);
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
});

/** See the module. */
export class RowsAsJson {
  readonly #columns: number;
  /** Whether a byte of a value is written as the character of its number. */
  readonly #asCharacters: boolean;
  /** 1 for bytes of a value that are written as they are. */
  readonly #isPlain = new Uint8Array(256);
  #state: State = "row";
  #fields = 0;
  #text: Uint8Array = new Uint8Array();
  #length = 0;

  /** `asCharacters`: for every encoding but UTF-8. */
  constructor({ columns, asCharacters }: { columns: number; asCharacters: boolean }) {
    this.#columns = columns;
    this.#asCharacters = asCharacters;
    for (let byte = 0x20; byte < (asCharacters ? 0x80 : 0x100); byte++) {
      this.#isPlain[byte] = ESCAPED[byte] === undefined ? 1 : 0;
    }
  }

  /** The JSON of the next slice; valid until the next call. @throws {BackupError} `object_altered` */
  take(slice: Uint8Array): Uint8Array {
    this.#length = 0;
    for (let at = 0; at < slice.length;) {
      if (this.#state === "value") {
        const from = at;
        while (at < slice.length && this.#isPlain[slice[at]!] === 1) at++;
        if (at > from) this.#put(slice.subarray(from, at));
        if (at === slice.length) break;
      }
      this.#take(slice[at++]!);
    }
    return this.#text.subarray(0, this.#length);
  }

  /** Says that nothing follows. @throws {BackupError} `object_altered` in the middle of a row */
  end(): void {
    if (this.#state !== "row") throw malformed("the last row has no end");
  }

  #take(byte: number): void {
    switch (this.#state) {
      case "row":
        this.#write("[");
        this.#fields = 0;
        if (this.#columns === 0) return this.#endRow(byte);
        this.#state = "field";
        return this.#take(byte);
      case "field":
        if (byte === BACKSLASH) {
          this.#state = "first-escape";
          return;
        }
        this.#write('"');
        this.#state = "value";
        return this.#take(byte);
      case "value":
        if (byte === TAB || byte === NEWLINE) {
          this.#write('"');
          return this.#endField(byte);
        }
        if (byte === BACKSLASH) this.#state = "escape";
        else this.#character(byte);
        return;
      case "first-escape":
        if (byte === LETTER_N) {
          this.#write("null");
          this.#state = "null";
          return;
        }
        this.#write('"');
        this.#state = "escape";
        return this.#take(byte);
      case "escape":
        this.#state = "value";
        return this.#character(UNESCAPED.get(byte) ?? byte);
      case "null":
        return this.#endField(byte);
    }
  }

  #endField(byte: number): void {
    this.#fields++;
    if (byte === TAB) {
      this.#write(",");
      this.#state = "field";
    } else this.#endRow(byte);
  }

  #endRow(byte: number): void {
    if (byte !== NEWLINE || this.#fields !== this.#columns) {
      throw malformed(`a row of ${this.#fields} values, not ${this.#columns}`);
    }
    this.#write("]\n");
    this.#state = "row";
  }

  #character(byte: number): void {
    const escaped = ESCAPED[byte];
    if (escaped !== undefined) return this.#put(escaped);
    const room = this.#room(2);
    if (byte >= 0x80 && this.#asCharacters) {
      room[this.#length++] = 0xc0 | byte >> 6;
      room[this.#length++] = 0x80 | byte & 0x3f;
    } else room[this.#length++] = byte;
  }

  #write(text: string): void {
    const room = this.#room(text.length);
    for (let i = 0; i < text.length; i++) room[this.#length++] = text.charCodeAt(i);
  }

  #put(bytes: Uint8Array): void {
    this.#room(bytes.length).set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** The text with room for more. */
  #room(bytes: number): Uint8Array {
    if (this.#length + bytes > this.#text.length) {
      const larger = new Uint8Array(Math.max(1 << 16, 2 * (this.#length + bytes)));
      larger.set(this.#text.subarray(0, this.#length));
      this.#text = larger;
    }
    return this.#text;
  }
}
