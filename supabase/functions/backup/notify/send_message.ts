/**
 * Brings a message to a channel: a few tries with pauses, bounded in time, and errors that never quote an
 * address, because an address may be a secret.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import type { ChannelContext, ChannelKind, Outgoing } from "./channel.ts";
import type { Message } from "./write_message.ts";

/** What {@linkcode sendMessage} works with. */
export interface SendOptions {
  context: ChannelContext;
  fetch: typeof fetch;
  clock: Clock;
  /** Refuses hosts that the environment does not allow. @throws `invalid_config` */
  allow: (outgoing: Outgoing) => void;
  /** @default 3 */
  tries?: number;
  /** How long one try may take. @default 10000 */
  timeoutMs?: number;
}

const FIRST_PAUSE_MS = 1000;

/** What a receiver asks for is done up to here; the rest is left to a later tick. */
const LONGEST_PAUSE_MS = 5000;

/** A failed try that may be worth another one. */
class Passing extends Error {
  constructor(readonly error: BackupError, readonly asksMs: number | null) {
    super(error.message);
  }
}

/** @throws `channel_failed`, `invalid_config` */
export async function sendMessage(
  kind: ChannelKind,
  message: Message,
  options: SendOptions,
): Promise<void> {
  const { context, clock, allow, tries = 3 } = options;
  const outgoing = await kind.request(message, context);
  if (outgoing === null) return;
  allow(outgoing);
  for (let attempt = 1;; attempt++) {
    try {
      return await sendOnce(kind.name, outgoing, options);
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      const pauseMs = error.asksMs ?? FIRST_PAUSE_MS * 2 ** (attempt - 1);
      if (attempt >= tries || pauseMs > LONGEST_PAUSE_MS) throw error.error;
      await clock.sleep(pauseMs);
    }
  }
}

async function sendOnce(
  name: string,
  { url, headers, body }: Outgoing,
  { fetch, timeoutMs = 10_000 }: SendOptions,
): Promise<void> {
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), timeoutMs);
  let response: Response;
  try {
    response = await fetch(url, {
      ...{ method: "POST", headers, body, signal: ending.signal },
      redirect: "manual", // what is posted is for this host only
    });
    await response.body?.cancel().catch(() => {}); // nobody reads it, however it ends
  } catch {
    // The runtime's message quotes the address.
    const why = ending.signal.aborted ? `no answer within ${timeoutMs / 1000} s` : "no connection";
    throw new Passing(failed(name, why), null);
  } finally {
    clearTimeout(timer);
  }
  const { status } = response;
  if (response.ok) return;
  const error = failed(name, `it answers ${status}`, ADVICE[status]);
  if (status === 429 || status >= 500) throw new Passing(error, askedPauseMs(response));
  throw error;
}

const ADVICE: Record<number, string> = {
  400: "The receiver does not take the message: check addresses and sender.",
  401: "The receiver does not accept the key: set another one.",
  403: "The receiver does not accept the key or the sender: check both.",
  404: "The address is not, or no longer, a receiver: make a new one.",
  410: "The address is no longer a receiver: make a new one.",
};

function askedPauseMs({ headers }: Response): number | null {
  const seconds = Number(headers.get("retry-after") ?? NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : null;
}

function failed(name: string, why: string, hint?: string): BackupError {
  return new BackupError(
    "channel_failed",
    `Cannot send to the channel ${name}: ${why}`,
    hint === undefined ? {} : { hint },
  );
}
