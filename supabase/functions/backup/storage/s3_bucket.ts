/**
 * A bucket of S3 as a request sees it, without the large client: where it is, the signature that it wants, and
 * what its refusals say. Of what a small request costs, most would be the client's own work, and so would be
 * most of a start.
 *
 * @module
 */
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { type Hashing, runtimeHashing } from "../core/hashing.ts";
import type { Secret } from "../core/secret.ts";
import { amazonEndpoint, canBeHost, isRegion, isSpecialBucket } from "./s3_names.ts";
import { encodeStrictly, S3Signer, type UnsignedRequest } from "./s3_signature.ts";
import { textOf } from "./s3_xml.ts";

/** Where the server is and how to enter. */
export interface S3Access {
  region: string;
  /** Address of a server other than Amazon's; null for Amazon's. */
  endpoint: string | null;
  /** Bucket in the path instead of the host name; most other servers want it. */
  pathStyle: boolean;
  credentials: { accessKeyId: string; secretAccessKey: Secret; sessionToken: Secret | null };
}

/** Which bucket is asked. */
export interface S3BucketOptions extends S3Access {
  bucket: string;
  /** @default the machine's */
  clock?: Clock | undefined;
  /** @default the runtime's */
  hashing?: Hashing | undefined;
}

/** What is asked of a bucket. */
export interface S3Question {
  method: UnsignedRequest["method"];
  /** Of an object; empty for the bucket itself. */
  name: string;
  query?: Record<string, string>;
  /** Names in lower case. All of them are signed. */
  headers?: Record<string, string>;
  body?: Uint8Array;
}

/** A server's clock that is off by more makes it refuse what this machine's says. */
const MOST_SKEW_MS = 240_000;

/** A request that can be sent. */
export interface SignedRequest {
  url: string;
  headers: Record<string, string>;
  /** The time that it says it was made at. */
  time: Date;
}

/** A refusal, in the shape that the large client's own have. */
export class S3Refusal extends Error {
  override readonly name: string;
  readonly $metadata: { httpStatusCode: number; clockSkewCorrected: boolean };
  readonly $response: { headers: Record<string, string> };
  /** Where the bucket is, if the server says so. */
  readonly Region: string | undefined;

  constructor(answer: RefusingAnswer, { text, isOfAnotherTime }: {
    text: string;
    isOfAnotherTime: boolean;
  }) {
    super(textOf(text, "Message") ?? `HTTP ${answer.status}`);
    this.name = textOf(text, "Code") ?? "unknown";
    this.$metadata = { httpStatusCode: answer.status, clockSkewCorrected: isOfAnotherTime };
    this.$response = { headers: Object.fromEntries(answer.headers) };
    this.Region = textOf(text, "Region") ?? undefined;
  }
}

/** What is looked at of an answer that refuses. */
interface RefusingAnswer {
  status: number;
  /** Names in lower case. */
  headers: { get(name: string): string | null } & Iterable<[string, string]>;
}

/** See the module. */
export class S3Bucket {
  readonly #clock: Clock;
  readonly #signer: S3Signer;
  readonly #place: Place;
  #skewMs = 0;

  constructor(options: S3BucketOptions) {
    const { clock = systemClock, hashing = runtimeHashing } = options;
    this.#clock = clock;
    this.#signer = new S3Signer({ ...options, hashing });
    this.#place = placeOf(options);
  }

  /** Address and headers of a request, signed for this moment. */
  requestFor({ method, name, query = {}, headers = {}, body }: S3Question): SignedRequest {
    const { origin, host } = this.#place;
    const path = `${this.#place.path}/${name.split("/").map(encodeStrictly).join("/")}`;
    const search = Object.entries(query)
      .map(([name, value]) => `${name}=${encodeStrictly(value)}`).join("&");
    const time = new Date(this.#clock.now().getTime() + this.#skewMs);
    return {
      ...{ url: `${origin}${path}${search === "" ? "" : `?${search}`}`, time },
      headers: {
        ...this.#signer.sign({ method, host, path, query: search, headers, body, time }),
        // Proxies may change it, so that it is not signed: bytes are wanted as they are.
        "accept-encoding": "identity",
      },
    };
  }

  /** The refusal that an answer is; where the clock was its reason, later requests go by the server's. */
  refusalOf(
    answer: RefusingAnswer,
    { text, request }: { text: string; request: SignedRequest },
  ): S3Refusal {
    return new S3Refusal(answer, { text, isOfAnotherTime: this.#learnTime(answer, text, request) });
  }

  /** Several requests may be on their way with the old time: what counts is the one that this answers. */
  #learnTime(
    { status, headers }: RefusingAnswer,
    text: string,
    { time }: SignedRequest,
  ): boolean {
    const there = Date.parse(headers.get("date") ?? "");
    const isOff = Math.abs(there - time.getTime()) > MOST_SKEW_MS;
    const isRefusal = textOf(text, "Code") === "RequestTimeTooSkewed" || status === 403;
    if (!isOff || !isRefusal) return false;
    this.#skewMs = there - this.#clock.now().getTime();
    return true;
  }
}

/** What is read of a refusal. */
const REFUSAL_BYTES = 4096;

/** The beginning of a refusal's text, which is short, whatever stands in for a server. */
export async function beginningOf(body: AsyncIterable<Uint8Array> | null): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of body ?? []) {
    text += decoder.decode(piece.subarray(0, REFUSAL_BYTES), { stream: true });
    if (text.length >= REFUSAL_BYTES) break;
  }
  return text.slice(0, REFUSAL_BYTES);
}

/** Where a bucket is. */
interface Place {
  origin: string;
  host: string;
  /** In front of the names of objects. */
  path: string;
}

/** @throws `invalid_config` for a region or a bucket that would lead elsewhere */
function placeOf({ bucket, endpoint, pathStyle, region }: S3BucketOptions): Place {
  if (!isRegion(region)) {
    const hint = "A region's name has letters, digits and dashes, as eu-central-1.";
    throw new BackupError("invalid_config", "Cannot use the region: it has another form", { hint });
  }
  if (endpoint === null && isSpecialBucket(bucket)) {
    const hint = "Directory buckets, Outposts and their access points are not supported.";
    throw new BackupError("invalid_config", `Cannot use ${bucket}: it is no usual bucket`, {
      hint,
    });
  }
  const server = new URL(endpoint ?? amazonEndpoint(region));
  if (!pathStyle && canBeHost(bucket, server)) server.hostname = `${bucket}.${server.hostname}`;
  else server.pathname = `${server.pathname.replace(/\/$/, "")}/${bucket}`;
  const { origin, host, pathname } = server;
  return { origin, host, path: pathname.replace(/\/$/, "") };
}
