/**
 * What is said of one call of the Management API, and the request that follows from it.
 *
 * @module
 */
import type { z } from "zod";
import { BackupError } from "../core/errors.ts";
import { RELEASE } from "../core/release.ts";
import type { Secret } from "../core/secret.ts";

/** A call whose answer is bytes. */
export interface BytesCall {
  /** What it is for, for messages: `list the functions`. */
  to: string;
  /** The permission that a token needs for it, by the API's document: `edge_functions_read`. */
  permission: string;
  /** Values for the names in braces of the path; `ref` is known. */
  params?: Record<string, string>;
  /** A list is given as the same name again and again. */
  query?: Record<string, string | number | boolean | readonly string[]>;
  /** Media type to ask for. @default `application/json` */
  accept?: string;
  /** Bytes that an answer may have when it is taken as a whole. @default 16 MB */
  maxBytes?: number;
  /** How long to wait without a byte of an answer. @default 30 seconds */
  timeoutMs?: number;
  /** Whether what is sent or answered holds secrets: the server's words are then never quoted. */
  sensitive?: boolean;
  signal: AbortSignal;
}

/** A call whose answer is JSON. */
export interface ManagementCall<T> extends BytesCall {
  /** The fields of the answer that are used; others are ignored. An empty answer is `undefined`. */
  answer: z.ZodType<T>;
}

/** A call that changes something. At most one of the bodies. */
export interface ChangingCall<T> extends ManagementCall<T> {
  /** A body of JSON. */
  json?: unknown;
  /** A multipart body, made anew for every try. */
  form?: () => FormData;
  /** A body of another media type. */
  bytes?: { type: string; body: Uint8Array };
  /**
   * Whether doing it twice is the same as doing it once. If not, it is not repeated when it may have
   * happened. @default true, but false for `post`
   */
  repeatable?: boolean;
}

/** Methods of the API. */
export type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

/** Where a client's requests go. */
export interface Address {
  baseUrl: string;
  projectRef: string;
  token: Secret;
}

/** The address of a call. @param path a template of the API's document: `/v1/projects/{ref}/functions` */
export function callUrl(
  path: string,
  { baseUrl, projectRef }: Address,
  call: Pick<BytesCall, "params" | "query">,
): URL {
  const params: Record<string, string> = { ref: projectRef, ...call.params };
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name] ?? "";
    // A value of dots alone would climb to another path.
    if (/^\.*$/.test(value)) {
      throw new BackupError("invalid_request", `Cannot ask for ${path}: ${name} is not a name`);
    }
    return encodeURIComponent(value);
  });
  const url = new URL(baseUrl.replace(/\/$/, "") + filled);
  for (const [name, value] of Object.entries(call.query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      url.searchParams.append(name, String(one));
    }
  }
  return url;
}

/** Everything of a request but its address and signal. */
export function requestInit(
  method: Method,
  { token }: Address,
  call: BytesCall & Partial<ChangingCall<unknown>>,
): RequestInit {
  const headers = new Headers({
    authorization: `Bearer ${token.reveal()}`,
    accept: call.accept ?? "application/json",
    "user-agent": `supabase-backup/${RELEASE}`,
  });
  let body: BodyInit | null = null;
  if (call.json !== undefined) {
    headers.set("content-type", "application/json");
    body = JSON.stringify(call.json);
  } else if (call.form !== undefined) {
    body = call.form();
  } else if (call.bytes !== undefined) {
    headers.set("content-type", call.bytes.type);
    body = call.bytes.body as BodyInit;
  }
  // A redirection could lead the token to a host that nobody has allowed.
  return { method, headers, body, redirect: "manual" };
}

/** @throws `invalid_config` for an address over which a token must not go, and for what is no token */
export function checkAddress({ baseUrl, token }: Address): void {
  if (!/^[\x21-\x7e]+$/.test(token.reveal())) {
    throw new BackupError(
      "invalid_config",
      "Cannot use BACKUP_MANAGEMENT_TOKEN: it holds characters that no token has",
      { hint: "Set it again without quotes, spaces and line ends." },
    );
  }
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : null;
  const loopback = url !== null && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  const plain = url?.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (plain && (url.protocol === "https:" || (url.protocol === "http:" && loopback))) return;
  throw new BackupError("invalid_config", "Cannot use BACKUP_MANAGEMENT_URL: no https:// address", {
    hint: "Leave it out for https://api.supabase.com.",
  });
}
