/**
 * A client of Supabase's Management API: a pace within its limits, bounded retries, answers that are
 * checked, errors that say what to do.
 *
 * @module
 */
import { concat, fromUtf8 } from "../core/bytes.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import type { Secret } from "../core/secret.ts";
import {
  type BytesCall,
  type ChangingCall,
  checkAddress,
  type ManagementCall,
} from "./management_call.ts";
import { type Asked, chunksOf, type Reading, Transport } from "./management_transport.ts";
import { type PaceLimit, RequestPace, type SharedPace } from "./request_pace.ts";

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
  /** What keeps other workers to the same limit. @default nothing */
  sharedPace?: SharedPace;
  /** Tries of one call, in all. @default 5 */
  tries?: number;
  /** Waiting between the tries of one call, in all. @default 90 seconds */
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
  const { baseUrl = "https://api.supabase.com", projectRef, token } = options;
  const { clock = systemClock, limit = { requests: 60, windowMs: 60_000 } } = options;
  const address = { baseUrl, projectRef, token };
  checkAddress(address);
  const transport = new Transport({
    ...{ address, clock, pace: new RequestPace(limit, clock, options.sharedPace) },
    fetch: options.fetch ?? fetch,
    tries: options.tries ?? 5,
    patienceMs: options.patienceMs ?? 90_000,
  });
  const ask = (method: Asked["method"]) => <T>(path: string, call: ChangingCall<T>) =>
    askForJson(transport, { method, path, call });
  return {
    projectRef,
    get: ask("GET"),
    post: ask("POST"),
    patch: ask("PATCH"),
    put: ask("PUT"),
    delete: ask("DELETE"),
    bytes: (path, call) => askForBytes(transport, { method: "GET", path, call }),
    download: (path, call) => transport.send({ method: "GET", path, call }, openStream),
  };
}

async function askForJson<T>(
  transport: Transport,
  asked: Asked & { call: ChangingCall<T> },
): Promise<T> {
  const { body } = await askForBytes(transport, asked);
  let parsed: unknown;
  try {
    parsed = body.length === 0 ? undefined : JSON.parse(fromUtf8(body));
  } catch {
    throw transport.malformed(asked, "the answer is not JSON"); // the parser would quote it
  }
  const checked = asked.call.answer.safeParse(parsed);
  if (checked.success) return checked.data;
  const places = checked.error.issues.map((issue) => issue.path.join(".") || "the whole");
  throw transport.malformed(
    asked,
    `the answer is not as documented at ${[...new Set(places)].slice(0, 5).join(", ")}`,
  );
}

const MEGABYTE = 1024 * 1024;

function askForBytes(transport: Transport, asked: Asked): Promise<BytesAnswer> {
  const { maxBytes = 16 * MEGABYTE } = asked.call;
  return transport.send(asked, async (reading) => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for (let chunk = await reading.next(); chunk; chunk = await reading.next()) {
      length += chunk.length;
      if (length > maxBytes) {
        throw transport.malformed(asked, `the answer is longer than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
    reading.end();
    return { contentType: reading.contentType, body: concat(chunks) };
  });
}

function openStream(reading: Reading): Promise<StreamAnswer> {
  return Promise.resolve({ contentType: reading.contentType, body: chunksOf(reading) });
}
