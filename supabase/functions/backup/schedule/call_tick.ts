/**
 * Calls `tick` of this same service, so that another worker goes on: when this one's budget is spent, or
 * beside it.
 *
 * A function that calls itself stays in one chain of requests, of which the platform allows a number a
 * minute. So a long chain is ended now and then by letting the database call, which begins a new one.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import type { Environment } from "../core/environment.ts";
import { schedulerKeys } from "../core/scheduler_key.ts";
import type { StateDatabase } from "../state/database.ts";
import { kickTick } from "./cron_schedule.ts";

/** Calls in a row before the database is asked to call. */
export const LONGEST_CHAIN = 100;

/** `tick` answers at once; a busy platform may need a start of an isolate. */
const PATIENCE_MS = 15_000;

/** The longest wait that the platform's rate limit may ask of a worker. */
const LONGEST_PAUSE_MS = 20_000;

/** What is said to `tick`. */
export interface TickCall {
  /** Calls in a row that led here. */
  depth: number;
}

/** What the called one answered; null when nobody could be called. */
export type TickAnswer = {
  /** `started`: a worker that did not work before works now. */
  state: "started" | "working" | "idle" | "asked-database";
} | null;

/** What calling needs. */
export interface CallTickOptions {
  database: StateDatabase;
  environment: Pick<Environment, "functionUrl" | "secretKeys" | "serviceRoleKey" | "allowedKeys">;
  clock: Clock;
  /** @default the runtime's */
  fetch?: (request: Request) => Promise<Response>;
}

/** Calls. It never throws: a call that is lost is made good by the next tick of the clock. */
export async function callTick(call: TickCall, options: CallTickOptions): Promise<TickAnswer> {
  if (call.depth >= LONGEST_CHAIN && await askDatabase(options)) {
    return { state: "asked-database" };
  }
  const answer = await callSelf(call, options);
  if (answer !== null) return answer;
  return await askDatabase(options) ? { state: "asked-database" } : null;
}

async function askDatabase({ database }: CallTickOptions): Promise<boolean> {
  try {
    return await kickTick(database);
  } catch {
    return false; // the clock comes in a minute; what matters is that parts are recorded
  }
}

async function callSelf(call: TickCall, options: CallTickOptions): Promise<TickAnswer> {
  const { environment, clock, fetch: send = fetch } = options;
  const [key] = await schedulerKeys(environment);
  if (environment.functionUrl === null || key === undefined) return null;
  for (let attempt = 1; attempt <= 2; attempt++) {
    try {
      const request = new Request(`${environment.functionUrl}?action=tick`, {
        method: "POST",
        headers: { "content-type": "application/json", apikey: key.reveal() },
        body: JSON.stringify(call),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const response = await send(request);
      const body = await response.json();
      // One that is at its end may be called once more: the platform may send the next call elsewhere.
      if (response.ok && body.data.state !== "spent") return { state: body.data.state };
    } catch (error) {
      const pauseMs = rateLimitPause(error);
      if (pauseMs === null) continue; // an isolate that died while it was asked: another one starts
      if (pauseMs > LONGEST_PAUSE_MS) return null;
      await clock.sleep(pauseMs);
    }
  }
  return null;
}

/** The platform's refusal of a chain that calls too often says how long to wait. */
function rateLimitPause(error: unknown): number | null {
  if (!(error instanceof Error) || error.name !== "RateLimitError") return null;
  const { retryAfterMs } = error as Error & { retryAfterMs?: unknown };
  return typeof retryAfterMs === "number" ? retryAfterMs : 1000;
}
