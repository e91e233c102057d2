/**
 * The workers that this program starts: how many there were and which live, and programs that die in the middle in
 * place of those that do not.
 *
 * @module
 */
import type { ToThread } from "../../scripts/host/thread_messages.ts";

/** Workers since the watching began; it ends with the scope. */
export interface WatchedWorkers extends Disposable {
  /** File names of their programs. */
  readonly started: readonly string[];
  /** Those that nobody has ended. */
  readonly alive: ReadonlySet<Worker>;
  /** The most that had a task before any of them was let begin; see `atOnce`. */
  readonly together: number;
  /** Of those that ended by an error, its words. */
  readonly died: readonly string[];
}

/** How they are watched. */
export interface WatchOptions {
  /** So many of the first run the program of this name beside this file instead. @default none */
  dying?: { program: string; most: number };
  /** Tasks are held back until so many have one, which are at it at the same time then. @default 1 */
  atOnce?: number;
}

/** Then those that are held back begin without the others, and a test can say what it misses. */
const PATIENCE_MS = 20_000;

/** Watches them. */
export function watchWorkers({ dying, atOnce = 1 }: WatchOptions = {}): WatchedWorkers {
  const started: string[] = [];
  const alive = new Set<Worker>();
  const waiting = new Set<Worker>();
  const died: string[] = [];
  const held: (() => void)[] = [];
  /** Null while nothing has begun. */
  let together: number | null = null;
  let patience: ReturnType<typeof setTimeout> | undefined;
  const release = () => {
    clearTimeout(patience);
    together ??= waiting.size;
    held.splice(0).forEach((begin) => begin());
  };
  const RealWorker = globalThis.Worker;
  globalThis.Worker = class extends RealWorker {
    constructor(program: string | URL, options?: WorkerOptions) {
      const isDying = dying !== undefined && started.length < dying.most;
      super(isDying ? new URL(dying.program, import.meta.url) : program, options);
      started.push(new URL(program).pathname.split("/").at(-1)!);
      alive.add(this);
      this.addEventListener("error", (event) => died.push(event.message));
    }

    override postMessage(message: ToThread, moved?: Transferable[] | StructuredSerializeOptions) {
      const transfer = Array.isArray(moved) ? moved : moved?.transfer ?? [];
      if (message.say !== "do") return super.postMessage(message, transfer);
      if (together !== null) return super.postMessage(message, transfer);
      patience ??= setTimeout(release, PATIENCE_MS);
      waiting.add(this);
      held.push(() => super.postMessage(message, transfer));
      if (waiting.size >= atOnce) release();
    }

    override terminate(): void {
      alive.delete(this);
      super.terminate();
    }
  };
  return {
    ...{ started, alive, died },
    get together() {
      return together ?? 0;
    },
    [Symbol.dispose]() {
      globalThis.Worker = RealWorker;
      release();
    },
  };
}
