/**
 * What the refusals of Supabase Storage mean.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "../core/errors.ts";

/** An error of the client: the server answers most refusals with 400 and the true status in the body. */
export interface SupabaseRefusal extends Error {
  /** Of the answer. */
  status?: number;
  /** As the body tells it. */
  statusCode?: string;
  /** The server's word for it, such as `NoSuchKey`. */
  code?: string;
}

/** Whether the server said one of these words. */
export function isRefusal(error: unknown, ...words: string[]): boolean {
  return words.includes(wordOf(error));
}

/** The error as one of ours; what is no error of the client stays as it is. */
export function translateSupabaseError(
  error: unknown,
  { verb, bucket }: { verb: string; bucket: string },
): unknown {
  if (error instanceof BackupError) return error;
  const isOfClient = typeof error === "object" && error !== null && "__isStorageError" in error;
  if (!isOfClient && !(error instanceof TypeError)) return error;
  const { status, statusCode } = error as SupabaseRefusal;
  const [code, why, hint] = classify(Number(statusCode) || status || 0, wordOf(error));
  return new BackupError(code, `Cannot ${verb} in bucket ${bucket}: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}

const BUSY =
  /^(ResourceLocked|SlowDown|DatabaseTimeout|LockTimeout|Aborted|InternalError|DatabaseError)$/;

function classify(status: number, word: string): [ErrorCode, string, string?] {
  if (word === "NoSuchBucket") {
    return ["storage_refused", "there is no such bucket", "Create it, or correct its name."];
  }
  if (word === "NoSuchKey" || status === 404) {
    return ["storage_missing", "the bucket has no such object"];
  }
  if (word === "EntityTooLarge" || status === 413) {
    const hint = "Raise the size limit of the bucket and of the project (50 MB on the free plan).";
    return ["storage_refused", "the bucket takes no object that large", hint];
  }
  if (/Quota|Insufficient/.test(word) || status === 402 || status === 507) {
    const hint =
      "Free space or change the project's plan; a project over its limits is restricted.";
    return ["storage_full", `the project has no room (${word}, HTTP ${status})`, hint];
  }
  if (["InvalidJWT", "AccessDenied", "InvalidSignature", "ExpiredToken"].includes(word)) {
    return denied(word);
  }
  if (status === 401 || status === 403) return denied(word);
  if (word === "InvalidMimeType") {
    const hint = "Let the bucket take application/octet-stream.";
    return ["storage_refused", "the bucket does not take this type of content", hint];
  }
  if (BUSY.test(word) || [408, 409, 423, 429].includes(status) || status >= 500) {
    return ["storage_unreachable", `the server is busy or failing (${word}, HTTP ${status})`];
  }
  if (status >= 300) {
    const hint = "Check the project's address and the bucket.";
    return ["storage_refused", `the server refused (${word}, HTTP ${status})`, hint];
  }
  const hint = "Check the project's address, that it is not paused, and the network.";
  return ["storage_unreachable", `no usable answer (${word})`, hint];
}

function denied(word: string): [ErrorCode, string, string] {
  return [
    "storage_refused",
    `access denied (${word})`,
    "Check that the key is a secret key of that project, and is not deleted.",
  ];
}

function wordOf(error: unknown): string {
  const { code, name } = (error ?? {}) as SupabaseRefusal;
  return code ?? name ?? "unknown";
}
