/**
 * Packs data parts into chunks. Small parts share a chunk; what begins a chunk and where it is cut
 * depends only on the bytes appended, so a unit that did not change gives the same chunks again.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Piece } from "../core/model.ts";
import { CHUNK_BYTES, type ChunkStore } from "./chunk_store.ts";
import type { PieceWriter } from "./types.ts";
import { addChunk, noTotals } from "./written_totals.ts";

/**
 * First size of a chunk's buffer; most units of a small database never need more. What does takes one of the
 * size of a chunk, which is used again: growing step by step left so much behind that it was a hundredth of a
 * backup's CPU.
 */
const FIRST_BUFFER_BYTES = 64 * 1024;

/** A run of a part within the chunk that is being filled. */
interface Run {
  part: OpenPart;
  offset: number;
  length: number;
}

/** A chunk's content before it is stored. */
interface FilledBuffer {
  buffer: Uint8Array;
  length: number;
  runs: Run[];
}

/** A part whose pieces are not all known yet. */
interface OpenPart {
  pieces: Piece[];
  runsWithoutName: number;
  ended: boolean;
  settle: (pieces: Piece[]) => void;
  fail: (error: unknown) => void;
}

/** Makes a writer over a chunk store. */
export function createPieceWriter(
  chunks: ChunkStore,
  options: { targetBytes?: number; signal?: AbortSignal } = {},
): PieceWriter {
  return new ChunkPacker(chunks, options.targetBytes ?? CHUNK_BYTES, options.signal);
}

class ChunkPacker implements PieceWriter {
  readonly written = noTotals();
  readonly #chunks: ChunkStore;
  readonly #targetBytes: number;
  readonly #signal: AbortSignal | undefined;
  #buffer: Uint8Array = new Uint8Array(0);
  #used = 0;
  #runs: Run[] = [];
  #part = openPart();
  /** The chunk on its way to storage: one is sent while the next is filled. */
  #sending: Promise<void> = Promise.resolve();
  #failure: { error: unknown } | undefined;
  #finished = false;

  constructor(chunks: ChunkStore, targetBytes: number, signal: AbortSignal | undefined) {
    if (!(targetBytes >= 1)) throw new RangeError(`targetBytes must be >= 1, not ${targetBytes}`);
    this.#chunks = chunks;
    this.#targetBytes = targetBytes;
    this.#signal = signal;
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#check();
    for (let at = 0; at < bytes.length;) {
      const count = Math.min(bytes.length - at, this.#targetBytes - this.#used);
      this.#take(bytes.subarray(at, at + count));
      at += count;
      if (this.#used === this.#targetBytes) await this.#flush();
    }
  }

  endPart(): Promise<Piece[]> {
    const ending = this.#endPart();
    // Whoever leaves early because of a failure has seen it elsewhere.
    ending.catch(() => {});
    return ending;
  }

  async #endPart(): Promise<Piece[]> {
    this.#check();
    const ended = this.#part;
    const pieces = new Promise<Piece[]>((resolve, reject) => {
      ended.settle = resolve;
      ended.fail = reject;
    });
    pieces.catch(() => {});
    ended.ended = true;
    if (ended.runsWithoutName === 0) ended.settle(ended.pieces);
    this.#part = openPart();
    // A large part ends its chunk: the parts after it then do not shift when it grows or shrinks.
    if (this.#used >= this.#targetBytes / 2) await this.#flush();
    return await pieces;
  }

  async finish(): Promise<void> {
    this.#check();
    this.#finished = true;
    await this.#flush();
    await this.#sending;
    this.#throwFailure();
  }

  #check(): void {
    this.#signal?.throwIfAborted();
    this.#throwFailure();
    if (this.#finished) throw new BackupError("internal", "Cannot append: the writer is finished");
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #take(bytes: Uint8Array): void {
    const needed = this.#used + bytes.length;
    if (needed > this.#buffer.length) {
      const larger = needed > FIRST_BUFFER_BYTES
        ? this.#chunks.buffers.take(this.#targetBytes)
        : new Uint8Array(Math.min(FIRST_BUFFER_BYTES, this.#targetBytes));
      larger.set(this.#buffer.subarray(0, this.#used));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#used);
    const last = this.#runs.at(-1);
    if (last?.part === this.#part) {
      last.length += bytes.length;
    } else {
      this.#runs.push({ part: this.#part, offset: this.#used, length: bytes.length });
      this.#part.runsWithoutName++;
    }
    this.#used = needed;
  }

  /** Sends the chunk once the one before has arrived. */
  async #flush(): Promise<void> {
    if (this.#used === 0) return;
    const chunk = { buffer: this.#buffer, length: this.#used, runs: this.#runs };
    this.#buffer = new Uint8Array(0);
    this.#used = 0;
    this.#runs = [];
    const before = this.#sending;
    this.#sending = before.then(() => this.#send(chunk));
    await before;
    this.#throwFailure();
  }

  /** Stores a chunk and tells its parts; keeps a failure for the next call. */
  async #send({ buffer, length, runs }: FilledBuffer): Promise<void> {
    try {
      this.#throwFailure();
      const chunk = await this.#chunks.write(buffer.subarray(0, length), this.#signal);
      if (buffer.length > FIRST_BUFFER_BYTES) this.#chunks.buffers.give(buffer);
      addChunk(this.written, chunk);
      for (const { part, offset, length } of runs) {
        part.pieces.push({ chunk: chunk.name, offset, length });
        part.runsWithoutName--;
        if (part.ended && part.runsWithoutName === 0) part.settle(part.pieces);
      }
    } catch (error) {
      this.#failure ??= { error };
      for (const { part } of runs) part.fail(error);
    }
  }
}

function openPart(): OpenPart {
  return { pieces: [], runsWithoutName: 0, ended: false, settle: () => {}, fail: () => {} };
}
