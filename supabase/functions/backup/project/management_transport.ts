/**
 * Requests of the Management API and the reading of their answers: the pace, the retries and the errors.
 *
 * @module
 */
import { concat, fromUtf8 } from "../core/bytes.ts";
import type { Clock } from "../core/clock.ts";
import type { BackupError } from "../core/errors.ts";
import { startDeadline } from "./deadline.ts";
import {
  type Address,
  type BytesCall,
  callUrl,
  type ChangingCall,
  type Method,
  requestInit,
} from "./management_call.ts";
import { type FailedCall, isFailure, malformed, noAnswer, refusal } from "./management_errors.ts";
import { askedDelayMs, type RequestPace } from "./request_pace.ts";

/** One call. */
export interface Asked {
  method: Method;
  path: string;
  call: BytesCall & Partial<ChangingCall<unknown>>;
}

/** An answer that is a success and being read. */
export interface Reading {
  /** Media type with its parameters; empty when the server does not say. */
  contentType: string;
  /** The next chunk, undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  /** No more of it is wanted. */
  end(): void;
}

/** What a transport is made of. */
export interface TransportOptions {
  address: Address;
  fetch: typeof fetch;
  clock: Clock;
  pace: RequestPace;
  /** Tries of one call, in all. */
  tries: number;
  /** Waiting between the tries of one call, in all. */
  patienceMs: number;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 20_000;
/** How much of a refusal's body is looked at. */
const REFUSAL_BYTES = 4096;

/** A failed try that may be worth another one. */
class Passing extends Error {
  constructor(readonly error: BackupError, readonly asksMs: number | null) {
    super(error.message);
  }
}

/** Sends calls, one client's all together. */
export class Transport {
  readonly #options: TransportOptions;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  /**
   * Sends until an answer is taken, or the tries or the patience are used up.
   *
   * @param take reads the answer; a cut in the middle of it is a failed try
   */
  async send<R>(asked: Asked, take: (reading: Reading) => Promise<R>): Promise<R> {
    const { tries, patienceMs, pace, clock } = this.#options;
    let waitedMs = 0;
    for (let attempt = 1;; attempt++) {
      try {
        await pace.enter(asked.call.signal);
        return await this.#tryOnce(asked, take);
      } catch (error) {
        if (!(error instanceof Passing)) throw error;
        const delayMs = error.asksMs ?? backOffMs(attempt);
        waitedMs += delayMs;
        if (attempt >= tries || waitedMs > patienceMs) throw error.error;
        await clock.sleep(delayMs, asked.call.signal);
      }
    }
  }

  /** The error of an answer that is not what the API's document says. */
  malformed(asked: Asked, what: string): BackupError {
    return malformed(this.#failed(asked), what);
  }

  async #tryOnce<R>(asked: Asked, take: (reading: Reading) => Promise<R>): Promise<R> {
    const { pace, clock } = this.#options;
    const { response, reading } = await this.#open(asked);
    const { status, headers } = response;
    pace.note(headers);
    try {
      if (response.ok) return await take(reading);
      const error = refusal(this.#failed(asked), { status, words: await wordsOf(reading) });
      const asksMs = askedDelayMs(headers, clock.now());
      if (status === 429) {
        if (asksMs !== null) pace.hold(asksMs);
        throw new Passing(error, asksMs);
      }
      if (isFailure(status) && isRepeatable(asked)) throw new Passing(error, asksMs);
      throw error;
    } catch (error) {
      reading.end();
      throw error;
    }
  }

  /** Sends once; the answer has begun when this returns. */
  async #open(asked: Asked): Promise<{ response: Response; reading: Reading }> {
    const { address } = this.#options;
    const { method, path, call } = asked;
    const url = callUrl(path, address, call);
    const init = requestInit(method, address, call);
    const deadline = startDeadline(call.timeoutMs ?? 30_000, call.signal);
    const failed = (cause: unknown) => {
      deadline.end();
      if (call.signal.aborted) return call.signal.reason;
      const error = noAnswer(this.#failed(asked), { origin: url.origin, cause });
      return isRepeatable(asked) ? new Passing(error, null) : error;
    };
    try {
      const response = await this.#options.fetch(url, { ...init, signal: deadline.signal });
      const reader = response.body?.getReader();
      const reading: Reading = {
        contentType: response.headers.get("content-type") ?? "",
        async next() {
          deadline.renew();
          try {
            return (await reader?.read())?.value;
          } catch (error) {
            throw failed(error);
          }
        },
        end() {
          deadline.end();
          reader?.cancel().catch(() => {}); // what is not wanted any more may well be broken
        },
      };
      return { response, reading };
    } catch (error) {
      throw failed(error);
    }
  }

  #failed(asked: Asked): FailedCall {
    const { projectRef, token } = this.#options.address;
    const { to, permission, sensitive = false } = asked.call;
    return { to, permission, sensitive, projectRef, token, repeatable: isRepeatable(asked) };
  }
}

/** All chunks of an answer, one after the other; what no more try can mend is thrown as it is. */
export async function* chunksOf(reading: Reading): AsyncGenerator<Uint8Array> {
  try {
    for (let chunk = await reading.next(); chunk; chunk = await reading.next()) yield chunk;
  } catch (error) {
    throw error instanceof Passing ? error.error : error;
  } finally {
    reading.end();
  }
}

function isRepeatable({ method, call }: Asked): boolean {
  return call.repeatable ?? method !== "POST";
}

/** What a refusing server says: the `message` of its JSON, else nothing, for a page of HTML helps nobody. */
async function wordsOf(reading: Reading): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  while (length < REFUSAL_BYTES) {
    const chunk = await reading.next().catch(() => undefined); // the status says enough
    if (chunk === undefined) break;
    chunks.push(chunk);
    length += chunk.length;
  }
  reading.end();
  try {
    const { message } = JSON.parse(fromUtf8(concat(chunks)));
    return Array.isArray(message) ? message.join("; ") : String(message ?? "");
  } catch {
    return "";
  }
}

/** Doubled from try to try, with a random part so that workers do not come back together. */
function backOffMs(attempt: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1)) *
    (0.5 + Math.random() / 2);
}
