/**
 * Tells how much CPU time this worker has used. The platform counts the time of the isolate's own
 * thread and says it to nobody; Deno 2.1 has no clock for it either. So it is estimated: from how late
 * the event loop comes to its timers, and from what passed through the process.
 * `docs/decisions/0008-cpu-is-estimated.md` has the measurements.
 *
 * @module
 */
import process from "node:process";
import { workDone, type WorkKind } from "../core/work_count.ts";

/** A meter runs only while there is work: it costs up to two percent of a CPU. */
export interface CpuMeter {
  /** Milliseconds so far. */
  ms(): number;
  /** Starts, or goes on. */
  start(): void;
  /** Pauses: the worker is idle. */
  pause(): void;
}

/** Between two looks at the event loop, in milliseconds. */
const PERIOD_MS = 20;
/** The same while every look finds it idle: waiting for the network must not cost what is saved for work. */
const LONGEST_PERIOD_MS = 160;
/** A timer of an idle event loop comes late by up to so much. */
const TIMER_MS = 1.5;
/** A message to oneself takes less in an idle event loop. */
const TURN_MS = 0.5;

/** What one piece of work costs at least, in milliseconds. */
const COST: Record<WorkKind, { each: number; perMegabyte: number }> = {
  socket: { each: 0.15, perMegabyte: 3 },
  // Rows on their way back, which had to be opened and unpacked before.
  sent: { each: 0, perMegabyte: 10 },
  // A statement with values is two writes and two reads; rows arrive as text, which becomes values.
  driver: { each: 0.15, perMegabyte: 5 },
  // By a large client, and what arrives is opened and unpacked.
  storage: { each: 1.5, perMegabyte: 4 },
  // By `fetch` alone, with a digest of what is moved.
  request: { each: 0.5, perMegabyte: 3 },
};

/** The best meter that the runtime has. */
export function openCpuMeter(): CpuMeter {
  return threadClock() ?? new SampledMeter();
}

/** Node's clock of the own thread; null in Deno 2.1. */
function threadClock(): CpuMeter | null {
  const read = (process as { threadCpuUsage?: () => { user: number; system: number } })
    .threadCpuUsage;
  if (typeof read !== "function") return null;
  const ms = () => {
    const { user, system } = read.call(process);
    return (user + system) / 1000;
  };
  return { ms, start() {}, pause() {} };
}

/** See the module. */
export class SampledMeter implements CpuMeter {
  #ms = 0;
  #modelled = modelledMs();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #channel: MessageChannel | undefined;
  #due = 0;
  #periodMs = PERIOD_MS;

  ms(): number {
    // What passed since the last look, by the model alone.
    return this.#ms + Math.max(0, modelledMs() - this.#modelled);
  }

  start(): void {
    if (this.#timer !== undefined) return;
    this.#channel = new MessageChannel();
    this.#periodMs = PERIOD_MS;
    this.#sleep(this.#channel);
  }

  pause(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#channel?.port1.close();
    this.#channel?.port2.close();
    this.#channel = undefined;
    this.#add(performance.now() - this.#due - TIMER_MS);
  }

  #sleep(channel: MessageChannel): void {
    this.#due = performance.now() + this.#periodMs;
    this.#timer = setTimeout(() => this.#look(channel), this.#periodMs);
  }

  /** A timer that comes late was kept by work; a message that comes late meets the loop at work. */
  #look(channel: MessageChannel): void {
    if (this.#channel !== channel) return; // paused in the same turn
    const now = performance.now();
    const late = now - this.#due - TIMER_MS;
    channel.port1.onmessage = () => {
      if (this.#channel !== channel) return; // paused meanwhile
      const turn = performance.now() - now;
      const seen = Math.max(0, late) + (turn > TURN_MS ? Math.max(turn, PERIOD_MS) : 0);
      this.#add(seen);
      this.#periodMs = seen > 0 ? PERIOD_MS : Math.min(this.#periodMs * 2, LONGEST_PERIOD_MS);
      this.#sleep(channel);
    };
    channel.port2.postMessage(null);
  }

  #add(seenMs: number): void {
    const modelled = modelledMs();
    this.#ms += Math.max(0, seenMs, modelled - this.#modelled);
    this.#modelled = modelled;
  }
}

function modelledMs(): number {
  const done = workDone();
  return (Object.keys(COST) as WorkKind[]).reduce(
    (sum, kind) =>
      sum + done[kind].times * COST[kind].each +
      done[kind].bytes / 1e6 * COST[kind].perMegabyte,
    0,
  );
}
