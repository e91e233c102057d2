/**
 * What is asked of a bucket of S3 that files are read from, by requests that are signed without the large
 * client: most of what a small object costs there is the client's own work, and so is most of a start.
 *
 * @module
 */
import { concat } from "../core/bytes.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { type Hashing, runtimeHashing } from "../core/hashing.ts";
import type { S3ClientOptions } from "../storage/s3_client.ts";
import { countedFetch } from "./counted_fetch.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import { type Fetch, fetchAsStored } from "./direct_fetch.ts";
import type { Answer } from "./http_answer.ts";
import { headOf, type S3Head } from "./s3_head.ts";
import { readS3Page, type S3Page, textOf } from "./s3_listing.ts";
import { encodeStrictly, S3Signer } from "./s3_signature.ts";

/** Which bucket is asked. */
export interface S3RequestOptions extends S3ClientOptions {
  bucket: string;
  /** @default the machine's */
  clock?: Clock;
  /** @default the runtime's */
  fetch?: Fetch;
  /** @default the runtime's */
  hashing?: Hashing;
}

/** Waiting for an answer, and for the next bytes of it. */
const ANSWER_MS = 120_000;

/** What is read of a refusal. */
const REFUSAL_BYTES = 4096;

/** A server's clock that is off by more makes it refuse what this machine's says. */
const MOST_SKEW_MS = 240_000;

/** A refusal, in the shape that the client's own have. */
export class S3Refusal extends Error {
  override readonly name: string;
  readonly $metadata: { httpStatusCode: number; clockSkewCorrected: boolean };
  readonly $response: { headers: Record<string, string> };

  constructor(response: Answer, { text, isOfAnotherTime }: {
    text: string;
    isOfAnotherTime: boolean;
  }) {
    super(textOf(text, "Message") ?? `HTTP ${response.status}`);
    this.name = textOf(text, "Code") ?? "unknown";
    this.$metadata = { httpStatusCode: response.status, clockSkewCorrected: isOfAnotherTime };
    this.$response = { headers: Object.fromEntries(response.headers) };
  }
}

/** An answer on its way, which is given up when nothing comes any more. Whoever reads it ends its deadline. */
export interface S3Answer {
  response: Answer;
  deadline: Deadline;
}

/** Reads one bucket. */
export class S3Requests {
  readonly #options: S3RequestOptions;
  readonly #signer: S3Signer;
  readonly #place: Place;
  #skewMs = 0;

  constructor(options: S3RequestOptions) {
    this.#options = options;
    this.#signer = new S3Signer({ hashing: runtimeHashing, ...options });
    this.#place = placeOf(options);
  }

  /** The answer with the object on its way. @throws {S3Refusal} for any other status than 200 and 206 */
  async get(
    name: string,
    { range, signal }: { range: string | null; signal: AbortSignal },
  ): Promise<S3Answer> {
    const headers: Record<string, string> = range === null ? {} : { range };
    return await this.#send({ method: "GET", name }, { headers, signal });
  }

  /** What is known of an object. @throws {S3Refusal} as {@linkcode S3Requests.get} */
  async head(name: string, signal: AbortSignal): Promise<S3Head> {
    const { response, deadline } = await this.#send({ method: "HEAD", name }, { signal });
    deadline.end();
    return headOf(response);
  }

  /** A page of the objects by name. @throws {S3Refusal} as {@linkcode S3Requests.get}; `files_refused` */
  async list(
    query: { prefix: string; after: string | null; limit: number },
    signal: AbortSignal,
  ): Promise<S3Page> {
    const { prefix, after, limit } = query;
    const parameters: Record<string, string> = {
      ...{ "list-type": "2", "max-keys": String(limit), prefix },
      ...(after === null ? {} : { "start-after": after }),
    };
    const search = Object.entries(parameters)
      .map(([name, value]) => `${name}=${encodeStrictly(value)}`).join("&");
    const asked = { method: "GET", name: "", query: search } as const;
    const { response, deadline } = await this.#send(asked, { signal });
    const page = readS3Page(await response.text().finally(() => deadline.end()));
    if (page === null) throw noListing();
    return page;
  }

  async #send(
    { method, name, query = "" }: { method: "GET" | "HEAD"; name: string; query?: string },
    { headers = {}, signal }: { headers?: Record<string, string>; signal: AbortSignal },
  ): Promise<S3Answer> {
    const { clock = systemClock } = this.#options;
    const time = new Date(clock.now().getTime() + this.#skewMs);
    const { origin, host } = this.#place;
    const path = `${this.#place.path}/${name.split("/").map(encodeStrictly).join("/")}`;
    const deadline = startDeadline(ANSWER_MS, signal);
    const init = {
      method,
      headers: {
        ...headers,
        ...this.#signer.sign({ method, host, path, query, time }),
        // Proxies may change it, so that it is not signed: bytes are wanted as they are.
        "accept-encoding": "identity",
      },
      redirect: "manual" as const,
      signal: deadline.signal,
    };
    const isObject = query === "";
    const { fetch: own = isObject ? fetchAsStored : fetch } = this.#options;
    try {
      const url = `${origin}${path}${isObject ? "" : `?${query}`}`;
      const response = await countedFetch(own)(url, init);
      if (response.status === 200 || response.status === 206) return { response, deadline };
      const text = await beginningOf(response);
      throw new S3Refusal(response, { text, isOfAnotherTime: this.#learnTime(response, text) });
    } catch (error) {
      deadline.end();
      throw error;
    }
  }

  /** Takes over the server's clock where that was why it refused. */
  #learnTime({ status, headers }: Answer, text: string): boolean {
    const { clock = systemClock } = this.#options;
    const skewMs = Date.parse(headers.get("date") ?? "") - clock.now().getTime();
    const isOff = Math.abs(skewMs - this.#skewMs) > MOST_SKEW_MS;
    const isRefusal = textOf(text, "Code") === "RequestTimeTooSkewed" || status === 403;
    if (!isOff || !isRefusal) return false;
    this.#skewMs = skewMs;
    return true;
  }
}

/** Of a refusal, which is short, whatever stands in for a server. */
async function beginningOf({ body }: Answer): Promise<string> {
  let beginning = new Uint8Array();
  for await (const piece of body ?? []) {
    beginning = concat([beginning, piece.subarray(0, REFUSAL_BYTES - beginning.length)]);
    if (beginning.length === REFUSAL_BYTES) break;
  }
  return new TextDecoder().decode(beginning);
}

/** For an answer that is no listing, or was cut off. */
function noListing(): BackupError {
  return new BackupError(
    "files_refused",
    "Cannot list the objects: the server's answer is no listing of S3, or not all of one",
    { hint: "Check BACKUP_FILES_SOURCE_ENDPOINT, and what stands between here and the server." },
  );
}

/** Where a bucket is. */
interface Place {
  origin: string;
  host: string;
  /** In front of the names of objects. */
  path: string;
}

function placeOf({ bucket, endpoint, pathStyle, region }: S3RequestOptions): Place {
  const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
  const server = new URL(endpoint ?? `https://s3.${region}.${domain}`);
  // Certificates of Amazon's do not cover names with dots in front of their own.
  const inPath = pathStyle || (server.protocol === "https:" && bucket.includes("."));
  if (!inPath) server.hostname = `${bucket}.${server.hostname}`;
  const { origin, host, pathname } = server;
  return { origin, host, path: pathname.replace(/\/$/, "") + (inPath ? `/${bucket}` : "") };
}
