/**
 * Puts COPY data into CopyData messages.
 *
 * @module
 */
import { frame, writeInt32 } from "./protocol.ts";
import type { Wire } from "./wire.ts";

const FRAME_BYTES = 128 * 1024;
/** Of thousands of tables most have fewer bytes, and each large buffer brings the next garbage collection nearer. */
const FIRST_BYTES = 4 * 1024;
const HEADER_BYTES = 5;
/**
 * After so many messages the event loop gets its turn. Writes that the kernel takes at once never
 * leave it one, and then the server's error would be read only at the end of the data.
 */
const MESSAGES_A_TURN = 16;

/** Gathers slices of any size into messages of 128 KiB, whatever the rows in them are. */
export class CopyInFramer {
  readonly #wire: Wire;
  #message = new Uint8Array(HEADER_BYTES + FIRST_BYTES);
  #filled = 0;
  #sent = 0;
  /** Bytes of COPY data taken so far. */
  bytes = 0;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  /** Takes a slice; it may be reused by the caller afterwards. */
  async append(slice: Uint8Array): Promise<void> {
    this.bytes += slice.length;
    for (let at = 0; at < slice.length;) {
      const left = slice.length - at;
      if (HEADER_BYTES + this.#filled + left > this.#message.length) this.#grow();
      const count = Math.min(FRAME_BYTES - this.#filled, left);
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

  /** To the full size. */
  #grow(): void {
    if (this.#message.length === HEADER_BYTES + FRAME_BYTES) return;
    const message = new Uint8Array(HEADER_BYTES + FRAME_BYTES);
    message.set(this.#message);
    this.#message = message;
  }

  async #flush(): Promise<void> {
    this.#message[0] = "d".charCodeAt(0);
    writeInt32(this.#message, 1, this.#filled + 4);
    await this.#wire.write(this.#message.subarray(0, HEADER_BYTES + this.#filled));
    this.#filled = 0;
    this.#sent++;
    if (this.#sent % MESSAGES_A_TURN === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
