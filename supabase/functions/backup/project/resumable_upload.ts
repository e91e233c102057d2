/**
 * Uploads in steps, by the TUS protocol: what the server has received stays there for a day, so that
 * another worker can go on after this one has died.
 *
 * @module
 */
import { toBase64, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { ObjectAddress, ObjectMetadata } from "./object_types.ts";
import type { StorageApi } from "./storage_api.ts";
import {
  isDuplicate,
  mayPass,
  noAnswerError,
  refusalError,
  type StorageRefusal,
} from "./storage_errors.ts";

/** Bytes of one step: hosted Storage takes this size and no other, but for the last. */
export const STEP_BYTES = 6 * 1024 * 1024;

const TUS = { "tus-resumable": "1.0.0" };

/** An upload that was begun. */
export interface ResumableUpload {
  address: ObjectAddress;
  /** Its name at the server: the last part of the address that the server gave. */
  id: string;
  /** Whether an object of that name is replaced. */
  replace: boolean;
}

/**
 * Begins an upload.
 * @returns null when there is an object of that name and it is not to be replaced
 * @throws `files_*`
 */
export async function beginUpload(
  api: StorageApi,
  address: ObjectAddress,
  { metadata, bytes, replace, signal }: {
    metadata: ObjectMetadata;
    bytes: number;
    replace: boolean;
    signal: AbortSignal;
  },
): Promise<ResumableUpload | null> {
  const verb = `begin the upload of ${address.bucket}/${address.name}`;
  const answer = await api.requests.send({
    verb,
    method: "POST",
    path: "/upload/resumable",
    headers: {
      ...TUS,
      "upload-length": String(bytes),
      "upload-metadata": uploadMetadata(address, metadata),
      "x-upsert": String(replace),
    },
    repeatable: true, // one that nobody goes on with is forgotten by the server
    signal,
  });
  if (!answer.ok) {
    if (isDuplicate(answer.refusal)) return null;
    throw refusalError(verb, answer.refusal);
  }
  answer.deadline.end();
  await answer.response.body?.cancel();
  // Only the name is taken: a server behind a gateway may tell an address that is not its own, and the
  // key goes to the configured one only.
  const id = /([^/?#]+)\/?$/.exec(answer.response.headers.get("location") ?? "")?.[1];
  if (id === undefined) {
    throw new BackupError("files_refused", `Cannot ${verb}: the server names no upload of it`);
  }
  return { address, id, replace };
}

/** How many bytes the server has; null when it does not know the upload any more. @throws `files_*` */
export async function uploadOffset(
  api: StorageApi,
  upload: ResumableUpload,
  signal: AbortSignal,
): Promise<number | null> {
  const verb = `go on with the upload of ${upload.address.bucket}/${upload.address.name}`;
  const answer = await api.requests.send({
    ...{ verb, method: "HEAD", path: pathOf(upload), headers: TUS, repeatable: true, signal },
  });
  if (!answer.ok) {
    if (isForgotten(answer.refusal)) return null;
    throw refusalError(verb, answer.refusal);
  }
  answer.deadline.end();
  const offset = answer.response.headers.get("upload-offset");
  if (offset === null || !/^\d+$/.test(offset)) throw noOffset(verb);
  return Number(offset);
}

/**
 * Sends one step. When the answer is lost, the server is asked what has come, and the rest is sent.
 * @returns the offset behind it, or null when the server has forgotten the upload
 * @throws `files_*`
 */
export async function sendStep(
  api: StorageApi,
  upload: ResumableUpload,
  { bytes, at, signal }: { bytes: Uint8Array; at: number; signal: AbortSignal },
): Promise<number | null> {
  const verb = `store ${upload.address.bucket}/${upload.address.name} from byte ${at}`;
  let offset = at;
  for (let attempt = 1;; attempt++) {
    let trouble: BackupError;
    try {
      const answer = await api.requests.send({
        verb,
        method: "PATCH",
        path: pathOf(upload),
        headers: {
          ...TUS,
          "content-type": "application/offset+octet-stream",
          "upload-offset": String(offset),
          "x-upsert": String(upload.replace),
        },
        bytes: bytes.subarray(offset - at),
        repeatable: false,
        signal,
      });
      if (answer.ok) {
        answer.deadline.end();
        await answer.response.body?.cancel();
        return at + bytes.length;
      }
      if (isForgotten(answer.refusal)) return null;
      if (!mayPass(answer.refusal) && !isDuplicate(answer.refusal)) {
        throw refusalError(verb, answer.refusal);
      }
      trouble = refusalError(verb, answer.refusal);
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== "files_unreachable") throw error;
      trouble = error;
    }
    if (attempt >= api.requests.tries) throw trouble;
    await api.requests.pause(attempt, signal);
    const received = await uploadOffset(api, upload, signal);
    if (received === null) return null;
    if (received === at + bytes.length) return received;
    // Another worker has gone on with it, or it is not the upload that it was.
    if (received < at || received > at + bytes.length) throw trouble;
    offset = received;
  }
}

/** `max-age=…` goes as its number of seconds: there is no room for any other cache control. */
function uploadMetadata({ bucket, name }: ObjectAddress, metadata: ObjectMetadata): string {
  const seconds = /^max-age=(\d+)$/.exec(metadata.cacheControl ?? "")?.[1];
  const pairs: [string, string | undefined][] = [
    ["bucketName", bucket],
    ["objectName", name],
    ["contentType", metadata.mimetype ?? "application/octet-stream"],
    ["cacheControl", seconds],
    [
      "metadata",
      metadata.userMetadata === null ? undefined : JSON.stringify(metadata.userMetadata),
    ],
  ];
  return pairs.flatMap(([key, value]) =>
    value === undefined ? [] : `${key} ${toBase64(utf8(value))}`
  )
    .join(",");
}

function pathOf({ id }: ResumableUpload): string {
  return `/upload/resumable/${id}`;
}

function isForgotten({ status }: StorageRefusal): boolean {
  return status === 404 || status === 410;
}

function noOffset(verb: string): BackupError {
  return noAnswerError(verb, "Storage", new Error("it does not say how many bytes it has"));
}
