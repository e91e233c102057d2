/**
 * Puts COPY data into CopyData messages.
 *
 * @module
 */
import { frame, writeInt32 } from "./protocol.ts";
import type { Wire } from "./wire.ts";

const FRAME_BYTES = 128 * 1024;
const HEADER_BYTES = 5;
/**
 * After so many messages the event loop gets its turn. Writes that the kernel takes at once never
 * leave it one, and then the server's error would be read only at the end of the data.
 */
const MESSAGES_A_TURN = 16;

/** Gathers slices of any size into messages of 128 KiB, whatever the rows in them are. */
export class CopyInFramer {
  readonly #wire: Wire;
  readonly #message = new Uint8Array(HEADER_BYTES + FRAME_BYTES);
  #filled = 0;
  #sent = 0;
  /** Bytes of COPY data taken so far. */
  bytes = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
    this.#message[0] = "d".charCodeAt(0);
  }

  /** Takes a slice; it may be reused by the caller afterwards. */
  async append(slice: Uint8Array): Promise<void> {
    this.bytes += slice.length;
    for (let at = 0; at < slice.length;) {
      const count = Math.min(FRAME_BYTES - this.#filled, slice.length - at);
      this.#message.set(slice.subarray(at, at + count), HEADER_BYTES + this.#filled);
      this.#filled += count;
      at += count;
      if (this.#filled === FRAME_BYTES) await this.#flush();
    }
  }

  /** Sends what is left and the end of the data. */
  async finish(): Promise<void> {
    if (this.#filled > 0) await this.#flush();
    await this.#wire.write(frame("c"));
  }

  /** Tells the server that the data will not be complete, so that it takes nothing of it. */
  async abandon(): Promise<void> {
    await this.#wire.write(frame("f", new TextEncoder().encode("the source of the data failed\0")));
  }

  async #flush(): Promise<void> {
    writeInt32(this.#message, 1, this.#filled + 4);
    await this.#wire.write(this.#message.subarray(0, HEADER_BYTES + this.#filled));
    this.#filled = 0;
    this.#sent++;
    if (this.#sent % MESSAGES_A_TURN === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
