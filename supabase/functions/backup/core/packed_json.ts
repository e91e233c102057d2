/**
 * Values kept in memory as compressed JSON, which takes about a twentieth of what they take as objects: for
 * programs that hold very many of them and look at few at a time.
 *
 * @module
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { fromUtf8, utf8 } from "./bytes.ts";
import type { Json } from "./part.ts";

/** The quickest; a higher one would save a third. */
const LEVEL = 1;

/** Characters from which a value is packed: below, its pack would hardly be smaller than itself. */
const LEAST_CHARS = 4096;

/** Compresses a text. */
export function packText(text: string): Uint8Array {
  return gzipSync(utf8(text), { level: LEVEL });
}

/** The text again. */
export function unpackText(packed: Uint8Array): string {
  return fromUtf8(gunzipSync(packed));
}

/** A value, packed where it is large. */
export type PackedJson = { value: Json } | { packed: Uint8Array };

/** Packs a value; a small one stays as it is, and is nobody's to change. */
export function packJson(value: Json): PackedJson {
  if (typeof value !== "object" || value === null) return { value };
  const text = JSON.stringify(value);
  return text.length < LEAST_CHARS ? { value } : { packed: packText(text) };
}

/** The value again. */
export function unpackJson(json: PackedJson): Json {
  return "value" in json ? json.value : JSON.parse(unpackText(json.packed));
}

/** Characters that are packed together. */
const PACK_CHARS = 64 * 1024;
/** Packs that are kept unpacked: neighbours are mostly asked for one after the other. */
const UNPACKED = 32;

/** A list of values, packed some at a time. They come back as copies. */
export class PackedList<T> {
  readonly #packs: Uint8Array[] = [];
  /** The first place of each pack. */
  readonly #firsts: number[] = [];
  /** Lines of the pack that is being filled. */
  #open: string[] = [];
  #openFirst = 0;
  #openChars = 0;
  /** Lines of packs, the one that was asked for last behind the others. */
  readonly #unpacked = new Map<number, string[]>();
  #last: { place: number; value: T } | undefined;

  get length(): number {
    return this.#openFirst + this.#open.length;
  }

  /** Adds a value and returns its place. */
  push(value: T): number {
    const line = JSON.stringify(value);
    this.#open.push(line);
    this.#openChars += line.length;
    const place = this.length - 1;
    if (this.#openChars >= PACK_CHARS) {
      this.#packs.push(packText(this.#open.join("\n")));
      this.#firsts.push(this.#openFirst);
      this.#openFirst = place + 1;
      this.#open = [];
      this.#openChars = 0;
    }
    return place;
  }

  /** The value at a place, which is nobody's to change: whoever asks for it again may get the same one. */
  at(place: number): T {
    if (this.#last?.place === place) return this.#last.value;
    const value = JSON.parse(this.#lineAt(place)) as T;
    this.#last = { place, value };
    return value;
  }

  #lineAt(place: number): string {
    if (place >= this.#openFirst) return this.#open[place - this.#openFirst]!;
    const pack = this.#packOf(place);
    return this.#linesOf(pack)[place - this.#firsts[pack]!]!;
  }

  /** The last pack that begins at the place or before it. */
  #packOf(place: number): number {
    let [low, high] = [0, this.#firsts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#firsts[middle]! <= place) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #linesOf(pack: number): string[] {
    const lines = this.#unpacked.get(pack) ?? unpackText(this.#packs[pack]!).split("\n");
    this.#unpacked.delete(pack);
    this.#unpacked.set(pack, lines);
    if (this.#unpacked.size > UNPACKED) {
      const [oldest] = this.#unpacked.keys();
      this.#unpacked.delete(oldest!);
    }
    return lines;
  }
}
