/**
 * A client of Supabase's Management API: a pace within its limits, bounded retries, answers that are
 * checked, errors that say what to do.
 *
 * @module
 */
import { concat, fromUtf8 } from "../core/bytes.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";
import { startDeadline } from "./deadline.ts";
import {
  type Address,
  type BytesCall,
  callUrl,
  type ChangingCall,
  checkAddress,
  type ManagementCall,
  type Method,
  requestInit,
} from "./management_call.ts";
import { type FailedCall, isFailure, malformed, noAnswer, refusal } from "./management_errors.ts";
import { askedDelayMs, type PaceLimit, RequestPace } from "./request_pace.ts";

/** Where and how to reach the API. */
export interface ManagementApiOptions {
  /** @default `https://api.supabase.com` */
  baseUrl?: string;
  projectRef: string;
  token: Secret;
  /** @default the platform's */
  fetch?: typeof fetch;
  clock?: Clock;
  /** @default 60 a minute */
  limit?: PaceLimit;
  /** Tries of one call, in all. @default 5 */
  tries?: number;
  /** Waiting between the tries of one call, in all. @default 150 seconds */
  patienceMs?: number;
}

/** An answer of bytes. */
export interface BytesAnswer {
  /** Media type with its parameters; empty when the server does not say. */
  contentType: string;
  body: Uint8Array;
}

/** An answer of bytes that is still coming. */
export interface StreamAnswer {
  contentType: string;
  /** @throws `management_unavailable` when it is cut off: nothing repeats what was handed on already */
  body: AsyncIterable<Uint8Array>;
}

/** The calls. All throw `BackupError` with a code `management_…`, and the signal's reason. */
export interface ManagementApi {
  readonly projectRef: string;
  get<T>(path: string, call: ManagementCall<T>): Promise<T>;
  post<T>(path: string, call: ChangingCall<T>): Promise<T>;
  patch<T>(path: string, call: ChangingCall<T>): Promise<T>;
  put<T>(path: string, call: ChangingCall<T>): Promise<T>;
  delete<T>(path: string, call: ChangingCall<T>): Promise<T>;
  /** Gets bytes; an answer that is cut off is asked for again. */
  bytes(path: string, call: BytesCall): Promise<BytesAnswer>;
  /** Gets bytes as they come; tried again until the answer begins. */
  download(path: string, call: BytesCall): Promise<StreamAnswer>;
}

/**
 * Opens a client. Nothing is sent yet.
 *
 * @throws `invalid_config` when the address is not one that a token may be sent to, or the token is none
 */
export function managementApi(options: ManagementApiOptions): ManagementApi {
  const client = new Client(options);
  return {
    projectRef: options.projectRef,
    get: (path, call) => client.json("GET", path, call),
    post: (path, call) => client.json("POST", path, call),
    patch: (path, call) => client.json("PATCH", path, call),
    put: (path, call) => client.json("PUT", path, call),
    delete: (path, call) => client.json("DELETE", path, call),
    bytes: (path, call) => client.bytes("GET", path, call),
    download: (path, call) => client.send({ method: "GET", path, call }, openStream),
  };
}

const MEGABYTE = 1024 * 1024;
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 20_000;
/** How much of a refusal's body is looked at. */
const REFUSAL_BYTES = 4096;

interface Asked {
  method: Method;
  path: string;
  call: BytesCall & Partial<ChangingCall<unknown>>;
}

/** A failed try that may be worth another one. */
class Passing extends Error {
  constructor(readonly error: BackupError, readonly asksMs: number | null) {
    super(error.message);
  }
}

/** An answer being read: `next` is a chunk, or undefined at the end. */
interface Reading {
  response: Response;
  next(): Promise<Uint8Array | undefined>;
  end(): void;
  failed(cause: unknown): unknown;
}

class Client {
  readonly #options: ManagementApiOptions;
  readonly #address: Address;
  readonly #clock: Clock;
  readonly #fetch: typeof fetch;
  readonly #pace: RequestPace;

  constructor(options: ManagementApiOptions) {
    const { baseUrl = "https://api.supabase.com", projectRef, token } = options;
    checkAddress({ baseUrl, projectRef, token });
    this.#options = options;
    this.#address = { baseUrl, projectRef, token };
    this.#clock = options.clock ?? systemClock;
    this.#fetch = options.fetch ?? fetch;
    this.#pace = new RequestPace(
      options.limit ?? { requests: 60, windowMs: 60_000 },
      this.#clock,
    );
  }

  async json<T>(method: Method, path: string, call: ChangingCall<T>): Promise<T> {
    const asked = { method, path, call };
    const { body } = await this.bytes(method, path, call);
    let parsed: unknown;
    try {
      parsed = body.length === 0 ? undefined : JSON.parse(fromUtf8(body));
    } catch {
      throw malformed(this.#failed(asked), "the answer is not JSON"); // the parser would quote it
    }
    const checked = call.answer.safeParse(parsed);
    if (checked.success) return checked.data;
    const places = checked.error.issues.map((issue) => issue.path.join(".") || "the whole");
    throw malformed(
      this.#failed(asked),
      `the answer is not as documented at ${[...new Set(places)].slice(0, 5).join(", ")}`,
    );
  }

  bytes(method: Method, path: string, call: Asked["call"]): Promise<BytesAnswer> {
    const { maxBytes = 16 * MEGABYTE } = call;
    const asked = { method, path, call };
    return this.send(asked, async (reading) => {
      const chunks: Uint8Array[] = [];
      let length = 0;
      for (let chunk = await reading.next(); chunk; chunk = await reading.next()) {
        length += chunk.length;
        if (length > maxBytes) {
          reading.end();
          throw malformed(this.#failed(asked), `the answer is longer than ${maxBytes} bytes`);
        }
        chunks.push(chunk);
      }
      reading.end();
      return { contentType: contentTypeOf(reading.response), body: concat(chunks) };
    });
  }

  /** Sends until an answer is taken, or the tries or the patience are used up. */
  async send<R>(asked: Asked, take: (reading: Reading) => Promise<R>): Promise<R> {
    const { tries = 5, patienceMs = 150_000 } = this.#options;
    let waitedMs = 0;
    for (let attempt = 1;; attempt++) {
      try {
        await this.#pace.enter(asked.call.signal);
        return await this.#tryOnce(asked, take);
      } catch (error) {
        if (!(error instanceof Passing)) throw error;
        const delayMs = error.asksMs ?? backOffMs(attempt);
        waitedMs += delayMs;
        if (attempt >= tries || waitedMs > patienceMs) throw error.error;
        await this.#clock.sleep(delayMs, asked.call.signal);
      }
    }
  }

  async #tryOnce<R>(asked: Asked, take: (reading: Reading) => Promise<R>): Promise<R> {
    const reading = await this.#open(asked);
    const { status, headers } = reading.response;
    this.#pace.note(headers);
    try {
      if (status >= 200 && status < 300) return await take(reading);
      const error = refusal(this.#failed(asked), { status, words: await wordsOf(reading) });
      const asksMs = askedDelayMs(headers, this.#clock.now());
      if (status === 429) {
        if (asksMs !== null) this.#pace.hold(asksMs);
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
  async #open(asked: Asked): Promise<Reading> {
    const { method, path, call } = asked;
    const url = callUrl(path, this.#address, call);
    const init = requestInit(method, this.#address, call);
    const deadline = startDeadline(call.timeoutMs ?? 30_000, call.signal);
    const failed = (cause: unknown) => {
      deadline.end();
      if (call.signal.aborted) return call.signal.reason;
      const error = noAnswer(this.#failed(asked), { origin: url.origin, cause });
      return isRepeatable(asked) ? new Passing(error, null) : error;
    };
    try {
      const response = await this.#fetch(url, { ...init, signal: deadline.signal });
      const reader = response.body?.getReader();
      return {
        response,
        failed,
        end() {
          deadline.end();
          reader?.cancel().catch(() => {}); // what is not wanted any more may well be broken
        },
        async next() {
          deadline.renew();
          try {
            return (await reader?.read())?.value;
          } catch (error) {
            throw failed(error);
          }
        },
      };
    } catch (error) {
      throw failed(error);
    }
  }

  #failed(asked: Asked): FailedCall {
    const { projectRef, token } = this.#address;
    const { to, permission, sensitive = false } = asked.call;
    return { to, permission, sensitive, projectRef, token, repeatable: isRepeatable(asked) };
  }
}

function isRepeatable({ method, call }: Asked): boolean {
  return call.repeatable ?? method !== "POST";
}

function contentTypeOf(response: Response): string {
  return response.headers.get("content-type") ?? "";
}

function openStream(reading: Reading): Promise<StreamAnswer> {
  async function* body() {
    try {
      for (let chunk = await reading.next(); chunk; chunk = await reading.next()) yield chunk;
    } catch (error) {
      throw error instanceof Passing ? error.error : error;
    } finally {
      reading.end();
    }
  }
  return Promise.resolve({ contentType: contentTypeOf(reading.response), body: body() });
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
