/**
 * Answers of HTTP/1.1: what is needed of them, and what their heads say.
 *
 * @module
 */
import { concat } from "../core/bytes.ts";

/** What is needed of an answer, of which `fetch` gives more. */
export interface Answer {
  readonly ok: boolean;
  readonly status: number;
  /** Names in lower case. */
  readonly headers: { get(name: string): string | null } & Iterable<[string, string]>;
  /** Null for none. It is read once, or given up. */
  readonly body: (AsyncIterable<Uint8Array> & { cancel(): Promise<void> }) | null;
  bytes(): Promise<Uint8Array>;
  text(): Promise<string>;
  json(): Promise<unknown>;
}

/** An answer that is not HTTP/1.1, or was cut off. */
export class BrokenAnswer extends Error {}

/** The server ended the connection where it might have answered: it had waited long enough for the request. */
export class ConnectionEnded extends BrokenAnswer {}

/** More is not made room for by what a head says alone. */
const MOST_WHOLE_BYTES = 64 << 20;

/** Bytes, where the head says how many. */
export type BodyLength = number | "in chunks" | "until the end";

/** A body that is still to be read, one way or the other. */
export interface Coming {
  length: BodyLength;
  pieces: AsyncGenerator<Uint8Array>;
  whole: (length: number) => Promise<Uint8Array>;
  giveUp: () => void;
}

/** An answer of a connection. */
export class ReadAnswer implements Answer {
  readonly status: number;
  readonly headers: Answer["headers"];
  readonly body: Answer["body"];
  readonly #coming: Coming | null;

  constructor(
    { status, headers }: { status: number; headers: ReadonlyMap<string, string> },
    coming: Coming | null,
  ) {
    this.status = status;
    this.headers = {
      get: (name) => headers.get(name) ?? null,
      [Symbol.iterator]: () => headers[Symbol.iterator](),
    };
    this.#coming = coming;
    this.body = coming === null ? null : {
      [Symbol.asyncIterator]: () => coming.pieces,
      cancel: () => Promise.resolve(coming.giveUp()),
    };
  }

  get ok(): boolean {
    return this.status >= 200 && this.status <= 299;
  }

  async bytes(): Promise<Uint8Array> {
    if (this.#coming === null) return new Uint8Array(0);
    const { length, pieces, whole } = this.#coming;
    if (typeof length === "number" && length <= MOST_WHOLE_BYTES) return await whole(length);
    return concat(await Array.fromAsync(pieces));
  }

  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }
}

/** What a head says. @throws {BrokenAnswer} */
export function parseHead(head: string) {
  const [first = "", ...lines] = head.split("\r\n");
  const [, minor, status] = /^HTTP\/1\.([01]) (\d{3})/.exec(first) ?? [];
  if (status === undefined) throw new BrokenAnswer("it is no answer of HTTP/1.1");
  const headers = new Map<string, string>();
  for (const line of lines) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    if (colon <= 0) throw new BrokenAnswer("a line of its head has another form");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  const connection = (headers.get("connection") ?? "").toLowerCase();
  const keepsOpen = minor === "1" ? !connection.includes("close") : connection === "keep-alive";
  return { status: Number(status), keepsOpen, headers };
}

/** How long the body is. @throws {BrokenAnswer} for codings that nobody asked for */
export function lengthOf(status: number, headers: ReadonlyMap<string, string>): BodyLength {
  if (status < 200) throw new BrokenAnswer(`it is only a part of one (${status})`);
  if (status === 204 || status === 304) return 0;
  const coding = headers.get("transfer-encoding")?.toLowerCase();
  if (coding === "chunked") return "in chunks";
  if (coding !== undefined) throw new BrokenAnswer("it is encoded for the way");
  const length = headers.get("content-length");
  if (length === undefined) return "until the end";
  if (!/^\d{1,15}$/.test(length)) throw new BrokenAnswer("its length is no number");
  return Number(length);
}
