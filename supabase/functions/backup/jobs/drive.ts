/**
 * Keeps work going: one worker in this process, further ones by calling the function itself, and at the
 * end of this one's budget a call that lets another go on. Whoever is lost, the parts are recorded, and
 * the next tick of the clock starts again.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { type BackupError, toBackupError } from "../core/errors.ts";
import type { Budget } from "./budget.ts";
import type { PartStore } from "./part_store.ts";
import type { WorkerReport } from "./run_worker.ts";

/** What a tick did. */
export type DriveState =
  /** A worker that did not work before works now. */
  | "started"
  /** This process works already. */
  | "working"
  /** This process may not begin anything any more. */
  | "spent"
  /** No part waits that could be taken now. */
  | "idle";

/** What driving is made of. */
export interface DriveOptions {
  store: Pick<PartStore, "waiting">;
  /** Does parts until none can be taken or the budget allows none. */
  work: () => Promise<WorkerReport>;
  budget: Budget;
  clock: Clock;
  /**
   * Calls this service's `tick` in another process, when there may be one; its answer's state, null
   * when nobody could be called.
   */
  call: (depth: number) => Promise<{ state: string } | null>;
  /** Workers that may work at a time, this one included. */
  maxWorkers: () => Promise<number>;
  /** Keeps the process alive until the promise settles, where the platform has such a thing. */
  waitUntil?: (work: Promise<unknown>) => void;
  /** Told of what went wrong beside the parts; a part's own failure is its job's. */
  onError: (error: BackupError) => void;
  /**
   * How long to wait for a part that cannot be taken yet: it is held, by a worker that may be gone, or
   * pauses after a failure. @default 60000
   */
  patienceMs?: number;
}

/** Between looks whether another worker would find something to do. */
const FIRST_LOOK_MS = 500;
const LONGEST_LOOK_MS = 10_000;

/** Between looks whether this worker would find something to do. */
const SHORTEST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2000;

/** See the module. One per process. */
export class Drive {
  readonly #options: DriveOptions;
  #working: Promise<void> | null = null;
  #again = false;
  readonly #ending = new AbortController();

  constructor(options: DriveOptions) {
    this.#options = options;
    options.budget.signal.addEventListener("abort", () => this.#ending.abort(), { once: true });
  }

  /**
   * Starts this process's worker unless it works. Returns at once; the work goes on in the background.
   *
   * @param depth calls in a row that led here
   */
  wake(depth = 0): Exclude<DriveState, "idle"> {
    if (!this.#mayBegin()) return "spent";
    if (this.#working !== null) {
      this.#again = true; // parts may have come after the worker's last look
      return "working";
    }
    this.#working = this.#run(depth).then(
      () => {
        this.#working = null;
        if (this.#again) this.wake(depth);
      },
      (error) => {
        this.#working = null;
        this.#options.onError(toBackupError(error));
      },
    );
    this.#options.waitUntil?.(this.#working);
    return "started";
  }

  /** For whoever has just recorded a job: this process works on it, or another one is called. */
  begin(): void {
    if (this.wake() !== "spent") return;
    const called = this.#options.call(1)
      .catch((error) => this.#options.onError(toBackupError(error)));
    this.#options.waitUntil?.(called);
  }

  /** Waits until this process's worker has ended. */
  async idle(): Promise<void> {
    while (this.#working !== null) await this.#working;
  }

  /** Does what can be done now, waits for nothing more, and begins nothing after that. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.idle();
  }

  #mayBegin(): boolean {
    return !this.#ending.signal.aborted &&
      this.#options.budget.allows({ bytes: 0 });
  }

  async #run(depth: number): Promise<void> {
    const { clock, call, patienceMs = 60_000 } = this.#options;
    const spreading = new AbortController();
    const spread = this.#spread(depth, spreading.signal);
    let partsDone = 0;
    let report: WorkerReport;
    let waitedMs = 0;
    let shortestMs = SHORTEST_PAUSE_MS;
    try {
      while (true) {
        this.#again = false;
        report = await this.#work();
        partsDone += report.partsDone;
        if (report.partsDone > 0) [waitedMs, shortestMs] = [0, SHORTEST_PAUSE_MS];
        if (report.stoppedBy !== "idle") break;
        const { nextInMs } = report.waiting;
        if (nextInMs === 0 && report.partsDone > 0) continue;
        if (!this.#mayBegin()) break;
        if (this.#again) continue;
        if (nextInMs === null || waitedMs >= patienceMs) break;
        // A part may lie there and not be for this worker: others are as many as may work.
        const pauseMs = Math.min(Math.max(nextInMs, shortestMs), LONGEST_PAUSE_MS);
        shortestMs *= 2;
        waitedMs += pauseMs;
        await clock.sleep(pauseMs, this.#ending.signal).catch(() => {}); // the next look sees why
      }
    } finally {
      spreading.abort();
      await spread;
    }
    // Nothing would fit any more: another look would only call the next worker twice.
    if (report.stoppedBy === "budget") this.#again = false;
    // A worker that only waited would pass the same waiting on.
    const isSpent = report.stoppedBy === "budget" || partsDone > 0;
    if (isSpent && report.waiting.parts > 0) await call(depth + 1);
  }

  /** Measured while it works only: the meter has its price. */
  async #work(): Promise<WorkerReport> {
    using _working = this.#options.budget.enter();
    return await this.#options.work();
  }

  /** Calls further workers while parts lie there that this one does not come to. */
  async #spread(depth: number, end: AbortSignal): Promise<void> {
    const { store, clock, call, maxWorkers } = this.#options;
    try {
      const most = await maxWorkers();
      let pauseMs = FIRST_LOOK_MS;
      while (most > 1) {
        await clock.sleep(pauseMs, end);
        const { nextInMs, workers } = await store.waiting();
        const answer = nextInMs === 0 && workers < most ? await call(depth + 1) : null;
        pauseMs = answer?.state === "started"
          ? FIRST_LOOK_MS
          : Math.min(pauseMs * 2, LONGEST_LOOK_MS);
      }
    } catch (error) {
      if (!end.aborted) this.#options.onError(toBackupError(error));
    }
  }
}
