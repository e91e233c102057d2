/**
 * One socket to a PostgreSQL server: messages in, bytes out, COPY data in bulk.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { countWork } from "../core/work_count.ts";
import { CopyFrames } from "./copy_frames.ts";
import { readInt32 } from "./protocol.ts";

/** What a wire needs of a socket; `Deno.Conn` fits. */
export interface Socket {
  read(buffer: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** A message from the server. `body` is valid until the next call of {@linkcode Wire}. */
export interface Message {
  /** The type letter. */
  type: string;
  body: Uint8Array;
}

/** Answers are read into a buffer of this size; COPY data is handed over in slices no larger. */
const BUFFER_BYTES = 256 * 1024;
/** PostgreSQL's own limit of one message. */
const LARGEST_MESSAGE_BYTES = 1 << 30;
const TYPES = "123ACDEGHIKNRSTVWZcdnstv";

/** Reads and writes the frames of protocol 3.0. One reader and one writer may be at work at a time. */
export class Wire {
  #socket: Socket;
  #buffer = new Uint8Array(BUFFER_BYTES);
  #start = 0;
  #end = 0;
  #broken: BackupError | undefined;
  #closed = false;
  /** With the first COPY. */
  #frames: CopyFrames | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The error that ended this wire, if one did. */
  get broken(): BackupError | undefined {
    return this.#broken;
  }

  /** Writes all bytes. @throws {BackupError} `database_unreachable` when the connection is cut */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    countWork("sent", bytes.length);
    try {
      for (let at = 0; at < bytes.length;) at += await this.#socket.write(bytes.subarray(at));
    } catch (cause) {
      throw this.fail(cut(cause));
    }
  }

  /**
   * The next message, whole in memory.
   *
   * @throws {BackupError} `database_unreachable` or `database_protocol`
   */
  async read(): Promise<Message> {
    while (true) {
      const message = this.next();
      if (message !== undefined) return message;
      const come = this.#end - this.#start;
      await this.#fill(come < 5 ? 5 : this.#readLength() + 1);
    }
  }

  /** The next message if it has come as a whole: an answer of many rows need not wait for each. */
  next(): Message | undefined {
    const come = this.#end - this.#start;
    if (come < 5 || this.#broken !== undefined) return undefined;
    const type = this.#readType();
    const length = this.#readLength();
    if (come < length + 1) return undefined;
    const body = this.#buffer.subarray(this.#start + 5, this.#start + 1 + length);
    this.#start += length + 1;
    return { type, body };
  }

  /**
   * Hands over the payloads of consecutive CopyData messages until another message comes, which is
   * left for {@linkcode Wire.read}. Frames are squeezed out inside the read buffer, so that small
   * rows cost no allocation and a row of any size needs no more memory than the buffer.
   *
   * @returns bytes handed over
   */
  async readCopyData(onData: (slice: Uint8Array) => void | Promise<void>): Promise<number> {
    const frames = this.#readFrames();
    let total = 0;
    while (true) {
      const { payload, end, hasEnded } = frames.squeeze(this.#start, this.#end);
      this.#start = end;
      if (payload.length > 0) {
        total += payload.length;
        const pending = onData(payload);
        if (pending !== undefined) await pending;
      }
      if (hasEnded) return total;
      await this.#fill(1);
    }
  }

  /** From now on, what comes is read to where frames can be squeezed out of it. */
  #readFrames(): CopyFrames {
    const frames = this.#frames ??= new CopyFrames();
    if (this.#buffer !== frames.buffer) {
      // It fits: what stands in a buffer that has grown is one message and nothing behind it.
      frames.buffer.set(this.#buffer.subarray(this.#start, this.#end));
      this.#buffer = frames.buffer;
      this.#end -= this.#start;
      this.#start = 0;
    }
    return frames;
  }

  /** Marks the wire as unusable and closes the socket; returns the error for throwing. */
  fail(error: BackupError): BackupError {
    this.#broken ??= error;
    this.close();
    return this.#broken;
  }

  /** Closes the socket; safe to repeat. */
  close(): void {
    this.#broken ??= new BackupError(
      "database_unreachable",
      "Cannot use the database connection: it was closed",
      { hint: "Open a new connection." },
    );
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  #readType(): string {
    const type = String.fromCharCode(this.#buffer[this.#start]!);
    if (!TYPES.includes(type)) {
      throw this.fail(
        garbage(`a message of the unknown type 0x${type.charCodeAt(0).toString(16)}`),
      );
    }
    return type;
  }

  #readLength(): number {
    const length = readInt32(this.#buffer, this.#start + 1);
    if (length < 4 || length > LARGEST_MESSAGE_BYTES) {
      throw this.fail(garbage(`a message of ${length} bytes`));
    }
    return length;
  }

  /** Reads once. `wanted` bytes in a row are the aim; the buffer grows only as they come. */
  async #fill(wanted: number): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    const kept = this.#end - this.#start;
    if (kept === 0) {
      this.#start = this.#end = 0;
      if (this.#buffer.length > BUFFER_BYTES) {
        this.#buffer = this.#frames?.buffer ?? new Uint8Array(BUFFER_BYTES);
      }
    } else if (this.#end === this.#buffer.length) {
      // Doubling what has come, not what is announced: a false length costs no memory.
      const full = this.#start === 0;
      const size = full ? Math.min(wanted, kept * 2) : this.#buffer.length;
      const target = full ? new Uint8Array(size) : this.#buffer;
      if (full) target.set(this.#buffer);
      else target.copyWithin(0, this.#start, this.#end);
      this.#buffer = target;
      this.#start = 0;
      this.#end = kept;
    }
    let count: number | null;
    try {
      count = await this.#socket.read(this.#buffer.subarray(this.#end));
    } catch (cause) {
      throw this.fail(cut(cause));
    }
    if (count === null || count === 0) throw this.fail(cut(undefined));
    this.#end += count;
    countWork("socket", count);
  }
}

function cut(cause: unknown): BackupError {
  const why = cause instanceof Error ? cause.message : "the server closed it";
  return new BackupError(
    "database_unreachable",
    `Cannot go on with the database connection: ${why}`,
    { hint: "Check that the server is running and reachable, then try again.", cause },
  );
}

/** The error for bytes that the protocol does not allow. */
export function garbage(what: string): BackupError {
  return new BackupError("database_protocol", `Cannot read the server's answer: it sent ${what}`, {
    hint: "Check that the URL leads to a PostgreSQL server or a pooler in session mode.",
  });
}
