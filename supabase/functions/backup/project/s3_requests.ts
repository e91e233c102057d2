/**
 * What is asked of a bucket of S3 that files are read from.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import {
  beginningOf,
  S3Bucket,
  type S3BucketOptions,
  type S3Question,
} from "../storage/s3_bucket.ts";
import { readS3Page, type S3Page } from "../storage/s3_listing.ts";
import { countedFetch } from "./counted_fetch.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import { type Fetch, fetchAsStored } from "./direct_fetch.ts";
import type { Answer } from "./http_answer.ts";
import { headOf, type S3Head } from "./s3_head.ts";

/** Which bucket is asked. */
export interface S3RequestOptions extends S3BucketOptions {
  /** @default the runtime's */
  fetch?: Fetch;
}

/** Waiting for an answer, and for the next bytes of it. */
const ANSWER_MS = 120_000;

/** An answer on its way, which is given up when nothing comes any more. Whoever reads it ends its deadline. */
export interface S3Answer {
  response: Answer;
  deadline: Deadline;
}

/** Reads one bucket. */
export class S3Requests {
  readonly #fetch: Fetch | undefined;
  readonly #bucket: S3Bucket;

  constructor(options: S3RequestOptions) {
    this.#fetch = options.fetch;
    this.#bucket = new S3Bucket(options);
  }

  /** The answer with the object on its way. @throws {S3Refusal} for any other status than 200 and 206 */
  async get(
    name: string,
    { range, signal }: { range: string | null; signal: AbortSignal },
  ): Promise<S3Answer> {
    const headers: Record<string, string> = range === null ? {} : { range };
    return await this.#send({ method: "GET", name, headers }, signal);
  }

  /** What is known of an object. @throws {S3Refusal} as {@linkcode S3Requests.get} */
  async head(name: string, signal: AbortSignal): Promise<S3Head> {
    const { response, deadline } = await this.#send({ method: "HEAD", name }, signal);
    deadline.end();
    return headOf(response);
  }

  /** A page of the objects by name. @throws {S3Refusal} as {@linkcode S3Requests.get}; `files_refused` */
  async list(
    { prefix, after, limit }: { prefix: string; after: string | null; limit: number },
    signal: AbortSignal,
  ): Promise<S3Page> {
    const query = {
      ...{ "list-type": "2", "max-keys": String(limit), prefix },
      ...(after === null ? {} : { "start-after": after }),
    };
    const { response, deadline } = await this.#send({ method: "GET", name: "", query }, signal);
    const page = readS3Page(await response.text().finally(() => deadline.end()));
    if (page === null) throw noListing();
    return page;
  }

  async #send(question: S3Question, signal: AbortSignal): Promise<S3Answer> {
    const request = this.#bucket.requestFor(question);
    const deadline = startDeadline(ANSWER_MS, signal);
    const ask = this.#fetch ?? (question.name === "" ? fetch : fetchAsStored);
    try {
      const response = await countedFetch(ask)(request.url, {
        ...{ method: question.method, headers: request.headers },
        ...{ redirect: "manual", signal: deadline.signal },
      });
      if (response.status === 200 || response.status === 206) return { response, deadline };
      const text = await beginningOf(response.body);
      throw this.#bucket.refusalOf(response, { text, request });
    } catch (error) {
      deadline.end();
      throw error;
    }
  }
}

/** For an answer that is no listing, or was cut off. */
function noListing(): BackupError {
  return new BackupError(
    "files_refused",
    "Cannot list the objects: the server's answer is no listing of S3, or not all of one",
    { hint: "Check BACKUP_FILES_SOURCE_ENDPOINT, and what stands between here and the server." },
  );
}
