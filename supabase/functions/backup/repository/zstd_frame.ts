/**
 * What the header of a zstd frame says.
 *
 * @module
 */
import { concat } from "../core/bytes.ts";

const MAGIC = 0xfd2fb528;
const LONGEST_HEADER_BYTES = 18;

/** Length of a frame's content by its header; null when it says nothing or there is no frame. */
export function frameContentLength(bytes: Uint8Array): bigint | null {
  if (bytes.length < LONGEST_HEADER_BYTES) {
    bytes = concat([bytes, new Uint8Array(LONGEST_HEADER_BYTES)]);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(0, true) !== MAGIC) return null;
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const at = 5 + (single ? 0 : 1) + dictionaryBytes;
  switch (descriptor >> 6) {
    case 0:
      return single ? BigInt(view.getUint8(at)) : null;
    case 1:
      return BigInt(view.getUint16(at, true)) + 256n;
    case 2:
      return BigInt(view.getUint32(at, true));
    default:
      return view.getBigUint64(at, true);
  }
}
