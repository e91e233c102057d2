/**
 * How many threads fit into the memory that a program may take: each has buffers and a heap of its own, so
 * what a program takes grows with them and with nothing else.
 *
 * @module
 */
import type { CommandOptions, CommandValues } from "../cli/command.ts";
import { LANES_A_THREAD, type ThreadTask } from "./thread_messages.ts";

/** The program itself, with its main thread at work. */
export const PROGRAM_MB = 190;
/** The most that a thread of each kind was seen to add; `docs/performance.md` has the measurements. */
const THREAD_MB: Record<ThreadTask["kind"], number> = { copy: 75, load: 100 };
/** Connections that a thread of each kind keeps busy. */
const JOBS_A_THREAD: Record<ThreadTask["kind"], number> = { copy: 1, load: LANES_A_THREAD };

/** The option that bounds them. */
export const MEMORY_OPTION: CommandOptions = {
  memory: {
    type: "string",
    default: "500",
    help: "megabytes to stay within: fewer threads move rows where --jobs would need more, and " +
      "very many definitions are refused",
  },
};

/** What fits. */
export interface FittingThreads {
  /** Connections that move rows, each with the thread or the part of one that it needs. */
  jobs: number;
  /** What to tell the user when it is less than was asked for. */
  note: string | null;
}

/** As many of the jobs as fit, at least one. */
export function threadsWithin(
  values: Pick<CommandValues, "count">,
  { kind, jobs, taken = 0 }: {
    kind: ThreadTask["kind"];
    jobs: number;
    /** Megabytes that the program takes for something else. @default 0 */
    taken?: number;
  },
): FittingThreads {
  const megabytes = values.count("memory") ?? Infinity;
  const program = PROGRAM_MB + taken;
  const threads = Math.floor((megabytes - program) / THREAD_MB[kind]);
  const most = Math.max(1, threads * JOBS_A_THREAD[kind]);
  if (jobs <= most) return { jobs, note: null };
  const needed = program + THREAD_MB[kind] * Math.ceil(jobs / JOBS_A_THREAD[kind]);
  return {
    jobs: most,
    note:
      `rows move over ${most} connection${most === 1 ? "" : "s"} at a time instead of ${jobs}, ` +
      `to stay within ${megabytes} MB; say --memory ${needed} for all`,
  };
}
