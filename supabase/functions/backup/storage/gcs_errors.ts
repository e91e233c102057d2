/**
 * What the refusals of Google Cloud Storage mean.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "../core/errors.ts";

/** A refusal as the server words it. */
export interface GcsRefusal {
  status: number;
  /** Of the first error of the list, such as `notFound`. */
  reason: string;
  message: string;
}

/** Reads a refusal; a body that is none of Google's has its status for a reason. */
export async function readGcsRefusal(answer: Response): Promise<GcsRefusal> {
  const { status } = answer;
  const text = await answer.text().catch(() => "");
  try {
    const { error } = JSON.parse(text) as {
      error?: { message?: string; errors?: { reason?: string }[] };
    };
    const reason = error?.errors?.[0]?.reason ?? `HTTP ${status}`;
    return { status, reason, message: error?.message ?? "" };
  } catch {
    return { status, reason: `HTTP ${status}`, message: text.slice(0, 200) };
  }
}

/** The refusal as one of our errors. */
export function translateGcsRefusal(
  refusal: GcsRefusal,
  { verb, bucket }: { verb: string; bucket: string },
): BackupError {
  const [code, why, hint] = classify(refusal);
  return new BackupError(code, `Cannot ${verb} in bucket ${bucket}: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { status: refusal.status, reason: refusal.reason },
  });
}

/** Whether it is the bucket that is not there, rather than an object of it. */
export function isNoBucket({ status, message }: GcsRefusal): boolean {
  return status === 404 && /bucket does not exist/i.test(message);
}

const BUSY = /^(rateLimitExceeded|userRateLimitExceeded|backendError|internalError|conflict)$/;
const HELD = /^(retentionPolicyNotMet|objectUnderActiveHold|forbiddenByRetention)$/;

function classify(refusal: GcsRefusal): [ErrorCode, string, string?] {
  const { status, reason, message } = refusal;
  if (isNoBucket(refusal)) {
    return ["storage_refused", "there is no such bucket", "Create it, or correct its name."];
  }
  if (status === 404) return ["storage_missing", "the bucket has no such object"];
  if (/quotaExceeded|QuotaExceeded|insufficientQuota/.test(reason) || status === 507) {
    return ["storage_full", `a quota is used up (${reason})`, "Raise the quota of the project."];
  }
  if (status === 408 || status === 409 || status === 429 || status >= 500 || BUSY.test(reason)) {
    return ["storage_unreachable", `the server is busy or failing (${reason}, HTTP ${status})`];
  }
  if (HELD.test(reason) || /retention|under active .*hold/i.test(message)) {
    const hint = "Wait until its retention ends, or take the hold away.";
    return ["storage_refused", "a lock or a hold keeps the object", hint];
  }
  if (status === 401) {
    const hint =
      "Check that the account's key still exists and that this machine's clock is right.";
    return ["storage_refused", `the token was not accepted (${reason})`, hint];
  }
  if (status === 403) {
    const hint =
      "Grant the service account the roles of the bucket that are in docs/destinations.md.";
    return ["storage_refused", `access denied (${reason})`, hint];
  }
  const hint =
    "Check endpoint, bucket and storage class; for a lock the bucket must allow retention.";
  return ["storage_refused", `the server refused (${reason}, HTTP ${status})`, hint];
}
