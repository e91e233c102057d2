/**
 * What the refusals of Supabase Storage mean, in our words.
 *
 * Most of its refusals come as HTTP 400 with the real status in the body; those of resumable uploads, of
 * a gateway and of newer servers come with the real status and maybe as plain text. Both are read.
 *
 * @module
 */
import type { Answer } from "./http_answer.ts";
import { BackupError, type ErrorCode } from "../core/errors.ts";

/** A refusal as the server told it. */
export interface StorageRefusal {
  /** The real status, from the body where it is told there. */
  status: number;
  /** Its name for the reason, such as `NoSuchKey`; empty when it tells none. */
  name: string;
  /** Its words. */
  words: string;
}

/** Reads what a refusing answer says. */
export async function readRefusal(
  answer: Pick<Answer, "status" | "text">,
): Promise<StorageRefusal> {
  const text = (await answer.text()).slice(0, 2000);
  try {
    const body = JSON.parse(text) as Record<string, unknown>;
    const status = Number(body.statusCode) || answer.status;
    const words = String(body.message ?? body.msg ?? "");
    return { status, name: String(body.code ?? body.error ?? ""), words };
  } catch {
    return { status: answer.status, name: "", words: text };
  }
}

/** Whether a refusal may be gone in a moment: the server is busy, locked or failing. */
export function mayPass({ status }: StorageRefusal): boolean {
  return status === 408 || status === 423 || status === 429 || (status >= 500 && status !== 501 &&
    status !== 507);
}

/** Whether there is no such object, or its bytes are gone: {@linkcode isBucketMissing} is another matter. */
export function isMissing({ status, name }: StorageRefusal): boolean {
  return (status === 404 || status === 410) && name !== "NoSuchBucket";
}

/** Whether there is no such bucket, or none that this key sees. */
export function isBucketMissing({ name, words }: StorageRefusal): boolean {
  return name === "NoSuchBucket" || words === "Bucket not found";
}

/** Whether there is one of that name already. */
export function isDuplicate({ status }: StorageRefusal): boolean {
  return status === 409;
}

/** The error of a refusal. @param verb what was to be done: `read avatars/me.png` */
export function refusalError(verb: string, refusal: StorageRefusal): BackupError {
  const [code, why, hint] = meaningOf(refusal);
  const { status, name } = refusal;
  const words = refusal.words.replace(/\s+/g, " ").trim().slice(0, 200);
  const said = [String(status), name, words].filter((each) => each !== "").join(", ");
  return new BackupError(code, `Cannot ${verb}: ${why} (${said})`, {
    hint,
    details: { status },
  });
}

/** The error of a request without a whole answer. */
export function noAnswerError(verb: string, origin: string, cause: unknown): BackupError {
  const why = cause instanceof Error ? cause.message.slice(0, 200) : "no reason is known";
  return new BackupError(
    "files_unreachable",
    `Cannot ${verb}: no whole answer from ${origin} (${why})`,
    { hint: "Check that SUPABASE_URL is right and that the project runs.", cause },
  );
}

const AGAIN = "Try again in some minutes. https://status.supabase.com tells of disturbances.";

function meaningOf(refusal: StorageRefusal): [ErrorCode, string, string] {
  const { status, name, words } = refusal;
  if (status === 401 || status === 403 || name === "InvalidJWT") {
    const hint = "Supabase Storage needs the service_role key or a secret key of this project.";
    return ["files_unauthorized", "the key is not accepted or not allowed this", hint];
  }
  if (status === 413) {
    const hint = "Raise the limit of the bucket or the project's upload limit (Storage, Settings).";
    return ["files_full", "the object is larger than what may be stored", hint];
  }
  if (status === 402 || status === 507) {
    const hint = "Free space, or raise the plan's quota.";
    return ["files_full", "the project's quota is used up", hint];
  }
  if (mayPass(refusal)) {
    return ["files_unreachable", "the server is busy or has a failure of its own", AGAIN];
  }
  if (name === "InvalidKey" || words.startsWith("Invalid key")) {
    const hint = "The server's rules for names have changed since the object was stored: " +
      "give the object another name, or restore to a server that allows this one.";
    return ["files_refused", "the server does not allow this name", hint];
  }
  if (status === 415) {
    const hint =
      "The bucket allows other media types only: change its setting, then restore again.";
    return ["files_refused", "the bucket does not allow this media type", hint];
  }
  if (isBucketMissing(refusal)) {
    return ["files_refused", "there is no such bucket", "Restore the bucket itself with it."];
  }
  if (isMissing(refusal)) {
    return ["files_refused", "there is no such object", "It may have been deleted meanwhile."];
  }
  if (isDuplicate(refusal)) {
    return [
      "files_refused",
      "there is one of that name already",
      "Ask for existing objects to be replaced.",
    ];
  }
  return ["files_refused", "the server refuses", "See what it says, and its logs."];
}
