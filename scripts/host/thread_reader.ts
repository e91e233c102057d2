/**
 * Reads the rows of a restore in threads.
 *
 * @module
 */
import type { Piece } from "../../supabase/functions/backup/core/model.ts";
import { CHUNK_BYTES } from "../../supabase/functions/backup/repository/chunk_store.ts";
import type { OpenedReader } from "../../supabase/functions/backup/usecases/deps.ts";
import type { ThreadAccess } from "./thread_messages.ts";
import { type HandedSlice, ThreadEnded, ThreadPool } from "./thread_pool.ts";

/** A thread is ready after about a tenth of a second; so many bytes are read meanwhile. */
const LEAST_BYTES = 32 << 20;

/** Less is not worth a task of its own. Ranges of a large table are mostly more, each in a chunk of its own. */
const LEAST_BYTES_A_PART = 1 << 20;

/** What is less does not end its chunk: parts of other tables follow it there. */
const LEAST_BYTES_OF_A_CHUNK = CHUNK_BYTES / 2;

/** After rows come indexes, which may take hours; threads hold some 50 MB each, and are soon there again. */
const IDLE_MS = 10_000;

/**
 * Makes a service's threads; they start when there was as much to read as is worth it, and end when for `idleMs`
 * none was reading. What one that died was reading, the worker reads itself.
 */
export function readerThreads(
  threads: number,
  { idleMs = IDLE_MS } = {},
): (access: ThreadAccess) => OpenedReader {
  return (access) => {
    let pool: ThreadPool | undefined;
    let asked = 0;
    let reading = 0;
    let idle: ReturnType<typeof setTimeout> | undefined;
    let closed: Promise<unknown> = Promise.resolve();
    // As many tasks as whoever loads rows has asked for: one that waited for another could wait for itself.
    const open = () =>
      pool ??= new ThreadPool({ kind: "read", threads, tasksAThread: Infinity, access });
    const close = () => {
      clearTimeout(idle);
      closed = Promise.all([closed, pool?.close()]);
      pool = undefined; // the same job may go on later
    };
    const readAwake = async function* (pieces: readonly Piece[], signal: AbortSignal | undefined) {
      clearTimeout(idle);
      reading++;
      try {
        yield* readInThread(open(), pieces, signal);
      } finally {
        if (--reading === 0 && pool !== undefined) idle = setTimeout(close, idleMs);
      }
    };
    return {
      reader: {
        async *read(pieces, { signal }) {
          const bytes = pieces.reduce((sum, { length }) => sum + length, 0);
          if (!isForThreads(pieces, bytes)) return;
          asked += bytes;
          if (asked >= LEAST_BYTES) yield* readAwake(pieces, signal);
        },
      },
      async leave() {
        asked = 0;
        close();
        await closed;
      },
    };
  };
}

/** Of parts that share a chunk only the first is: each thread that has one would read all of the chunk again. */
function isForThreads([first]: readonly Piece[], bytes: number): boolean {
  return bytes >= LEAST_BYTES_OF_A_CHUNK || bytes >= LEAST_BYTES_A_PART && first?.offset === 0;
}

/** The slices of one task, as a thread hands them over; they end early when the thread does. */
export async function* readInThread(
  pool: Pick<ThreadPool, "run">,
  pieces: readonly Piece[],
  signal: AbortSignal | undefined,
): AsyncIterable<Uint8Array> {
  const stop = new AbortController();
  const abort = () => stop.abort(signal?.reason);
  if (signal?.aborted === true) abort();
  signal?.addEventListener("abort", abort, { once: true });
  const handed: HandedSlice[] = [];
  let news = Promise.withResolvers<void>();
  const onSlice = (slice: HandedSlice) => {
    handed.push(slice);
    news.resolve();
  };
  let isOver = false;
  const ended = pool.run({ kind: "read", pieces }, { signal: stop.signal, onSlice })
    .finally(() => {
      isOver = true;
      news.resolve();
    });
  ended.catch(() => {}); // thrown to whoever reads to the end
  try {
    for (;;) {
      const slice = handed.shift();
      if (slice !== undefined) {
        yield slice.bytes;
        slice.taken();
      } else if (isOver) {
        return void await ended;
      } else {
        await news.promise;
        news = Promise.withResolvers<void>();
      }
    }
  } catch (error) {
    if (!(error instanceof ThreadEnded)) throw error;
  } finally {
    signal?.removeEventListener("abort", abort);
    stop.abort();
  }
}
