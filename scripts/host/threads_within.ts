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
/** Connections that a thread of each kind keeps busy, and that the main thread does without one. */
const JOBS_A_THREAD: Record<ThreadTask["kind"], number> = { copy: 1, load: LANES_A_THREAD };

const PROCESSORS = navigator.hardwareConcurrency;
/** If nothing is said: one waits while another one computes, and small servers have 60 connections. */
const LEAST_JOBS = 2;
const MOST_JOBS = 16;

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
  /** Connections that move rows. */
  jobs: number;
  /** Threads that there is room for; with none the main thread moves them. */
  threads: number;
  /** What to tell the user when it is less than was asked for. */
  note: string | null;
}

/** As many of the jobs as fit, at least those that need no thread. */
export function threadsWithin(
  values: Pick<CommandValues, "count">,
  { kind, asked, taken = 0, processors = PROCESSORS }: {
    kind: ThreadTask["kind"];
    /** What the user has said; undefined for a connection to each processor, as memory allows. */
    asked: number | undefined;
    /** Megabytes that the program takes for something else. @default 0 */
    taken?: number;
    /** @default those of this machine */
    processors?: number;
  },
): FittingThreads {
  const jobs = asked ?? Math.min(Math.max(LEAST_JOBS, processors), MOST_JOBS);
  const megabytes = values.count("memory") ?? Infinity;
  const program = PROGRAM_MB + taken;
  const fitting = Math.max(0, Math.floor((megabytes - program) / THREAD_MB[kind]));
  const wanted = Math.ceil(jobs / JOBS_A_THREAD[kind]);
  const threads = Math.min(fitting, wanted);
  const most = JOBS_A_THREAD[kind] * Math.max(1, fitting);
  if (jobs <= most) return { jobs, threads, note: null };
  if (asked === undefined) return { jobs: most, threads, note: null };
  const needed = program + THREAD_MB[kind] * wanted;
  return {
    ...{ jobs: most, threads },
    note:
      `rows move over ${most} connection${most === 1 ? "" : "s"} at a time instead of ${jobs}, ` +
      `to stay within ${megabytes} MB; say --memory ${needed} for all`,
  };
}
