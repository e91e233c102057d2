/**
 * How the stand-in for Supabase Storage refuses.
 *
 * @module
 */

/** A refusal as the real server makes it. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly error = code,
  ) {
    super(message);
  }

  /** @param plain as resumable uploads refuse: real status and text */
  response(plain: boolean): Response {
    const body = { statusCode: `${this.status}`, error: this.error, message: this.message };
    const text = JSON.stringify({ ...body, code: this.code });
    if (plain) return new Response(this.message, { status: this.status });
    const status = this.status === 500 ? 500 : this.status === 416 ? 416 : 400;
    return new Response(text, { status, headers: { "content-type": "application/json" } });
  }
}

export const NO_BUCKET = () =>
  new Refusal(404, "NoSuchBucket", "Bucket not found", "Bucket not found");
export const NO_KEY = () => new Refusal(404, "NoSuchKey", "Object not found", "not_found");
export const DUPLICATE = () =>
  new Refusal(409, "KeyAlreadyExists", "The resource already exists", "Duplicate");

/** Largest object in one request and at all. */
export const LIMITS = { standard: 50 << 20, all: 6 * 1024 ** 3 };
