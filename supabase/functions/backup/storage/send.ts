/**
 * One request of a storage that is spoken to by plain HTTP, and its answer.
 *
 * @module
 */
import { concat } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import { refuseOversized } from "./oversized.ts";

/** After this time without an answer, or without more of it, a request is given up. */
const TIMEOUT_MS = 120_000;

/** What is sent. */
export interface Sending {
  method?: string;
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  signal?: AbortSignal | undefined;
  /** Milliseconds. @default 120_000 */
  timeoutMs?: number;
}

/** Reads an answer's body or cancels it. `heard` is called when some of it has come: waiting begins anew. */
export type Take<T> = (answer: Response, heard: () => void) => Promise<T>;

/**
 * Sends a request and hands its answer to `take`. A redirection is an answer like any other: where a request
 * goes is what the settings say.
 *
 * @param verb for messages: `store chunks/ab`
 * @throws `storage_unreachable` when no answer came or it broke off, and what `take` throws
 */
export async function send<T>(
  url: string,
  options: Sending & { verb: string; take: Take<T> },
): Promise<T> {
  const { method = "GET", headers = {}, body, signal, timeoutMs = TIMEOUT_MS, verb, take } =
    options;
  signal?.throwIfAborted();
  const ending = new AbortController();
  const giveUp = () =>
    ending.abort(unreachable(verb, `nothing came for ${timeoutMs / 1000} seconds`));
  let timer = setTimeout(giveUp, timeoutMs);
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, timeoutMs);
  };
  const onAbort = () => ending.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    const answer = await fetch(url, {
      ...{ method, headers, redirect: "manual", signal: ending.signal },
      ...(body === undefined ? {} : { body: body as BodyInit }),
    });
    heard();
    return await take(answer, heard);
  } catch (error) {
    if (ending.signal.aborted) throw ending.signal.reason;
    if (error instanceof BackupError) throw error;
    throw unreachable(verb, "no usable answer", error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** The body, counted while it comes: a server does not have to say beforehand how long it is. */
export async function readBytes(
  answer: Response,
  { name, maxBytes, heard }: {
    name: string;
    maxBytes: number | undefined;
    heard?: () => void;
  },
): Promise<Uint8Array> {
  const told = Number(answer.headers.get("content-length") ?? NaN);
  if (answer.body === null) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    if (told > 0) refuseOversized(name, told, maxBytes);
    for await (const part of answer.body.values({ preventCancel: true })) {
      heard?.();
      length += part.length;
      refuseOversized(name, length, maxBytes);
      parts.push(part);
    }
  } catch (error) {
    await answer.body.cancel().catch(() => {}); // the first error says more
    throw error;
  }
  if (Number.isFinite(told) && told !== length) {
    throw unreachable(`read ${name}`, `${length} of ${told} bytes came`);
  }
  return parts.length === 1 ? parts[0]! : concat(parts);
}

/** An answer's JSON. @throws `storage_unreachable` when it is none, as from a proxy in between */
export async function readJson<T>(answer: Response, verb: string): Promise<T> {
  const text = await answer.text();
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw unreachable(verb, `the answer is not JSON (HTTP ${answer.status})`, cause);
  }
}

function unreachable(verb: string, why: string, cause?: unknown): BackupError {
  return new BackupError("storage_unreachable", `Cannot ${verb}: ${why}`, {
    hint: "Check the endpoint and the network between here and it.",
    ...(cause === undefined ? {} : { cause }),
  });
}
