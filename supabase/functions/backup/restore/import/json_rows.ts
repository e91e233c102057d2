/**
 * Lines of JSON arrays of strings and nulls as text COPY data: byte by byte, so that a value of any size
 * needs no more memory than a slice of it.
 *
 * @module
 */
import type { BackupError } from "../../core/errors.ts";

/** What {@linkcode JsonRows} reads. */
export interface JsonRowsOptions {
  columns: number;
  /** Whether each character is one byte of another encoding than UTF-8. */
  asCharacters: boolean;
  /** Line of the first row. */
  line: number;
  /** Makes the error for a place. */
  refuse: (why: string, place: { line: number; byte: number }) => BackupError;
}

/** What stands between two bytes. */
type State =
  | "row"
  | "first"
  | "value"
  | "string"
  | "second-byte"
  | "escape"
  | "unicode"
  | "null"
  | "after"
  | "rest";

const code = (char: string) => char.charCodeAt(0);
const [TAB, NEWLINE, QUOTE, BACKSLASH] = [0x09, 0x0a, 0x22, 0x5c];
const [OPEN, CLOSE, COMMA, BRACE] = [code("["), code("]"), code(","), code("{")];

/** What a character behind a backslash stands for in JSON. */
const UNESCAPED = new Map([...'"\\/bfnrt'].map((letter, index) => [
  code(letter),
  [0x22, 0x5c, 0x2f, 8, 12, 10, 13, 9][index]!,
]));

/** What COPY data has in place of a byte. */
const COPY_ESCAPED = new Map([..."btnvfr\\"].map((letter, index) => [
  [8, 9, 10, 11, 12, 13, BACKSLASH][index]!,
  code(letter),
]));

/** See the module. */
export class JsonRows {
  /** Rows that have ended. */
  rows = 0;
  readonly #options: JsonRowsOptions;
  /** 1 for bytes of a string that stand for themselves in both. */
  readonly #isPlain = new Uint8Array(256);
  #state: State = "row";
  #line: number;
  #byte = 0;
  #values = 0;
  /** Bytes of `null` or digits of an escape so far. */
  #seen = 0;
  #unit = 0;
  /** A high surrogate that waits for its low one; else 0. */
  #high = 0;
  #text: Uint8Array = new Uint8Array();
  #length = 0;

  constructor(options: JsonRowsOptions) {
    this.#options = options;
    this.#line = options.line;
    for (let byte = 0x20; byte < (options.asCharacters ? 0x80 : 0x100); byte++) {
      this.#isPlain[byte] = byte === QUOTE || byte === BACKSLASH ? 0 : 1;
    }
  }

  /** Whether the next byte begins a line. */
  get betweenRows(): boolean {
    return this.#state === "row";
  }

  /** The line that comes next or has begun. */
  get line(): number {
    return this.#line;
  }

  /**
   * The COPY data of the next bytes, up to a line that is no row, and how many bytes these are. The data
   * is valid until the next call.
   *
   * @throws {BackupError} by `refuse`
   */
  take(slice: Uint8Array): { text: Uint8Array; consumed: number; isOver: boolean } {
    this.#length = 0;
    let at = 0;
    while (at < slice.length) {
      if (this.#state === "row" && slice[at] === BRACE) break;
      if (this.#state === "string" && this.#high === 0) {
        const from = at;
        while (at < slice.length && this.#isPlain[slice[at]!] === 1) at++;
        this.#put(slice.subarray(from, at));
        this.#byte += at - from;
        if (at === slice.length) break;
      }
      this.#byte++;
      this.#take(slice[at++]!);
    }
    return {
      text: this.#text.subarray(0, this.#length),
      consumed: at,
      isOver: at < slice.length,
    };
  }

  #take(byte: number): void {
    switch (this.#state) {
      case "row":
        if (byte !== OPEN) throw this.#refuse("a row should begin with [");
        this.#values = 0;
        this.#state = "first";
        return;
      case "first":
        if (byte === CLOSE) return this.#endRow();
        return this.#beginValue(byte);
      case "value":
        return this.#beginValue(byte);
      case "string":
      case "second-byte":
      case "escape":
      case "unicode":
        return this.#takeInString(byte);
      case "null":
        if (byte !== code("null"[this.#seen]!)) throw this.#refuse(ONLY_STRINGS);
        if (++this.#seen < 4) return;
        this.#append(BACKSLASH);
        this.#append(code("N"));
        this.#state = "after";
        return;
      case "after":
        if (isSpace(byte)) return;
        if (byte === CLOSE) return this.#endRow();
        if (byte !== COMMA) throw this.#refuse("after a value should stand , or ]");
        this.#append(TAB);
        this.#state = "value";
        return;
      case "rest":
        if (byte === NEWLINE) {
          this.#state = "row";
          this.#line++;
          this.#byte = 0;
        } else if (!isSpace(byte)) throw this.#refuse("after a row should stand nothing");
    }
  }

  #beginValue(byte: number): void {
    if (isSpace(byte)) return;
    this.#values++;
    if (this.#values > this.#options.columns) throw this.#refuse(this.#wrongCount("more"));
    if (byte === QUOTE) this.#state = "string";
    else if (byte === code("n")) {
      this.#state = "null";
      this.#seen = 1;
    } else throw this.#refuse(ONLY_STRINGS);
  }

  #endRow(): void {
    if (this.#values < this.#options.columns) throw this.#refuse(this.#wrongCount("fewer"));
    this.#append(NEWLINE);
    this.rows++;
    this.#state = "rest";
  }

  #takeInString(byte: number): void {
    switch (this.#state) {
      case "string":
        if (this.#high !== 0 && byte !== BACKSLASH) throw this.#refuse(HALF_CHARACTER);
        if (byte === QUOTE) this.#state = "after";
        else if (byte === BACKSLASH) this.#state = "escape";
        else if (byte < 0x20) throw this.#refuse("a control character should be escaped");
        else this.#firstByte(byte);
        return;
      case "second-byte":
        if (byte < 0x80 || byte > 0xbf) throw this.#refuse(ONLY_BYTES);
        this.#value(this.#unit | byte & 0x3f);
        this.#state = "string";
        return;
      case "escape": {
        this.#unit = 0;
        this.#seen = 0;
        this.#state = "unicode";
        if (byte === code("u")) return;
        const value = UNESCAPED.get(byte);
        if (this.#high !== 0) throw this.#refuse(HALF_CHARACTER);
        if (value === undefined) throw this.#refuse("JSON has no such escape");
        this.#value(value);
        this.#state = "string";
        return;
      }
      default: {
        const digit = parseInt(String.fromCharCode(byte), 16);
        if (Number.isNaN(digit)) throw this.#refuse("\\u should stand before four digits");
        this.#unit = this.#unit << 4 | digit;
        if (++this.#seen < 4) return;
        this.#state = "string";
        this.#codeUnit(this.#unit);
      }
    }
  }

  /** The first byte of a character outside of ASCII, where characters are bytes. */
  #firstByte(byte: number): void {
    if (byte !== 0xc2 && byte !== 0xc3) throw this.#refuse(ONLY_BYTES);
    this.#unit = (byte & 0x03) << 6;
    this.#state = "second-byte";
  }

  #codeUnit(unit: number): void {
    const isHigh = unit >= 0xd800 && unit <= 0xdbff;
    const isLow = unit >= 0xdc00 && unit <= 0xdfff;
    if (this.#high !== 0 ? !isLow : isLow) throw this.#refuse(HALF_CHARACTER);
    if (isHigh) {
      this.#high = unit;
      return;
    }
    const point = isLow ? 0x10000 + ((this.#high & 0x3ff) << 10) + (unit & 0x3ff) : unit;
    this.#high = 0;
    if (point === 0) throw this.#refuse("PostgreSQL's text holds no NUL");
    if (this.#options.asCharacters) {
      if (point > 0xff) throw this.#refuse(ONLY_BYTES);
      this.#value(point);
    } else if (point < 0x80) this.#value(point);
    else this.#put(encoder.encode(String.fromCodePoint(point)));
  }

  /** A byte of a value. */
  #value(byte: number): void {
    const letter = COPY_ESCAPED.get(byte);
    if (letter !== undefined) this.#append(BACKSLASH);
    this.#append(letter ?? byte);
  }

  #wrongCount(which: string): string {
    return `the row has ${which} values than the table has columns, ${this.#options.columns}`;
  }

  #refuse(why: string): BackupError {
    return this.#options.refuse(why, { line: this.#line, byte: this.#byte });
  }

  #append(byte: number): void {
    this.#room(1)[this.#length++] = byte;
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

const encoder = new TextEncoder();
const ONLY_STRINGS = "a value should be a string or null";
const ONLY_BYTES = "each character should be one byte of the file's encoding";
const HALF_CHARACTER = "half a character stands alone";

/** Space inside of a line. */
function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === TAB || byte === 0x0d;
}
