/*
 * Squeezes the frames out of COPY data where it stands: AssemblyScript, compiled by scripts/write_webassembly.ts
 * into copy_frames_wasm.ts.
 *
 * The caller reads from the socket into BUFFER and calls squeeze. What is left of a message between two calls is kept.
 */

export const BUFFER: u32 = 1024;
export const BUFFER_BYTES: u32 = 262144;

const COPY_DATA: u8 = 0x64; // d
const HEADER_BYTES: usize = 5;
/** Its length counts itself, and PostgreSQL has no longer message than this. */
const LEAST_LENGTH: u32 = 4;
const LARGEST_LENGTH: u32 = 1 << 30;

/** More of the same is wanted. */
const MORE: u32 = 0;
/** Behind the payloads stands the header of another message, or one that cannot be. */
const ENDED: u32 = 1;

/** Payload of the last message that is still to come. */
let left: usize = 0;
let payloadEnd: usize = 0;
let frameEnd: usize = 0;

/** Where the payloads end that the last call has put together. */
export function endOfPayload(): u32 {
  return <u32> payloadEnd;
}

/** Up to where the last call has come. */
export function endOfFrames(): u32 {
  return <u32> frameEnd;
}

/** Puts the payloads between two addresses together, from the first of them on; returns why it stopped. */
export function squeeze(from: u32, end: u32): u32 {
  const last: usize = end;
  let at: usize = from;
  let to: usize = from;
  let state = MORE;
  while (at < last) {
    if (left == 0) {
      if (last - at < HEADER_BYTES) break;
      const length = bswap<u32>(load<u32>(at, 1));
      if (load<u8>(at) != COPY_DATA || length < LEAST_LENGTH || length > LARGEST_LENGTH) {
        state = ENDED;
        break;
      }
      at += HEADER_BYTES;
      left = length - LEAST_LENGTH;
    }
    const here = min(left, last - at);
    move(to, at, here);
    to += here;
    at += here;
    left -= here;
  }
  payloadEnd = to;
  frameEnd = at;
  return state;
}

/** As memory.copy from behind, which takes longer for less than a few hundred bytes. */
// @ts-ignore: decorator
@inline
function move(to: usize, at: usize, length: usize): void {
  if (to == at) return;
  if (length > 512) {
    memory.copy(to, at, length);
    return;
  }
  const end = at + length;
  for (; at + 8 <= end; at += 8, to += 8) store<u64>(to, load<u64>(at));
  if (length & 4) {
    store<u32>(to, load<u32>(at));
    at += 4;
    to += 4;
  }
  if (length & 2) {
    store<u16>(to, load<u16>(at));
    at += 2;
    to += 2;
  }
  if (length & 1) store<u8>(to, load<u8>(at));
}
