/**
 * One request to Supabase Storage, repeated where that is harmless.
 *
 * @module
 */
import { fromBase64, fromUtf8 } from "../core/bytes.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { RELEASE } from "../core/release.ts";
import type { Secret } from "../core/secret.ts";
import { countedFetch } from "./counted_fetch.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import type { Fetch } from "./direct_fetch.ts";
import type { Answer } from "./http_answer.ts";
import {
  mayPass,
  noAnswerError,
  readRefusal,
  refusalError,
  type StorageRefusal,
} from "./storage_errors.ts";

/** Where Storage is and how to enter. */
export interface StorageApiOptions {
  /** `https://<ref>.supabase.co/storage/v1` */
  url: string;
  /** The service_role key or a secret key: it sees everything, whatever the policies. */
  key: Secret;
  /** Tries of what may be repeated. @default 4 */
  tries?: number;
  /** How long to wait without a byte of an answer. @default 60 seconds */
  idleMs?: number;
  clock?: Clock;
  fetch?: Fetch;
}

/** What is sent. */
export interface StorageRequest {
  /** For messages: `read avatars/me.png`. */
  verb: string;
  method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH";
  /** Below the address of Storage, encoded. */
  path: string;
  headers?: Record<string, string>;
  json?: unknown;
  bytes?: Uint8Array;
  /** Whether doing it twice is the same as doing it once. */
  repeatable: boolean;
  signal: AbortSignal;
}

/** An answer: a success whose body is still to be read, or a refusal that the caller may expect. */
export type StorageAnswer =
  | { ok: true; response: Answer; deadline: Deadline }
  | { ok: false; refusal: StorageRefusal };

/** Sends requests of one project's Storage. */
export class StorageRequests {
  readonly #options: Required<StorageApiOptions>;

  /** @throws `invalid_config` for an address over which a key must not go */
  constructor(options: StorageApiOptions) {
    checkAddress(options.url);
    this.#options = {
      tries: 4,
      idleMs: 60_000,
      clock: systemClock,
      ...options,
      fetch: countedFetch(options.fetch ?? globalThis.fetch),
      url: options.url.replace(/\/+$/, ""),
    };
  }

  /** Scheme and host, for messages. */
  get origin(): string {
    return new URL(this.#options.url).origin;
  }

  /** The role that the key stands for, by its own words; null for keys that do not tell. */
  get role(): string | null {
    const [, claims] = this.#options.key.reveal().split(".");
    if (claims === undefined) return null;
    try {
      const { role } = JSON.parse(fromUtf8(fromBase64(claims + "=".repeat(-claims.length & 3))));
      return typeof role === "string" ? role : null;
    } catch {
      return null; // no token: the server will say so
    }
  }

  /** How often what breaks off may be gone on with. */
  get tries(): number {
    return this.#options.tries;
  }

  /** The pause after the `attempt`-th try. */
  async pause(attempt: number, signal: AbortSignal): Promise<void> {
    await this.#wait(attempt, { afterMs: 0, signal });
  }

  /**
   * Sends it. Whoever gets a success must end its deadline when the body is read.
   * @throws `files_unreachable` when there is no answer after all tries, or none but passing refusals
   */
  async send(request: StorageRequest): Promise<StorageAnswer> {
    for (let attempt = 1;; attempt++) {
      request.signal.throwIfAborted();
      const last = !request.repeatable || attempt >= this.#options.tries;
      let afterMs = 0;
      try {
        const answer = await this.#sendOnce(request);
        if (answer.ok || last || !mayPass(answer.refusal)) return answer;
        afterMs = answer.afterMs;
      } catch (error) {
        if (request.signal.aborted) throw request.signal.reason;
        if (last) throw noAnswerError(request.verb, this.origin, error);
      }
      await this.#wait(attempt, { afterMs, signal: request.signal });
    }
  }

  /** Sends it and reads a JSON answer; null for a refusal that `expected` knows. @throws `files_*` */
  async json<T>(
    request: StorageRequest,
    expected: (refusal: StorageRefusal) => boolean = () => false,
  ): Promise<T | null> {
    for (let attempt = 1;; attempt++) {
      const answer = await this.send(request);
      if (!answer.ok) {
        if (expected(answer.refusal)) return null;
        throw refusalError(request.verb, answer.refusal);
      }
      try {
        return await answer.response.json() as T;
      } catch (error) {
        if (request.signal.aborted) throw request.signal.reason;
        const last = !request.repeatable || attempt >= this.#options.tries;
        if (last) throw noAnswerError(request.verb, this.origin, error);
      } finally {
        answer.deadline.end();
      }
      await this.pause(attempt, request.signal);
    }
  }

  async #sendOnce(request: StorageRequest): Promise<StorageAnswer & { afterMs: number }> {
    const { key, url, idleMs, fetch } = this.#options;
    const deadline = startDeadline(idleMs, request.signal);
    try {
      const body = request.json === undefined ? request.bytes : JSON.stringify(request.json);
      const response = await fetch(url + request.path, {
        method: request.method ?? "GET",
        headers: {
          authorization: `Bearer ${key.reveal()}`,
          apikey: key.reveal(),
          "user-agent": `supabase-backup/${RELEASE}`,
          // Compressed on the way, an object would come without its length.
          "accept-encoding": "identity",
          ...(request.json === undefined ? {} : { "content-type": "application/json" }),
          ...request.headers,
        },
        ...(body === undefined ? {} : { body: body as BodyInit }),
        // A redirection could lead the key to a host that nobody has allowed.
        redirect: "manual",
        signal: deadline.signal,
      });
      if (response.ok) return { ok: true, response, deadline, afterMs: 0 };
      const afterMs = retryAfterMs(response);
      const refusal = await readRefusal(response);
      deadline.end();
      return { ok: false, refusal, afterMs };
    } catch (error) {
      deadline.end();
      throw error;
    }
  }

  /** At least as long as the server says, at most half a minute: longer is another worker's matter. */
  async #wait(
    attempt: number,
    { afterMs, signal }: { afterMs: number; signal: AbortSignal },
  ): Promise<void> {
    const ms = Math.max(afterMs, 200 * 2 ** attempt * (0.5 + Math.random() / 2));
    await this.#options.clock.sleep(Math.min(ms, 30_000), signal);
  }
}

function retryAfterMs(response: Answer): number {
  const seconds = Number(response.headers.get("retry-after") ?? 0);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
}

function checkAddress(address: string): void {
  const url = URL.canParse(address) ? new URL(address) : null;
  const loopback = url !== null && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  const plain = url?.username === "" && url.password === "" && url.search === "" && url.hash === "";
  // Inside a self-hosted project, containers speak plainly to names without a dot.
  const inside = url !== null && /^[a-z0-9_-]+$/.test(url.hostname);
  if (plain && (url.protocol === "https:" || (url.protocol === "http:" && (loopback || inside)))) {
    return;
  }
  throw new BackupError(
    "invalid_config",
    "Cannot reach Storage: its address is no https:// address",
    {
      hint: "It follows from SUPABASE_URL, such as https://abcdefghijklmnopqrst.supabase.co.",
    },
  );
}
