/**
 * Lets a thread that copies work in larger batches.
 *
 * The server sends rows 8 kB at a time, and by default each of them wakes the thread that waits, which then
 * reads, parses and hashes very little and sleeps again: of the large table of the bench 12,000 reads became 4,000,
 * and a twentieth of the program's CPU time was saved. The thread's share of the CPU stays the same.
 *
 * @module
 */
import { type LibraryPaths, openLibrary } from "./open_library.ts";

const LIBRARIES: LibraryPaths = { linux: ["libc.so.6"] };

const SYMBOLS = {
  sched_getscheduler: { parameters: ["i32"], result: "i32" },
  sched_setscheduler: { parameters: ["i32", "i32", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** sched(7): the calling thread, SCHED_OTHER and SCHED_BATCH. */
const THIS_THREAD = 0;
const SCHED_OTHER = 0;
const SCHED_BATCH = 3;

/**
 * For the calling thread, where the system knows it. Who started the program with another policy, such as
 * `chrt --idle`, has a reason, and keeps it. @returns whether it does
 */
export function scheduleInBatches(): boolean {
  const library = openLibrary(LIBRARIES, SYMBOLS);
  if (library?.sched_getscheduler(THIS_THREAD) !== SCHED_OTHER) return false;
  const priority = new Int32Array(1); // must be 0
  return library.sched_setscheduler(THIS_THREAD, SCHED_BATCH, priority) === 0;
}
