/**
 * What the Management API's refusals mean, in our words.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "../core/errors.ts";
import type { Secret } from "../core/secret.ts";

/** Where a person makes a token. */
const TOKENS_PAGE = "https://supabase.com/dashboard/account/tokens";

/** What an error must know of the call. */
export interface FailedCall {
  /** What the call was for: `list the functions`. */
  to: string;
  /** What a token must be allowed, in the API's own name. */
  permission: string;
  projectRef: string;
  token: Secret;
  /** Whether what was sent or may be answered must not be quoted. */
  sensitive: boolean;
  /** Whether doing it twice is the same as doing it once. */
  repeatable: boolean;
}

/** The error of an answer that is no success. @param words what the server said, at most some lines */
export function refusal(
  call: FailedCall,
  { status, words }: { status: number; words: string },
): BackupError {
  const { code, why, hint } = meaningOf(status, call);
  const said = call.sensitive ? "" : quote(words, call.token);
  return new BackupError(
    code,
    `Cannot ${call.to} of project ${call.projectRef}: ${why} (${status}${said && `: ${said}`})`,
    { hint, details: { status } },
  );
}

function meaningOf(
  status: number,
  { permission, repeatable }: FailedCall,
): { code: ErrorCode; why: string; hint: string } {
  const give =
    `Create a token at ${TOKENS_PAGE} with the permission ${permission} for this project`;
  const set = "and set it with: supabase secrets set BACKUP_MANAGEMENT_TOKEN=<the token>.";
  switch (status) {
    case 401:
      return {
        code: "management_unauthorized",
        why: "the Management API does not accept the token",
        hint: `It is wrong, expired or revoked. ${give}, ${set}`,
      };
    case 403:
      return {
        code: "management_forbidden",
        why: "the token is not allowed this",
        hint: `${give}, ${set}`,
      };
    case 404:
      return {
        code: "management_not_found",
        why: "the Management API knows no such thing",
        hint: "See that BACKUP_PROJECT_REF names the project and that the token's owner sees it.",
      };
    case 402:
      return {
        code: "management_refused",
        why: "the project's plan does not include it",
        hint: "Upgrade the plan, or make room within it.",
      };
    case 409:
      return {
        code: "management_refused",
        why: "the project is in a state that does not allow it",
        hint: "Look at the project in the dashboard; try again when nothing else is changing it.",
      };
    case 429:
      return unavailable("the limit of requests is used up", true);
    default:
      return isFailure(status)
        ? unavailable("the Management API has a failure of its own", repeatable)
        : { code: "management_refused", why: "the Management API refuses", hint: REPORT };
  }
}

const REPORT = "The settings may not suit this project; if they do, the API has changed: " +
  "update this software.";

/** Whether a status tells of a failure over there, so that another try may help. */
export function isFailure(status: number): boolean {
  return status >= 500 || status === 408;
}

const MAYBE_DONE = "It may have been done all the same: look before it is tried again.";

function unavailable(
  why: string,
  repeatable: boolean,
): { code: ErrorCode; why: string; hint: string } {
  return {
    code: "management_unavailable",
    why,
    hint: repeatable
      ? "Try again in some minutes. https://status.supabase.com tells of disturbances."
      : MAYBE_DONE,
  };
}

/** The error of a request without a whole answer. */
export function noAnswer(
  call: FailedCall,
  { origin, cause }: { origin: string; cause: unknown },
): BackupError {
  const why = cause instanceof Error ? quote(cause.message, call.token) : "no reason is known";
  return new BackupError(
    "management_unavailable",
    `Cannot ${call.to} of project ${call.projectRef}: no whole answer from ${origin} (${why})`,
    {
      hint: call.repeatable
        ? "Try again in some minutes. BACKUP_MANAGEMENT_URL must be an address that is reached from here."
        : MAYBE_DONE,
      cause,
    },
  );
}

/** The error of an answer that is not what the API's document says. @param what in which way */
export function malformed(call: FailedCall, what: string): BackupError {
  return new BackupError(
    "management_malformed",
    `Cannot ${call.to} of project ${call.projectRef}: ${what}`,
    { hint: "Something between here and the API may answer in its place, or the API has changed." },
  );
}

/** A few words of the server on one line, without the token should it be echoed. */
function quote(words: string, token: Secret): string {
  return words.replaceAll(token.reveal(), "***").replace(/\s+/g, " ").trim().slice(0, 300);
}
