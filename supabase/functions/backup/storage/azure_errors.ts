/**
 * What the refusals of Azure Blob Storage mean.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "../core/errors.ts";

/** HTTP status of an error of the client, 0 when there was no answer. */
export function azureStatus(error: unknown): number {
  return (error as { statusCode?: number } | null)?.statusCode ?? 0;
}

/** The server's word for what is wrong, such as `BlobNotFound`. */
export function azureCode(error: unknown): string {
  const { code, details } = (error ?? {}) as { code?: string; details?: { errorCode?: string } };
  return code ?? details?.errorCode ?? "unknown";
}

/** Whether an object of that name is there, to a request on the condition that there is none. */
export function isThere(error: unknown): boolean {
  return azureStatus(error) === 412 || azureCode(error) === "BlobAlreadyExists";
}

/** The error as one of ours. */
export function translateAzureError(
  error: unknown,
  { verb, container }: { verb: string; container: string },
): BackupError {
  if (error instanceof BackupError) return error;
  const [code, why, hint] = classify(azureStatus(error), azureCode(error), messageOf(error));
  return new BackupError(code, `Cannot ${verb} in container ${container}: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}

function classify(status: number, code: string, message: string): [ErrorCode, string, string?] {
  if (code === "ContainerNotFound" || code === "ContainerDisabled") {
    return ["storage_refused", "there is no such container", "Create it, or correct its name."];
  }
  if (status === 404) return ["storage_missing", "the container has no such object"];
  if (/Immutable|LegalHold|LeaseIdMissing/.test(code)) {
    const hint = "Wait until its lock ends, or take the legal hold away.";
    return ["storage_refused", `a lock keeps the object (${code})`, hint];
  }
  if (
    /Quota|CapacityExceeded|AccountLimitExceeded|InsufficientStorage/.test(code) || status === 507
  ) {
    return ["storage_full", `the account has no room (${code})`, "Free space or raise its limit."];
  }
  if (status === 401 || status === 403) {
    return ["storage_refused", `access denied (${code})`, deniedHint(code, message)];
  }
  if (code === "BlobArchived" || code === "BlobBeingRehydrated") {
    const hint = "Rehydrate it to the hot or cool tier first.";
    return ["storage_refused", `the object is in the archive tier (${code})`, hint];
  }
  const isBusy = status === 408 || status === 409 || status === 429 ||
    status >= 500 && code !== "APINotImplemented";
  if (isBusy) {
    return ["storage_unreachable", `the server is busy or failing (${code}, HTTP ${status})`];
  }
  if (status >= 300) {
    const hint = "Check endpoint, container and tier; for locks the container must allow them.";
    return ["storage_refused", `the server refused (${code}, HTTP ${status})`, hint];
  }
  const hint = "Check the endpoint and the network between here and it.";
  return ["storage_unreachable", `no usable answer (${code})`, hint];
}

function deniedHint(code: string, message: string): string {
  if (/time frame|expir|se=/i.test(message)) {
    return "The shared access signature has ended or has not begun: make a new one.";
  }
  if (/date header|clock|time/i.test(message)) return "Set the clock of this machine.";
  if (/AuthorizationFailure|Network|IpNotAllowed|SourceIP/i.test(code)) {
    return "The account's firewall may not let this machine in.";
  }
  return "Check the key, and that the signature may read, add, create, write, list and delete.";
}

function messageOf(error: unknown): string {
  const { message, details } = (error ?? {}) as {
    message?: string;
    details?: { authenticationErrorDetail?: string; AuthenticationErrorDetail?: string };
  };
  const detail = details?.authenticationErrorDetail ?? details?.AuthenticationErrorDetail ?? "";
  return `${message ?? ""} ${detail}`;
}
