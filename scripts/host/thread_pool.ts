/**
 * Threads of a host that do parts of a backup or a restore, all cores at a time. The main thread only
 * hands out work: rows pass through it only where a thread reads them for a connection of the main thread.
 *
 * @module
 */
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import {
  type FromThread,
  type PoolTask,
  type ThreadAccess,
  type ToThread,
  unpackError,
} from "./thread_messages.ts";

/** What threads are started with. */
export interface ThreadPoolOptions {
  /** What they do: each kind loads only what it needs. */
  kind: PoolTask["kind"];
  threads: number;
  /** Tasks of a thread at a time. @default 2, one at its connection and one before or behind it */
  tasksAThread?: number;
  access: ThreadAccess;
}

/** How a task is watched. */
export interface TaskOptions {
  signal?: AbortSignal | undefined;
  /** Hears of raw bytes as they pass. */
  onBytes?: ((bytes: number) => void) | undefined;
  /** Hears of slices that the thread hands over, each when the one before was taken. */
  onSlice?: ((slice: HandedSlice) => void) | undefined;
}

/** Bytes from a thread. */
export interface HandedSlice {
  bytes: Uint8Array;
  /** Gives their memory back to the thread. Nobody may use it any more. */
  taken: () => void;
}

interface Waiting extends TaskOptions {
  task: PoolTask;
  resolve: (result: unknown) => void;
  reject: (error: unknown) => void;
}

/** A task that a thread has begun. */
interface Running extends Waiting {
  /** Listens to its signal. */
  stop: () => void;
}

const PROGRAMS: Record<PoolTask["kind"], string> = {
  copy: "./copy_thread.ts",
  load: "./load_thread.ts",
  read: "./read_thread.ts",
  save: "./save_thread.ts",
};

/**
 * Threads with the same access. They start as tasks come that none of them is free for, because to make one holds
 * the main thread up for 25 ms: the first has begun to work by then. Tasks begin in the order of asking.
 */
export class ThreadPool {
  /** Tasks that make sense at a time. */
  readonly concurrency: number;
  /** Entries whose fingerprints are in doubt, as any thread has found; also one that has ended since. */
  readonly doubtful = new Set<string>();
  readonly #options: Required<ThreadPoolOptions>;
  readonly #queue: Waiting[] = [];
  /** All that were ever made: one that has ended is not replaced. */
  readonly #threads: Thread[] = [];
  /** Why no more are made, if so. */
  #noMore: string | undefined;

  constructor(options: ThreadPoolOptions) {
    this.#options = { tasksAThread: 2, ...options };
    this.concurrency = options.threads * this.#options.tasksAThread;
  }

  /** Does a task in some thread. @throws {BackupError} what it threw there, or the signal's reason */
  run(task: PoolTask, options: TaskOptions = {}): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#queue.push({ ...options, task, resolve, reject });
    this.#next();
    return promise;
  }

  /** Ends all threads; what they still do fails. */
  async close(): Promise<void> {
    this.#noMore = "it was closed";
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  /** Starts the first before there is anything to do: it takes about a tenth of a second. */
  start(): void {
    if (this.#threads.length === 0) this.#grow();
  }

  #grow(): Thread | undefined {
    const { kind, threads, access } = this.#options;
    const { doubtful } = this;
    if (this.#noMore !== undefined || this.#threads.length >= threads) return undefined;
    try {
      const thread = new Thread(kind, { access, onFree: () => this.#next(), doubtful });
      this.#threads.push(thread);
      return thread;
    } catch (error) {
      // The system lets this program have no more: those that there are do the work.
      this.#noMore = `none could be started: ${error instanceof Error ? error.message : error}`;
      return undefined;
    }
  }

  #next(): void {
    while (this.#queue.length > 0) {
      const [leastBusy] = this.#threads.filter((thread) => thread.isUsable)
        .sort((a, b) => a.busy - b.busy);
      const thread = leastBusy?.busy === 0 ? leastBusy : this.#grow() ?? leastBusy;
      if (thread === undefined) {
        for (const { reject } of this.#queue.splice(0)) {
          reject(new ThreadEnded(this.#noMore ?? "there is none left"));
        }
        return;
      }
      if (thread.busy >= this.#options.tasksAThread) return;
      thread.begin(this.#queue.shift()!);
    }
  }
}

class Thread {
  readonly #worker: Worker;
  readonly #tasks = new Map<number, Running>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #onFree: () => void;
  readonly #doubtful: Set<string>;
  #lastId = 0;
  #usable = true;

  constructor(
    kind: PoolTask["kind"],
    { access, onFree, doubtful }: {
      access: ThreadAccess;
      onFree: () => void;
      doubtful: Set<string>;
    },
  ) {
    this.#onFree = onFree;
    this.#doubtful = doubtful;
    this.#worker = new Worker(new URL(PROGRAMS[kind], import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<FromThread>) => this.#hear(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(event.message);
    };
    this.#say({ say: "open", access });
  }

  get busy(): number {
    return this.#tasks.size;
  }

  get isUsable(): boolean {
    return this.#usable;
  }

  begin(waiting: Waiting): void {
    const { task, signal } = waiting;
    if (signal?.aborted === true) return waiting.reject(signal.reason);
    const id = ++this.#lastId;
    const stop = () => this.#say({ say: "stop", id });
    this.#tasks.set(id, { ...waiting, stop });
    signal?.addEventListener("abort", stop, { once: true });
    this.#say({ say: "do", id, task });
  }

  async close(): Promise<void> {
    if (this.#usable && this.busy === 0) {
      this.#say({ say: "close" });
      await this.#closed.promise;
    }
    this.#die("it was closed");
  }

  #hear(message: FromThread): void {
    if (message.say === "closed") return this.#closed.resolve();
    if (message.say === "doubtful") return void this.#doubtful.add(message.entry);
    const waiting = this.#tasks.get(message.id);
    if (waiting === undefined) return;
    if (message.say === "bytes") return waiting.onBytes?.(message.bytes);
    if (message.say === "slice") return waiting.onSlice?.(this.#handed(message));
    this.#end(message.id, waiting);
    if (message.say === "done") waiting.resolve(message.result);
    else waiting.reject(waiting.signal?.reason ?? unpackError(message.error));
    this.#onFree();
  }

  #handed({ id, slice: bytes }: Extract<FromThread, { say: "slice" }>): HandedSlice {
    const taken = () => {
      const memory = bytes.buffer;
      if (this.#usable) this.#say({ say: "taken", id, memory }, [memory]);
    };
    return { bytes, taken };
  }

  /** Nothing more comes from it: what it was doing has failed. */
  #die(why: string): void {
    if (!this.#usable) return;
    this.#usable = false;
    this.#worker.terminate();
    this.#closed.resolve();
    for (const [id, running] of this.#tasks) {
      this.#end(id, running);
      running.reject(running.signal?.reason ?? new ThreadEnded(why));
    }
    this.#onFree();
  }

  /** The signal is a whole job's, with thousands of tasks: none may stay with it. */
  #end(id: number, { signal, stop }: Running): void {
    this.#tasks.delete(id);
    signal?.removeEventListener("abort", stop);
  }

  #say(message: ToThread, moved: Transferable[] = []): void {
    this.#worker.postMessage(message, moved);
  }
}

/** A task's thread is no more, or there is none left to do it. */
export class ThreadEnded extends BackupError {
  constructor(why: string) {
    super("internal", `Cannot go on: a thread of this program has ended: ${why}`, {
      hint: "Try again with --jobs 1; if that helps, the machine may be short of memory.",
    });
  }
}
