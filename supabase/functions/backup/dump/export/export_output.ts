/**
 * Gathers the bytes of an export.
 *
 * @module
 */
import { utf8 } from "../../core/bytes.ts";

/** Where an export goes. */
export interface ExportTarget {
  /** Takes bytes in order; they may be reused when the promise settles. */
  write(bytes: Uint8Array): Promise<void>;
  /** Where each table gets a file of its own: begins the next one. */
  nextFile?(table: { schema: string; name: string }): Promise<void>;
}

const FLUSH_BYTES = 1 << 18;

/** Puts small writes together. */
export class ExportOutput {
  /** How text becomes bytes. */
  encode: (text: string) => Uint8Array = utf8;
  readonly #target: ExportTarget;
  readonly #signal: AbortSignal | undefined;
  readonly #waiting = new Uint8Array(FLUSH_BYTES);
  #filled = 0;

  constructor(target: ExportTarget, signal: AbortSignal | undefined) {
    this.#target = target;
    this.#signal = signal;
  }

  async text(text: string): Promise<void> {
    await this.bytes(this.encode(text));
  }

  /** Takes bytes; they may be reused when the promise settles. */
  async bytes(bytes: Uint8Array): Promise<void> {
    this.#signal?.throwIfAborted();
    if (this.#filled + bytes.length > FLUSH_BYTES) await this.flush();
    if (bytes.length > FLUSH_BYTES) return await this.#target.write(bytes);
    this.#waiting.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  async flush(): Promise<void> {
    const filled = this.#filled;
    this.#filled = 0;
    if (filled > 0) await this.#target.write(this.#waiting.subarray(0, filled));
  }

  /** Whether each table gets a file of its own. */
  get isSplit(): boolean {
    return this.#target.nextFile !== undefined;
  }

  /** Begins the file of a table, where each has one. */
  async nextFile(table: { schema: string; name: string }): Promise<void> {
    await this.flush();
    await this.#target.nextFile?.(table);
  }
}
