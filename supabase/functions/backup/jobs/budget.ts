/**
 * What one worker may use, and whether the next part still fits. A hosted function has two seconds of
 * CPU, 256 MB and 150 or 400 seconds for the whole life of its isolate, whoever it serves, and is killed
 * at any byte when they are over; so a worker stops between parts before that and hands over.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Settings } from "../core/settings.ts";
import { type CpuMeter, openCpuMeter } from "./cpu_meter.ts";

/** Limits of a worker; null is none. */
export interface WorkerLimits {
  cpuMs: number | null;
  wallMs: number | null;
  memoryBytes: number | null;
}

/** What the platform gives a function, in its smallest plan. */
const HOSTED = { cpuSeconds: 2, memoryMb: 256, wallSeconds: 150 };

/** The limits by the settings; where nothing is set, the platform's in a hosted function, none on a host. */
export function workerLimits(
  settings: Partial<Pick<Settings, "workerCpuSeconds" | "workerMemoryMb" | "workerWallSeconds">>,
  { hosted }: { hosted: boolean },
): WorkerLimits {
  const limit = (set: number | undefined, platform: number, unit: number) => {
    const value = set ?? (hosted ? platform : null);
    return value === null ? null : value * unit;
  };
  return {
    cpuMs: limit(settings.workerCpuSeconds, HOSTED.cpuSeconds, 1000),
    wallMs: limit(settings.workerWallSeconds, HOSTED.wallSeconds, 1000),
    memoryBytes: limit(settings.workerMemoryMb, HOSTED.memoryMb, 1024 * 1024),
  };
}

/** What a worker has used since its process began. */
export interface Spent {
  cpuMs: number;
  wallMs: number;
  memoryBytes: number;
}

/** See the module. One budget per isolate, shared by everything that runs in it. */
export interface Budget {
  spent(): Spent;
  /** Replaces the limits: settings are known only after the worker has begun. */
  limit(limits: WorkerLimits): void;
  /** Whether a part that moves so many raw bytes may start now, beside those that run. */
  allows(next: { bytes: number }): boolean;
  /**
   * Says that work goes on until the answer is disposed; a part gives its bytes, so that the next ones
   * are judged by what the last ones cost.
   */
  enter(part?: { bytes: number }): Disposable;
  /**
   * Says that the platform has sent a request here: it does so only while the worker has used less than
   * half of its CPU, which corrects an estimate that was too high.
   */
  arrived(): void;
  /** Aborted when the platform says that it ends the worker: stop parts and give leases back. */
  readonly signal: AbortSignal;
  /**
   * Takes no parts any more and aborts the signal.
   *
   * @param options.usedUp the worker's CPU or memory is used up, which the parts that run may be the cause
   *   of: the signal's reason is then a `BackupError` with the code `interrupted`
   */
  stop(reason: string, options?: { usedUp?: boolean }): void;
}

/** Of the CPU limit, what parts may use: the rest is the estimate's error and the handing over. */
const CPU_SHARE = 0.85;
/** Of the wall clock, so that a part that starts late still ends. */
const WALL_SHARE = 0.85;
/** Of the memory: at 0.9 the platform already announces the end. */
const MEMORY_SHARE = 0.8;

/** Of the CPU: from here on the platform sends a worker no new requests. */
const RETIRED_SHARE = 0.5;
/** Of the CPU: who has used no more has done next to nothing since it was loaded. */
const NEW_SHARE = 0.25;
/** Calls for which a large part is left to a new worker before this one begins it. */
const MOST_LEFT_TO_OTHERS = 5;
/**
 * What comes between a request's arrival and the first part that it wakes. Were it counted, a worker whose
 * parts are dear would refuse the call that the platform will go on sending to nobody else.
 */
const ANSWER_MS = 150;

/**
 * What a part is thought to cost until parts of this worker were seen: what rows cost at level 6 of zstd,
 * so that two parts may start beside each other in a fresh worker, and hardly in any other.
 */
const FIRST_GUESS = { fixedMs: 60, cpuMsPerMegabyte: 60 };
/** No part is expected to take less wall time than this. */
const SHORTEST_WALL_MS = 5000;
/** Buffers of a part: what is read, its compressed form, what is on its way. */
const BUFFERS = 2;
/** A part streams: beyond so many bytes it needs no more memory. */
const LARGEST_BUFFER_BYTES = 24 * 1024 * 1024;
/** Loading the modules has cost CPU before anything could be measured, at most so much of it. */
const LONGEST_BOOT_MS = 300;

/** Where the measurements come from; tests hold them. */
export interface BudgetSources {
  meter: CpuMeter;
  /** Milliseconds since the process began. */
  wallMs: () => number;
  memoryBytes: () => number;
}

/** The process itself. The platform counts used heap and what hangs on it outside, not the whole heap. */
function ownSources(): BudgetSources {
  return {
    meter: openCpuMeter(),
    wallMs: () => performance.now(),
    memoryBytes() {
      const { heapUsed, external } = Deno.memoryUsage();
      return heapUsed + external;
    },
  };
}

/** The budget under these limits. */
export function createBudget(
  limits: WorkerLimits,
  sources: BudgetSources = ownSources(),
): Budget {
  return new WorkerBudget(limits, sources);
}

class WorkerBudget implements Budget {
  #limits: WorkerLimits;
  readonly #sources: BudgetSources;
  readonly #abort = new AbortController();
  /** Loading the modules, less what was found to be estimated too high. */
  #besideMeterMs: number;
  /** CPU when the last request arrived. */
  #arrivedAtMs = 0;
  readonly #running = new Set<{ bytes: number }>();
  #entered = 0;
  #parts = { count: 0, bytes: 0, cpuMs: 0, longestMs: 0 };
  /** How often a part was left to a new worker since the last one ended here. */
  #leftToOthers = 0;

  constructor(limits: WorkerLimits, sources: BudgetSources) {
    this.#limits = limits;
    this.#sources = sources;
    this.#besideMeterMs = Math.max(
      0,
      Math.min(sources.wallMs(), LONGEST_BOOT_MS) - sources.meter.ms(),
    );
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  spent(): Spent {
    return {
      cpuMs: this.#besideMeterMs + this.#sources.meter.ms(),
      wallMs: this.#sources.wallMs(),
      memoryBytes: this.#sources.memoryBytes(),
    };
  }

  limit(limits: WorkerLimits): void {
    this.#limits = limits;
    this.#meterIfNeeded();
  }

  /** Whether there is wall time for another part. */
  #hasTime(): boolean {
    const { wallMs } = this.#limits;
    if (wallMs === null) return true;
    const needed = Math.max(SHORTEST_WALL_MS, this.#parts.longestMs * 1.5);
    return this.#sources.wallMs() + needed <= wallMs * WALL_SHARE;
  }

  arrived(): void {
    const { cpuMs } = this.#limits;
    if (cpuMs === null) return;
    this.#besideMeterMs -= Math.max(0, this.spent().cpuMs - cpuMs * RETIRED_SHARE);
    this.#arrivedAtMs = this.spent().cpuMs;
  }

  allows(next: { bytes: number }): boolean {
    if (this.#abort.signal.aborted) return false;
    const parts = [...this.#running, next];
    const { cpuMs, memoryBytes } = this.#limits;
    const spent = this.spent();
    if (!this.#hasTime()) return false;
    if (memoryBytes !== null) {
      const needed = parts.reduce(
        (sum, { bytes }) => sum + BUFFERS * Math.min(bytes, LARGEST_BUFFER_BYTES),
        0,
      );
      const isFirst = this.#parts.count + this.#running.size === 0;
      if (spent.memoryBytes + needed > memoryBytes * MEMORY_SHARE && !isFirst) return false;
    }
    if (cpuMs === null) return true;
    const needed = parts.reduce((sum, { bytes }) => sum + this.#costMs(bytes), 0);
    return spent.cpuMs + needed <= cpuMs * CPU_SHARE || this.#mustBegin(next, cpuMs);
  }

  enter(part?: { bytes: number }): Disposable {
    const { meter } = this.#sources;
    this.#entered += 1;
    this.#meterIfNeeded();
    if (part !== undefined) this.#running.add(part);
    const from = { cpuMs: meter.ms(), wallMs: this.#sources.wallMs() };
    let left = false;
    return {
      [Symbol.dispose]: () => {
        if (left) return;
        left = true;
        if (--this.#entered === 0) meter.pause();
        if (part !== undefined) this.#learn(part, from);
      },
    };
  }

  stop(reason: string, { usedUp = false }: { usedUp?: boolean } = {}): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort(
      usedUp ? new BackupError("interrupted", `Cannot go on: ${reason}`) : new Error(reason),
    );
  }

  /**
   * A worker that has half of its CPU left and does nothing: what does not fit here would fit nowhere, and the
   * next call would be sent here again. Only what is so large that it would end a worker with something behind
   * it waits for a new one: each call uses some of this one's half, and then the platform turns to another. It
   * waits for a few calls only: where nothing retires a worker, such as a host, there never is a new one.
   */
  #mustBegin({ bytes }: { bytes: number }, cpuMs: number): boolean {
    if (this.#running.size > 0) return false;
    const spentMs = this.spent().cpuMs;
    if (spentMs > Math.max(cpuMs * RETIRED_SHARE, this.#arrivedAtMs + ANSWER_MS)) return false;
    const isNew = this.#parts.count === 0 || spentMs <= cpuMs * NEW_SHARE;
    // By its size alone: what the last parts cost may have been somebody else's doing.
    if (isNew || spentMs + guessMs(bytes) <= cpuMs * CPU_SHARE) return true;
    return ++this.#leftToOthers > MOST_LEFT_TO_OTHERS;
  }

  /** Where CPU is not limited, nothing is spent on measuring it. */
  #meterIfNeeded(): void {
    if (this.#limits.cpuMs !== null && this.#entered > 0) this.#sources.meter.start();
  }

  #learn(part: { bytes: number }, from: { cpuMs: number; wallMs: number }): void {
    // Of parts that ran beside each other each is charged with its share.
    const beside = this.#running.size;
    this.#running.delete(part);
    this.#leftToOthers = 0;
    this.#parts.count += 1;
    this.#parts.bytes += part.bytes;
    this.#parts.cpuMs += (this.#sources.meter.ms() - from.cpuMs) / beside;
    this.#parts.longestMs = Math.max(
      this.#parts.longestMs,
      this.#sources.wallMs() - from.wallMs,
    );
  }

  #costMs(bytes: number): number {
    const { count, bytes: moved, cpuMs } = this.#parts;
    if (count === 0) return guessMs(bytes);
    const perMegabyte = moved === 0
      ? FIRST_GUESS.cpuMsPerMegabyte
      : Math.max(0, cpuMs - count * FIRST_GUESS.fixedMs) / (moved / 1e6);
    const fixed = moved === 0 ? cpuMs / count : FIRST_GUESS.fixedMs;
    return fixed + bytes / 1e6 * perMegabyte;
  }
}

function guessMs(bytes: number): number {
  return FIRST_GUESS.fixedMs + bytes / 1e6 * FIRST_GUESS.cpuMsPerMegabyte;
}

/** What the platform says in `beforeunload`; only there the event has a reason. */
export function stopBeforeUnload(budget: Budget): void {
  globalThis.addEventListener("beforeunload", (event) => {
    const reason = (event as Partial<CustomEvent<{ reason?: unknown } | null>>).detail?.reason;
    if (typeof reason !== "string") return;
    const usedUp = reason === "cpu" || reason === "memory";
    budget.stop(`the platform ends this worker: ${reason}`, { usedUp });
  });
}
