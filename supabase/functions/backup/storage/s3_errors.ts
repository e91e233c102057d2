/**
 * What an S3 server's refusals mean.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "../core/errors.ts";

/** HTTP status of an error of the S3 client, 0 when there was no answer. */
export function statusOf(error: unknown): number {
  const metadata = (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata;
  return metadata?.httpStatusCode ?? 0;
}

/** Whether a conditional put found an object of that name. */
export function isPreconditionFailed(error: unknown): boolean {
  return statusOf(error) === 412;
}

/** Whether the server does not know what was asked of it, such as a conditional put. */
export function isUnsupported(error: unknown): boolean {
  return statusOf(error) === 501 || nameOf(error) === "NotImplemented";
}

/** The error as one of ours. */
export function translateS3Error(
  error: unknown,
  { verb, bucket }: { verb: string; bucket: string },
): BackupError {
  if (error instanceof BackupError) return error;
  const [code, why, hint] = isOfAnotherTime(error)
    ? OTHER_TIME
    : special(error) ?? classify(statusOf(error), nameOf(error));
  return new BackupError(code, `Cannot ${verb} in bucket ${bucket}: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}

/** Asked again, the client signs by the server's clock, which it has learned from the refusal. */
const OTHER_TIME: [ErrorCode, string, string] = [
  "storage_unreachable",
  "this machine's clock and the server's differ too much",
  "Set the clock of this machine.",
];

function isOfAnotherTime(error: unknown): boolean {
  const { $metadata } = (error ?? {}) as { $metadata?: { clockSkewCorrected?: boolean } };
  return $metadata?.clockSkewCorrected === true || nameOf(error) === "RequestTimeTooSkewed";
}

/** Refusals of which more is known than their status tells. */
function special(error: unknown): [ErrorCode, string, string] | null {
  const name = nameOf(error);
  const message = error instanceof Error ? error.message : "";
  if (/^(ExpiredToken|TokenRefreshRequired|InvalidToken)$/.test(name)) {
    const hint = "Make new credentials: a session's token ends after some hours.";
    return ["storage_refused", `the credentials have ended (${name})`, hint];
  }
  if (/ObjectLockConfiguration/.test(name) || /Object ?Lock Configuration/i.test(message)) {
    const hint =
      "Object lock is switched on for a bucket, with versioning, before it is used here.";
    return ["storage_refused", "the bucket has no object lock", hint];
  }
  if (name === "InvalidObjectState") {
    const hint = "Restore the object from its cold class first, or use another copy.";
    return ["storage_refused", "the object is in an archive class", hint];
  }
  if (statusOf(error) === 403 && /object lock|WORM|retention|legal hold/i.test(message)) {
    const hint = "Wait until its lock ends, or take the legal hold away.";
    return ["storage_refused", "a lock keeps the object", hint];
  }
  const region = regionOf(error, message);
  if (/^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint)/.test(name)) {
    const hint = region === null
      ? "Set the region of the bucket (BACKUP_STORAGE_REGION)."
      : `The bucket is in ${region}: set BACKUP_STORAGE_REGION to it.`;
    return ["storage_refused", `the bucket is in another region (${name})`, hint];
  }
  return null;
}

/** The region that a server names in its refusal. */
function regionOf(error: unknown, message: string): string | null {
  const { Region, $response } = (error ?? {}) as {
    Region?: string;
    $response?: { headers?: Record<string, string> };
  };
  return Region ?? $response?.headers?.["x-amz-bucket-region"] ??
    /expecting '([a-z0-9-]+)'/.exec(message)?.[1] ?? null;
}

function classify(status: number, name: string): [ErrorCode, string, string?] {
  if (name === "NoSuchBucket") {
    return [
      "storage_refused",
      "there is no such bucket",
      "Create the bucket, or correct its name.",
    ];
  }
  if (name === "NoSuchKey" || name === "NotFound" || status === 404) {
    return ["storage_missing", "the bucket has no such object"];
  }
  if (/Quota|StorageFull|EntityTooLarge|InsufficientStorage/.test(name) || status === 507) {
    return ["storage_full", `the bucket has no room (${name})`, "Free space or raise the quota."];
  }
  if (status === 401 || status === 403) {
    const hint = "Check the access key, and that it may read, write and list this bucket.";
    return ["storage_refused", `access denied (${name})`, hint];
  }
  if (status === 409 || status === 429 || status >= 500 && status !== 501) {
    return ["storage_unreachable", `the server is busy or failing (${name}, HTTP ${status})`];
  }
  if (/RequestTimeout|SlowDown|Throttl/.test(name)) {
    return ["storage_unreachable", `the server asks for patience (${name})`];
  }
  if (status >= 300 && status < 400) {
    const hint = "Check the region and the endpoint: the bucket is somewhere else.";
    return ["storage_refused", `the server sends to another place (${name}, HTTP ${status})`, hint];
  }
  if (status >= 300) {
    const hint = "Check endpoint, region and path style of the storage address.";
    return ["storage_refused", `the server refused (${name}, HTTP ${status})`, hint];
  }
  const hint = "Check the endpoint and the network between here and it.";
  return ["storage_unreachable", `no usable answer (${name})`, hint];
}

function nameOf(error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: string; code?: string };
  return code ?? name ?? "unknown";
}
