/**
 * Reading objects of S3 by requests that are signed without the large client: most of what a small object
 * costs there is the client's own work. All that is rarer than reading stays with the client.
 *
 * @module
 */
import { AwsV4Signer } from "aws4fetch";
import { createHash, createHmac } from "node:crypto";
import { type Clock, systemClock } from "../core/clock.ts";
import type { S3ClientOptions } from "../storage/s3_client.ts";
import { startDeadline } from "./deadline.ts";

/** Which bucket is asked. */
export interface S3RequestOptions extends S3ClientOptions {
  bucket: string;
  /** @default the machine's */
  clock?: Clock;
}

/** Waiting for an answer, and for the next bytes of it. */
const ANSWER_MS = 120_000;

/** SHA-256 of nothing: what a request without a body says of it. */
const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/** A server's clock that is off by more makes it refuse what this machine's says. */
const MOST_SKEW_MS = 240_000;

/** A refusal, in the shape that the client's own have. */
export class S3Refusal extends Error {
  override readonly name: string;
  readonly $metadata: { httpStatusCode: number; clockSkewCorrected: boolean };
  readonly $response: { headers: Record<string, string> };

  constructor(response: Response, { text, isOfAnotherTime }: {
    text: string;
    isOfAnotherTime: boolean;
  }) {
    super(textOf(text, "Message") ?? `HTTP ${response.status}`);
    this.name = textOf(text, "Code") ?? "unknown";
    this.$metadata = { httpStatusCode: response.status, clockSkewCorrected: isOfAnotherTime };
    this.$response = { headers: Object.fromEntries(response.headers) };
  }
}

/** Keys for signing, by what they are made of; each holds for a day. */
type SigningKeys = Map<string, Uint8Array>;

/**
 * Signs on the spot: the library's way through Web Crypto waits for another thread three times a request,
 * which costs more than all the rest of reading a small object.
 */
class Signer extends AwsV4Signer {
  readonly #keys: SigningKeys;

  constructor(options: ConstructorParameters<typeof AwsV4Signer>[0], keys: SigningKeys) {
    super(options);
    this.#keys = keys;
  }

  override async signature(): Promise<string> {
    const { datetime, credentialString } = this;
    const canonical = createHash("sha256").update(await this.canonicalString()).digest("hex");
    const text = ["AWS4-HMAC-SHA256", datetime, credentialString, canonical].join("\n");
    return createHmac("sha256", this.#key()).update(text).digest("hex");
  }

  #key(): Uint8Array {
    const known = this.#keys.get(this.credentialString);
    if (known !== undefined) return known;
    const key = this.credentialString.split("/").reduce<string | Uint8Array>(
      (key, part) => createHmac("sha256", key).update(part).digest(),
      `AWS4${this.secretAccessKey}`,
    ) as Uint8Array;
    this.#keys.clear();
    this.#keys.set(this.credentialString, key);
    return key;
  }
}

/** Reads objects of one bucket. */
export class S3Requests {
  readonly #options: S3RequestOptions;
  readonly #keys: SigningKeys = new Map();
  #skewMs = 0;

  constructor(options: S3RequestOptions) {
    this.#options = options;
  }

  /** The answer with the object on its way, which is given up when nothing comes any more. @throws {S3Refusal} for any other status than 200 and 206 */
  async get(name: string, { range, signal }: { range: string | null; signal: AbortSignal }) {
    const { region, credentials, clock = systemClock } = this.#options;
    const { accessKeyId, secretAccessKey, sessionToken } = credentials;
    const signer = new Signer({
      ...{ method: "GET", url: this.#address(name), service: "s3", region, accessKeyId },
      secretAccessKey: secretAccessKey.reveal(),
      ...(sessionToken === null ? {} : { sessionToken: sessionToken.reveal() }),
      headers: { "x-amz-content-sha256": EMPTY, ...(range === null ? {} : { range }) },
      datetime: new Date(clock.now().getTime() + this.#skewMs).toISOString()
        .replace(/[:-]|\.\d{3}/g, ""),
    }, this.#keys);
    const { url, headers } = await signer.sign();
    // Set after signing, since proxies may change it: bytes are wanted as they are.
    headers.set("accept-encoding", "identity");
    const deadline = startDeadline(ANSWER_MS, signal);
    const response = await fetch(url, { headers, redirect: "manual", signal: deadline.signal })
      .catch((error) => {
        deadline.end();
        throw error;
      });
    if (response.status === 200 || response.status === 206) return { response, deadline };
    const text = await response.text().finally(() => deadline.end());
    throw new S3Refusal(response, { text, isOfAnotherTime: this.#learnTime(response, text) });
  }

  /** Takes over the server's clock where that was why it refused. */
  #learnTime({ status, headers }: Response, text: string): boolean {
    const { clock = systemClock } = this.#options;
    const skewMs = Date.parse(headers.get("date") ?? "") - clock.now().getTime();
    const isOff = Math.abs(skewMs - this.#skewMs) > MOST_SKEW_MS;
    const isRefusal = textOf(text, "Code") === "RequestTimeTooSkewed" || status === 403;
    if (!isOff || !isRefusal) return false;
    this.#skewMs = skewMs;
    return true;
  }

  #address(name: string): string {
    const { bucket, endpoint, pathStyle, region } = this.#options;
    const domain = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
    const server = new URL(endpoint ?? `https://s3.${region}.${domain}`);
    // Certificates of Amazon's do not cover names with dots in front of their own.
    const inPath = pathStyle || (server.protocol === "https:" && bucket.includes("."));
    if (!inPath) server.hostname = `${bucket}.${server.hostname}`;
    const base = server.href.replace(/\/$/, "") + (inPath ? `/${bucket}` : "");
    return `${base}/${name.split("/").map((part) => encodeURIComponent(part)).join("/")}`;
  }
}

function textOf(xml: string, element: string): string | null {
  return new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1] ?? null;
}
