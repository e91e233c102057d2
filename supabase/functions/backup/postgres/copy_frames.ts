/**
 * Squeezes frames out of COPY data, in WebAssembly: see `copy_frames.as`. Each row is a message of its own: with rows of
 * 200 bytes this saves a hundredth of a backup's CPU time, and every isolate the optimizing of a loop.
 *
 * @module
 */
import { fromBase64 } from "../core/bytes.ts";
import { COPY_FRAMES_WASM } from "./copy_frames_wasm.ts";

interface CopyFramesCode {
  memory: WebAssembly.Memory;
  BUFFER: WebAssembly.Global;
  BUFFER_BYTES: WebAssembly.Global;
  squeeze(from: number, end: number): number;
  endOfPayload(): number;
  endOfFrames(): number;
}

/** What stood between two places of the buffer. */
export interface SqueezedFrames {
  /** The payloads, put together; valid until the buffer is written to. */
  payload: Uint8Array;
  /** Up to where the frames were read. */
  end: number;
  /** Whether something else than COPY data stands there. */
  hasEnded: boolean;
}

let compiled: WebAssembly.Module | undefined;

/** The frames of one connection. Its memory is 320 kB. */
export class CopyFrames {
  /** What comes from the socket is read into this. */
  readonly buffer: Uint8Array;
  readonly #code: CopyFramesCode;
  readonly #start: number;

  constructor() {
    compiled ??= new WebAssembly.Module(fromBase64(COPY_FRAMES_WASM));
    this.#code = new WebAssembly.Instance(compiled).exports as unknown as CopyFramesCode;
    const { memory, BUFFER, BUFFER_BYTES } = this.#code;
    this.#start = BUFFER.value;
    this.buffer = new Uint8Array(memory.buffer, this.#start, BUFFER_BYTES.value);
  }

  /** Squeezes what stands between two places of the buffer; a message may have begun before it. */
  squeeze(from: number, end: number): SqueezedFrames {
    const hasEnded = this.#code.squeeze(this.#start + from, this.#start + end) !== 0;
    return {
      payload: this.buffer.subarray(from, this.#code.endOfPayload() - this.#start),
      end: this.#code.endOfFrames() - this.#start,
      hasEnded,
    };
  }
}
