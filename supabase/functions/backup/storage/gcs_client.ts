/**
 * Requests to Google Cloud Storage, each with a token of the account.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { isNoBucket, readGcsRefusal, translateGcsRefusal } from "./gcs_errors.ts";
import { GcsTokens, type ServiceAccount } from "./gcs_token.ts";
import { checkName } from "./names.ts";
import { send, type Sending, type Take } from "./send.ts";

/** A request and what is made of its answer. */
export interface GcsRequest<T> extends Sending {
  /** Answers that are no refusal, besides those that are well. */
  also?: number[];
  /** Whether an object that is not there is an answer; a bucket that is not there never is. */
  missing?: boolean;
  take: Take<T>;
}

/** Speaks to one bucket. */
export class GcsClient {
  readonly bucket: string;
  readonly projectId: string | null;
  /** Address of the account's buckets. */
  readonly buckets: string;
  /** Address of the bucket's objects. */
  readonly objects: string;
  /** Address that objects are sent to. */
  readonly uploads: string;
  readonly #prefix: string;
  readonly #tokens: GcsTokens;

  constructor(
    options: {
      bucket: string;
      prefix: string;
      endpoint: string | null;
      account: ServiceAccount;
      /** Whether the token has to be good for locking. */
      locks: boolean;
      clock: Clock;
    },
  ) {
    const { bucket, account, locks, clock } = options;
    this.bucket = bucket;
    this.projectId = account.projectId;
    this.#prefix = options.prefix;
    this.#tokens = new GcsTokens(account, { locks, clock });
    const origin = (options.endpoint ?? "https://storage.googleapis.com").replace(/\/+$/, "");
    const path = `storage/v1/b/${encodeURIComponent(bucket)}/o`;
    this.buckets = `${origin}/storage/v1/b`;
    this.objects = `${origin}/${path}`;
    this.uploads = `${origin}/upload/${path}`;
  }

  /** Address of one object. */
  object(name: string): string {
    return `${this.objects}/${encodeURIComponent(this.#prefix + checkName(name))}`;
  }

  /** A request with a token; a token that is not taken any more is changed once. */
  async ask<T>(
    verb: string,
    url: string,
    options: GcsRequest<T>,
  ): Promise<T> {
    const { also = [], missing = false, take, ...sending } = options;
    const { bucket } = this;
    for (let isAgain = false;; isAgain = true) {
      const token = await this.#tokens.get();
      const headers = { ...sending.headers, authorization: `Bearer ${token}` };
      const outcome = await send(url, {
        ...sending,
        ...{ headers, verb: `${verb} in bucket ${bucket}` },
        take: async (answer, heard): Promise<{ value: T } | "expired"> => {
          if (answer.ok || also.includes(answer.status)) {
            return { value: await take(answer, heard) };
          }
          const refusal = await readGcsRefusal(answer);
          if (missing && refusal.status === 404 && !isNoBucket(refusal)) {
            return { value: await take(new Response(null, { status: 404 }), heard) };
          }
          if (refusal.status === 401 && !isAgain) return "expired";
          throw translateGcsRefusal(refusal, { verb, bucket });
        },
      });
      if (outcome !== "expired") return outcome.value;
      this.#tokens.forget(token);
    }
  }
}

/** Reads nothing of an answer that says all by its status. */
export async function takeNothing(answer: Response): Promise<void> {
  await answer.body?.cancel();
}
