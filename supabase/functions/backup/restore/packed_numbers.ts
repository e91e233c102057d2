/**
 * Many numbers of 32 bits as a text.
 *
 * @module
 */
import { fromBase64, toBase64 } from "../core/bytes.ts";

/** Base64 of the numbers, each with its lowest byte first. */
export function numbersAsText(numbers: Uint32Array): string {
  const view = new DataView(new ArrayBuffer(numbers.length * 4));
  numbers.forEach((number, at) => view.setUint32(at * 4, number, true));
  return toBase64(new Uint8Array(view.buffer));
}

/** The numbers again. */
export function textAsNumbers(text: string): Uint32Array {
  const bytes = fromBase64(text);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const numbers = new Uint32Array(bytes.length / 4);
  for (let at = 0; at < numbers.length; at++) numbers[at] = view.getUint32(at * 4, true);
  return numbers;
}
