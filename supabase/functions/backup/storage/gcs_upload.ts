/**
 * Sends objects to Google Cloud Storage, small ones in one request and large ones in pieces.
 *
 * @module
 */
import { concat, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import { randomId } from "../core/ids.ts";
import type { GcsClient } from "./gcs_client.ts";

/** An object on its way. It becomes one only if there is none of its name. */
export interface GcsUpload {
  name: string;
  body: Uint8Array;
  /** What the server is told of it, its whole name too. */
  facts: Record<string, unknown>;
  signal: AbortSignal | undefined;
}

/** Whether there is a new object now. */
export interface Created {
  created: boolean;
}

/** A piece of an upload; a multiple of the 256 KiB that the server asks for. */
export const PIECE_BYTES = 8 * 1024 * 1024;
/** How often in a row an upload may get no further. */
const MOST_STALLED = 2;
const BINARY = "application/octet-stream";

/** One request with the facts of the object and its bytes. */
export async function sendObject(client: GcsClient, upload: GcsUpload): Promise<Created> {
  const { name, body, signal } = upload;
  const boundary = `backup-${randomId(24)}`;
  const facts = JSON.stringify(upload.facts);
  const head = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${facts}\r\n` +
    `--${boundary}\r\ncontent-type: ${BINARY}\r\n\r\n`;
  return await client.ask(
    `store ${name}`,
    `${client.uploads}?uploadType=multipart&ifGenerationMatch=0`,
    {
      method: "POST",
      headers: { "content-type": `multipart/related; boundary=${boundary}` },
      body: concat([utf8(head), body, utf8(`\r\n--${boundary}--\r\n`)]),
      signal,
      also: [412],
      take: created,
    },
  );
}

/** A cut costs the piece under way: the server says how far it got. */
export async function sendInPieces(client: GcsClient, upload: GcsUpload): Promise<Created> {
  const { name, body, signal } = upload;
  const verb = `store ${name}`;
  const session = await beginUpload(client, upload);
  if (session === null) return { created: false };
  const piece = (range: string, bytes?: Uint8Array) =>
    client.ask(verb, session, {
      method: "PUT",
      headers: { "content-range": `bytes ${range}/${body.length}` },
      ...(bytes && { body: bytes }),
      signal,
      also: [308, 404, 410, 412],
      take: (answer) => progress(answer, verb),
    });
  let at = 0;
  let stalled = 0;
  for (;;) {
    const end = Math.min(at + PIECE_BYTES, body.length);
    let answer: UploadAnswer;
    try {
      answer = await piece(`${at}-${end - 1}`, body.subarray(at, end));
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== "storage_unreachable") throw error;
      answer = await piece("*");
    }
    if (answer.done !== null) return answer.done;
    stalled = answer.received > at ? 0 : stalled + 1;
    if (stalled > MOST_STALLED) throw lost(verb, "the server keeps nothing of what it takes");
    at = answer.received;
  }
}

/** Address of the upload; null when an object of that name is there. */
async function beginUpload(client: GcsClient, upload: GcsUpload): Promise<string | null> {
  const { name, body, signal } = upload;
  const url = `${client.uploads}?uploadType=resumable&ifGenerationMatch=0`;
  return await client.ask(`store ${name}`, url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-upload-content-type": BINARY,
      "x-upload-content-length": String(body.length),
    },
    body: JSON.stringify(upload.facts),
    signal,
    also: [412],
    take: async (answer) => {
      await answer.body?.cancel();
      if (answer.status === 412) return null;
      const session = answer.headers.get("location") ?? "";
      if (URL.canParse(session) && new URL(session).origin === new URL(url).origin) {
        return session;
      }
      throw new BackupError(
        "storage_refused",
        `Cannot store ${name}: the server sends the upload to another host`,
      );
    },
  });
}

/** How an upload in pieces stands. */
interface UploadAnswer {
  done: Created | null;
  received: number;
}

async function progress(answer: Response, verb: string): Promise<UploadAnswer> {
  if (answer.status === 404 || answer.status === 410) {
    await answer.body?.cancel();
    throw lost(verb, "the server has forgotten the upload");
  }
  if (answer.status !== 308) return { done: await created(answer), received: 0 };
  await answer.body?.cancel();
  const last = /^bytes=0-(\d+)$/.exec(answer.headers.get("range") ?? "")?.[1];
  return { done: null, received: last === undefined ? 0 : Number(last) + 1 };
}

async function created(answer: Response): Promise<Created> {
  await answer.body?.cancel();
  return { created: answer.status !== 412 };
}

/** From the beginning it may go well. */
function lost(verb: string, why: string): BackupError {
  return new BackupError("storage_unreachable", `Cannot ${verb}: ${why}`);
}
