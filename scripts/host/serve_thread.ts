/**
 * What all threads of a host share: they take tasks from the main thread, tell how far they are, and open
 * the repository for themselves.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { openRepository, type Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { nativeCode } from "./native_code.ts";
import { openHostStorage } from "./open_storage.ts";
import { keepMemory, SliceOutlet } from "./slice_outlet.ts";
import {
  type FromThread,
  packError,
  type PoolTask,
  type ThreadAccess,
  type ToThread,
} from "./thread_messages.ts";

/** Progress is told no more often: each message costs the main thread a third of a millisecond. */
const TELL_EVERY_MS = 200;

/** Taken once: to look the global up walks the stack, because the runtime has one for Node's code and one for ours. */
const CLOCK = performance;

/** What a thread does. */
export interface ThreadWork<Task> {
  /** Does one task; several at a time are given. */
  do(task: Task, options: TaskContext): Promise<unknown>;
  /** Ends its connections. */
  close(): Promise<void>;
}

/** What a task is given. */
export interface TaskContext {
  signal: AbortSignal;
  onBytes: (bytes: number) => void;
  /** Hands a copy of bytes to the main thread, once what came before is used up. */
  onSlice: (slice: Uint8Array) => Promise<void>;
}

/** Serves the main thread until it ends this one. */
export function serveThread<Task extends PoolTask>(
  open: (access: ThreadAccess, tell: (message: FromThread) => void) => ThreadWork<Task>,
): void {
  const stops = new Map<number, AbortController>();
  const outlets = new Map<number, SliceOutlet>();
  let work: ThreadWork<Task> | undefined;
  const run = async (id: number, task: Task) => {
    const stop = new AbortController();
    stops.set(id, stop);
    const bytes = tellBytes(id);
    const { signal } = stop;
    const outlet = new SliceOutlet(
      (slice) => tell({ say: "slice", id, slice }, [slice.buffer]),
      signal,
    );
    outlets.set(id, outlet);
    const onSlice = (slice: Uint8Array) => outlet.send(slice);
    try {
      const result = await work?.do(task, { signal, onBytes: bytes.add, onSlice }) ?? null;
      bytes.flush();
      tell({ say: "done", id, result });
    } catch (error) {
      tell({ say: "failed", id, error: packError(error) });
    } finally {
      stops.delete(id);
      outlets.delete(id);
    }
  };
  self.onmessage = async ({ data: message }: MessageEvent<ToThread>) => {
    switch (message.say) {
      case "open":
        work = open(message.access, tell);
        break;
      case "do":
        // The pool gives a thread only tasks of its kind.
        await run(message.id, message.task as Task);
        break;
      case "stop":
        stops.get(message.id)?.abort();
        break;
      case "taken":
        keepMemory(message.memory);
        outlets.get(message.id)?.taken();
        break;
      case "close":
        await work?.close();
        tell({ say: "closed" });
        break;
    }
  };
}

/** The repository, for one thread. */
export async function openThreadRepository(access: ThreadAccess): Promise<Repository> {
  const { repositoryUrl, storageVariables, key, compression } = access;
  return await openRepository({
    storage: await openHostStorage(repositoryUrl, storageVariables),
    key: key === null ? null : new Secret(key),
    ...nativeCode(),
    ...(compression === undefined ? {} : { compression }),
  });
}

function tellBytes(id: number) {
  let bytes = 0;
  let toldAt = CLOCK.now();
  const flush = () => {
    if (bytes !== 0) tell({ say: "bytes", id, bytes });
    bytes = 0;
    toldAt = CLOCK.now();
  };
  const add = (more: number) => {
    bytes += more;
    if (CLOCK.now() - toldAt >= TELL_EVERY_MS) flush();
  };
  return { add, flush };
}

function tell(message: FromThread, moved: Transferable[] = []): void {
  self.postMessage(message, moved);
}
