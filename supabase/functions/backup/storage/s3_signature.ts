/**
 * Signatures of requests to S3, version 4, made on the spot: Web Crypto waits for another thread three times a
 * request, which costs more than all the rest of reading a small object.
 *
 * @module
 */
import { toHex, utf8 } from "../core/bytes.ts";
import type { Hashing } from "../core/hashing.ts";
import type { S3Access } from "./s3_bucket.ts";

/** SHA-256 of nothing: what a request without a body says of it. */
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const ALGORITHM = "AWS4-HMAC-SHA256";

/** What is signed. */
export interface UnsignedRequest {
  method: "GET" | "HEAD" | "PUT" | "DELETE";
  host: string;
  /** As {@linkcode encodeStrictly} writes it, and so the query. */
  path: string;
  /** Without the sign in front; empty for none. */
  query: string;
  /** Names in lower case, values without blanks around them. */
  headers: Record<string, string>;
  body: Uint8Array | undefined;
  time: Date;
}

type SignerOptions = Pick<S3Access, "region" | "credentials"> & { hashing: Hashing };

/** Signs for one region with one pair of keys. */
export class S3Signer {
  readonly #options: SignerOptions;
  /** Holds for a day. */
  #key: { scope: string; bytes: Uint8Array } | undefined;

  constructor(options: SignerOptions) {
    this.#options = options;
  }

  /** The request's headers with those that make it a signed one. */
  sign(
    { method, host, path, query, headers: own, body, time }: UnsignedRequest,
  ): Record<string, string> {
    const { region, credentials: { accessKeyId, sessionToken }, hashing } = this.#options;
    const date = time.toISOString().replace(/[:-]|\.\d{3}/g, "");
    const digest = body === undefined ? EMPTY : hashing.sha256(body);
    const headers: Record<string, string> = {
      ...own,
      "x-amz-content-sha256": digest,
      "x-amz-date": date,
      ...(sessionToken === null ? {} : { "x-amz-security-token": sessionToken.reveal().trim() }),
    };
    const signed = Object.entries({ ...headers, host }).sort(([a], [b]) => a < b ? -1 : 1);
    const names = signed.map(([name]) => name).join(";");
    const lines = signed.map(([name, value]) => `${name}:${value}\n`).join("");
    const request = [method, path, inOrder(query), lines, names, digest].join("\n");
    const scope = `${date.slice(0, 8)}/${region}/s3/aws4_request`;
    const text = [ALGORITHM, date, scope, hashing.sha256(utf8(request))].join("\n");
    const signature = toHex(hashing.hmacSha256(this.#keyOf(scope), utf8(text)));
    headers.authorization =
      `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
    return headers;
  }

  #keyOf(scope: string): Uint8Array {
    if (this.#key?.scope === scope) return this.#key.bytes;
    const { credentials: { secretAccessKey }, hashing } = this.#options;
    const bytes = scope.split("/").reduce(
      (key, part) => hashing.hmacSha256(key, utf8(part)),
      utf8(`AWS4${secretAccessKey.reveal()}`),
    );
    this.#key = { scope, bytes };
    return bytes;
  }
}

/** As signatures want paths and queries: the browsers' encoding leaves some signs as they are. */
export function encodeStrictly(text: string): string {
  return encodeURIComponent(text)
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function inOrder(query: string): string {
  return query.split("&").sort().join("&");
}
