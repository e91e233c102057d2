/**
 * Sequences of JSON lines in chunks. A chunk ends after a line whose own hash says so, so that a line
 * more or less changes the chunks near it and not all that follow.
 *
 * @module
 */
import { concat, fromUtf8, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { ChunkStore } from "./chunk_store.ts";
import type { LinesRef, WrittenTotals } from "./types.ts";
import { addChunk } from "./written_totals.ts";

/** From this size on a line may end the chunk. */
const LEAST_BYTES = 128 * 1024;
/** At this size any line does. */
const MOST_BYTES = 1024 * 1024;
/** One line in so many ends a chunk of the least size. */
const CUT_ONE_IN = 32;

/** Stores values as lines. */
export async function writeLines(
  chunks: ChunkStore,
  values: Iterable<unknown> | AsyncIterable<unknown>,
  { signal, written }: { signal?: AbortSignal; written?: WrittenTotals } = {},
): Promise<LinesRef> {
  const ref: LinesRef = { lines: 0, chunks: [] };
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const flush = async () => {
    if (pending.length === 0) return;
    const chunk = await chunks.write(concat(pending), signal);
    if (written !== undefined) addChunk(written, chunk);
    const { name, rawBytes } = chunk;
    ref.chunks.push({ name, rawBytes, lines: pending.length });
    pending = [];
    pendingBytes = 0;
  };
  /** Says whether the chunk ends here. */
  const take = (value: unknown): boolean => {
    const line = utf8(JSON.stringify(value) + "\n");
    pending.push(line);
    pendingBytes += line.length;
    ref.lines++;
    return pendingBytes >= MOST_BYTES || (pendingBytes >= LEAST_BYTES && endsChunk(line));
  };
  // To wait for each value of a list would cost more than to write it.
  if (Symbol.iterator in values) {
    for (const value of values) if (take(value)) await flush();
  } else {
    for await (const value of values) if (take(value)) await flush();
  }
  await flush();
  return ref;
}

/** Reads values back. @throws `object_altered` when the chunks hold other lines than the reference says */
export async function* readLines<T>(
  chunks: ChunkStore,
  ref: LinesRef,
  signal?: AbortSignal,
): AsyncIterable<T> {
  let total = 0;
  for (const chunk of ref.chunks) {
    signal?.throwIfAborted();
    const lines = fromUtf8(await chunks.read(chunk.name, signal)).split("\n");
    if (lines.pop() !== "" || lines.length !== chunk.lines) {
      throw new BackupError(
        "object_altered",
        `Cannot read lines of chunk ${chunk.name}: wrong count`,
      );
    }
    total += lines.length;
    for (const line of lines) yield parse(line, chunk.name) as T;
  }
  if (total !== ref.lines) {
    throw new BackupError("object_altered", "Cannot read lines: chunks of the list are missing");
  }
}

function parse(line: string, name: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    const message = `Cannot read lines of chunk ${name}: one is not JSON`;
    throw new BackupError("object_altered", message, { cause });
  }
}

/** FNV-1a over the line: a cheap hash is enough to choose where to cut. */
function endsChunk(line: Uint8Array): boolean {
  let hash = 0x811c9dc5;
  for (const byte of line) hash = Math.imul(hash ^ byte, 0x01000193);
  return (hash >>> 8) % CUT_ONE_IN === 0;
}
