/**
 * One connection over which a web server is asked for one thing after the other, by HTTP/1.1: just what
 * reading objects needs.
 *
 * @module
 */
import {
  type Answer,
  type BodyLength,
  BrokenAnswer,
  ConnectionEnded,
  lengthOf,
  parseHead,
  ReadAnswer,
} from "./http_answer.ts";

const BUFFER_BYTES = 32 * 1024;
/** A longer head is no answer of a store. */
const MOST_LINE_BYTES = BUFFER_BYTES;
const [CR, LF] = [13, 10];

/** How an answer is waited for. */
export interface Asking {
  /** Whether only a head comes, whatever it says of a body. */
  isHead: boolean;
  /** Aborted, the connection is closed, and whoever reads gets the signal's reason. */
  signal: AbortSignal;
  /** Gives room for a body. @default a new buffer */
  room?: (bytes: number) => Uint8Array;
  /** Called when all of the answer is read and the connection is fit for more; never, if it is not. */
  onRead: () => void;
}

/** See the module. */
export class HttpConnection {
  readonly #socket: Deno.Conn;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #begin = 0;
  #end = 0;
  #isClosed = false;
  #asking: Asking | null = null;
  readonly #giveUp = () => this.close();

  constructor(socket: Deno.Conn) {
    this.#socket = socket;
  }

  /** Sends a request without a body, and reads the head of the answer. Closes the connection when it throws. */
  async ask(request: Uint8Array, asking: Asking): Promise<Answer> {
    asking.signal.throwIfAborted();
    asking.signal.addEventListener("abort", this.#giveUp, { once: true });
    this.#asking = asking;
    try {
      for (let at = 0; at < request.length;) at += await this.#socket.write(request.subarray(at));
      const { status, keepsOpen, headers } = parseHead(await this.#readHead());
      const length = asking.isHead ? 0 : lengthOf(status, headers);
      const isFit = keepsOpen && length !== "until the end";
      if (length === 0) this.#settle(isFit);
      return new ReadAnswer(
        { status, headers },
        length === 0 ? null : {
          length,
          pieces: this.#pieces(length, isFit),
          whole: (bytes) => this.#whole(bytes, isFit),
          giveUp: () => {
            if (this.#asking === asking) this.close();
          },
        },
      );
    } catch (error) {
      throw this.#closedFor(error);
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#asking?.signal.removeEventListener("abort", this.#giveUp);
    this.#socket.close();
  }

  /** The answer is read. */
  #settle(isFit: boolean): void {
    // What came behind the answer would be taken for the next one.
    if (!isFit || this.#begin < this.#end) return this.close();
    const { signal, onRead } = this.#asking!;
    signal.removeEventListener("abort", this.#giveUp);
    this.#asking = null;
    onRead();
  }

  /** What to throw in place of an error: closing it is how a signal ends a connection. */
  #closedFor(error: unknown): unknown {
    this.close();
    const { signal } = this.#asking!;
    return signal.aborted ? signal.reason : error;
  }

  /** More bytes in the buffer; false at the end. */
  async #fill(): Promise<boolean> {
    if (this.#begin === this.#end) this.#begin = this.#end = 0;
    if (this.#end === this.#buffer.length) {
      this.#buffer.copyWithin(0, this.#begin, this.#end);
      [this.#begin, this.#end] = [0, this.#end - this.#begin];
    }
    const read = await this.#socket.read(this.#buffer.subarray(this.#end));
    this.#end += read ?? 0;
    return read !== null;
  }

  async #readHead(): Promise<string> {
    for (let seen = 0;;) {
      const end = endOfHead(this.#buffer.subarray(this.#begin, this.#end), seen);
      if (end > 0) return this.#take(end);
      const had = this.#end - this.#begin;
      seen = Math.max(0, had - 3);
      if (had >= MOST_LINE_BYTES) throw new BrokenAnswer("its head has no end");
      if (await this.#fill()) continue;
      throw had === 0 ? new ConnectionEnded("no answer came") : cutOff();
    }
  }

  #take(bytes: number): string {
    const taken = this.#buffer.subarray(this.#begin, this.#begin + bytes);
    this.#begin += bytes;
    return fromLatin1(taken);
  }

  /** A body of known length in one piece, without a copy of what has not come yet. */
  async #whole(length: number, isFit: boolean): Promise<Uint8Array> {
    const whole = this.#asking?.room?.(length) ?? new Uint8Array(length);
    let at = Math.min(length, this.#end - this.#begin);
    whole.set(this.#buffer.subarray(this.#begin, this.#begin + at));
    this.#begin += at;
    try {
      while (at < length) {
        const read = await this.#socket.read(whole.subarray(at));
        if (read === null) throw cutOff();
        at += read;
      }
    } catch (error) {
      throw this.#closedFor(error);
    }
    this.#settle(isFit);
    return whole;
  }

  /** The body as it comes; who leaves early closes the connection. */
  async *#pieces(length: BodyLength, isFit: boolean): AsyncGenerator<Uint8Array> {
    let isRead = false;
    try {
      if (length === "in chunks") yield* this.#chunks();
      else yield* this.#bytes(length === "until the end" ? Infinity : length);
      isRead = true;
    } catch (error) {
      throw this.#closedFor(error);
    } finally {
      if (isRead) this.#settle(isFit);
      else this.close();
    }
  }

  async *#chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const [, size] = /^([0-9a-fA-F]{1,12})\s*(?:;.*)?$/.exec(await this.#line()) ?? [];
      if (size === undefined) throw new BrokenAnswer("a chunk has no size");
      const bytes = parseInt(size, 16);
      if (bytes === 0) break;
      yield* this.#bytes(bytes);
      if (await this.#line() !== "") throw new BrokenAnswer("a chunk has another length");
    }
    while (await this.#line() !== "");
  }

  /** The next so many bytes; all until the end of the connection for infinitely many. */
  async *#bytes(count: number): AsyncGenerator<Uint8Array> {
    for (let left = count; left > 0;) {
      if (this.#begin === this.#end && !await this.#fill()) {
        if (count === Infinity) return;
        throw cutOff();
      }
      const size = Math.min(left, this.#end - this.#begin);
      const piece = this.#buffer.slice(this.#begin, this.#begin + size);
      this.#begin += size;
      left -= size;
      yield piece;
    }
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.subarray(this.#begin, this.#end).indexOf(LF);
      if (end >= 0) return this.#take(end + 1).replace(/\r?\n$/, "");
      if (this.#end - this.#begin >= MOST_LINE_BYTES) throw new BrokenAnswer("a line has no end");
      if (!await this.#fill()) throw cutOff();
    }
  }
}

const decoder = new TextDecoder();

/** Each byte becomes one character, as `fetch` has it; the fast way is right only for ASCII. */
function fromLatin1(bytes: Uint8Array): string {
  for (const byte of bytes) if (byte > 0x7f) return String.fromCharCode(...bytes);
  return decoder.decode(bytes);
}

function endOfHead(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(LF, from + 3); at > 0; at = bytes.indexOf(LF, at + 1)) {
    if (bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) return at + 1;
  }
  return 0;
}

function cutOff(): BrokenAnswer {
  return new BrokenAnswer("the connection ended within the answer");
}
