/**
 * The {@linkcode Session} over our own wire.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { DatabaseError, parseErrorFields } from "./database_error.ts";
import { CopyInFramer } from "./copy_in_framer.ts";
import { parserOf, type ValueParser } from "./parse_value.ts";
import { extendedQuery, frame, readInt32, readUint16 } from "./protocol.ts";
import type { CopyResult, CopySink, Parameter, Row, Session } from "./session.ts";
import { BYTES_CODEC, decodeLoosely, type TextCodec, UTF8_CODEC } from "./text_codec.ts";
import { garbage, type Message, type Wire } from "./wire.ts";

/** What the start of a connection found out. */
export interface SessionFacts {
  serverVersion: number;
  serverEncoding: string;
  backendPid: number;
  inClear: boolean;
  transactionStatus: string;
  /** Sends a cancel request for this backend and waits until the server has taken it. */
  sendCancel(): Promise<void>;
}

/** Server encodings for which PostgreSQL has no way to and from UTF-8. */
const WITHOUT_UTF8 = ["SQL_ASCII", "MULE_INTERNAL"];

/** How the rows of an answer are read. */
interface RowShape {
  columns: { name: string; parse: ValueParser }[];
  /** A row of NULLs. Copies of it share its layout; rows filled name by name would each have a table of their own. */
  blank: Row;
}

const NO_ROWS: RowShape = { columns: [], blank: {} };

/** See {@linkcode Session}. Made by `connect`. */
export class WireSession implements Session {
  readonly serverVersion: number;
  readonly serverEncoding: string;
  readonly backendPid: number;
  readonly inClear: boolean;
  readonly sqlText: "utf8" | "bytes";
  readonly #wire: Wire;
  readonly #codec: TextCodec;
  readonly #sendCancel: () => Promise<void>;
  #status: string;
  /** Settles when all answers to what was asked so far have been read. */
  #answered: Promise<unknown> = Promise.resolve();
  /** Settles when the next question may be sent. */
  #sendable: Promise<unknown> = Promise.resolve();
  /** Answers that are still to come. */
  #awaited = 0;
  /** What the open transaction failed with. */
  #abortedBy: DatabaseError | null = null;
  #cancelAsked = false;
  #closed = false;

  constructor(wire: Wire, facts: SessionFacts) {
    this.#wire = wire;
    this.serverVersion = facts.serverVersion;
    this.serverEncoding = facts.serverEncoding;
    this.backendPid = facts.backendPid;
    this.inClear = facts.inClear;
    this.#status = facts.transactionStatus;
    this.#sendCancel = facts.sendCancel;
    this.sqlText = WITHOUT_UTF8.includes(facts.serverEncoding) ? "bytes" : "utf8";
    this.#codec = this.sqlText === "bytes" ? BYTES_CODEC : UTF8_CODEC;
  }

  get inTransaction(): boolean {
    return this.#status !== "I";
  }

  query<T extends Row = Row>(sql: string, parameters: readonly Parameter[] = []): Promise<T[]> {
    const message = () =>
      parameters.length === 0
        ? this.#simple(sql)
        : extendedQuery(this.#codec.encode(sql), parameters.map((value) => this.#text(value)));
    return this.#ask(message, async () => {
      const { rows } = await this.#readAnswer("run a query");
      return rows as T[];
    });
  }

  execute(sql: string): Promise<void> {
    return this.#ask(() => this.#simple(sql), async () => {
      await this.#readAnswer("run a statement", { keepRows: false });
    });
  }

  async copyOut(
    sql: string,
    onData: (slice: Uint8Array) => void | Promise<void>,
  ): Promise<CopyResult> {
    let result: CopyResult = { rows: 0, bytes: 0 };
    await this.copyOutEach([sql], { data: onData, end: (copied) => void (result = copied) });
    return result;
  }

  copyOutEach(statements: readonly string[], sink: CopySink): Promise<void> {
    return this.#alone(async () => {
      const doing = "copy data out";
      await this.#wire.write(this.#simple(this.#inServerEncoding(statements.join(";\n"))));
      let copied = 0;
      while (await this.#startCopy("H", doing)) {
        sink.end(await this.#readCopy(sink, doing));
        copied++;
      }
      if (copied !== statements.length) throw this.#noCopy(doing);
    });
  }

  /** The data of one COPY up to its tag. */
  async #readCopy(sink: CopySink, doing: string): Promise<CopyResult> {
    let bytes = 0;
    try {
      bytes = await this.#wire.readCopyData((slice) => sink.data(slice));
    } catch (error) {
      if (this.#wire.broken === undefined) await this.#abandonCopyOut();
      throw error;
    }
    while (true) {
      const message = await this.#readMessage();
      if (message.type === "E") throw await this.#errorAfter(message, doing);
      if (message.type === "C") return { rows: rowsOf(tagOf(message)), bytes };
    }
  }

  copyIn(sql: string, source: AsyncIterable<Uint8Array>): Promise<CopyResult> {
    return this.#alone(async () => {
      await this.#wire.write(this.#simple(this.#inServerEncoding(sql)));
      const doing = "copy data in";
      if (!await this.#startCopy("G", doing)) throw await this.#noCopy(doing);

      // While data goes out, only an error can come in: it is looked for all the time, because the
      // server throws away what follows it and nobody would notice until the end.
      let answered = false;
      const answer = this.#readAnswer(doing, { keepRows: false, inCopy: true }).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      ).finally(() => answered = true);
      const framer = new CopyInFramer(this.#wire);
      let failure: { error: unknown } | undefined;
      try {
        for await (const slice of source) {
          if (answered) break;
          await framer.append(slice);
        }
        if (!answered) await framer.finish();
      } catch (error) {
        failure = { error };
        if (this.#wire.broken === undefined) await framer.abandon();
      }
      const outcome = await answer;
      if (this.#wire.broken !== undefined && "error" in outcome) throw outcome.error;
      if (failure !== undefined) throw failure.error;
      if ("error" in outcome) throw outcome.error;
      return { rows: rowsOf(outcome.value.tag), bytes: framer.bytes };
    });
  }

  async cancel(): Promise<void> {
    if (this.#awaited === 0) return;
    this.#cancelAsked = true;
    await this.#sendCancel();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#wire.broken === undefined && this.#awaited === 0) {
      try {
        await this.#wire.write(frame("X"));
      } catch (error) {
        // A server that is gone needs no farewell.
        if (!(error instanceof BackupError)) throw error;
      }
    }
    this.#wire.close();
  }

  /**
   * Asks a question and reads its answer. Questions go out before the answers to earlier ones are in, so
   * that the server need not wait for whoever reads them.
   */
  #ask<T>(message: () => Uint8Array, read: () => Promise<T>): Promise<T> {
    const sent = this.#sendable.then(async () => {
      if (this.#wire.broken === undefined) await this.#wire.write(message());
    });
    this.#sendable = sent.catch(() => {}); // whoever asked has the error
    return this.#inTurn(async () => {
      await sent;
      return await read();
    });
  }

  /** Does what needs the connection for itself: nothing is sent meanwhile. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#inTurn(work);
    this.#sendable = turn.catch(() => {}); // its caller has the error; the next in line only waits
    return turn;
  }

  /** Runs one piece of work after those that were asked for before it. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#awaited++ === 0) this.#cancelAsked = false;
    const turn = this.#answered.then(async () => {
      try {
        if (this.#wire.broken !== undefined) throw this.#wire.broken;
        return await work();
      } finally {
        this.#awaited--;
      }
    });
    this.#answered = turn.catch(() => {}); // its caller has the error; the next in line only waits
    return turn;
  }

  #simple(sql: string): Uint8Array {
    if (sql.includes("\0")) {
      throw new BackupError("internal", "Cannot run a statement: its text holds a NUL");
    }
    return frame("Q", this.#codec.encode(`${sql}\0`));
  }

  #text(value: Parameter): Uint8Array | null {
    if (value === null) return null;
    return this.#codec.encode(typeof value === "boolean" ? (value ? "t" : "f") : String(value));
  }

  /**
   * Data moves in the server's own encoding, SQL text in UTF-8. The switch travels in the same message
   * as the COPY: the message is decoded before it takes effect, and an error takes it back.
   */
  #inServerEncoding(sql: string): string {
    if (this.sqlText === "bytes" || this.serverEncoding === "UTF8") return sql;
    return `SET client_encoding TO '${this.serverEncoding}'; ${sql}; SET client_encoding TO 'UTF8'`;
  }

  /** Reads on until the COPY begins; false when the server finished without one. */
  async #startCopy(type: "G" | "H", doing: string): Promise<boolean> {
    while (true) {
      const message = await this.#readMessage();
      if (message.type === type) return true;
      if (message.type === "E") throw await this.#errorAfter(message, doing);
      if (message.type === "Z") {
        this.#status = String.fromCharCode(message.body[0]!);
        return false;
      }
      if (message.type === "G") {
        await this.#wire.write(frame("f", this.#codec.encode("not asked\0")));
      }
    }
  }

  #noCopy(doing: string): BackupError {
    return new BackupError("internal", `Cannot ${doing}: the statement is not such a COPY`);
  }

  /** Reads to the end of the answer so that the connection can be used again, without the rest of the data. */
  async #abandonCopyOut(): Promise<void> {
    await this.#sendCancel();
    while (true) {
      await this.#wire.readCopyData(() => {});
      const message = await this.#readMessage();
      if (message.type === "Z") {
        this.#status = String.fromCharCode(message.body[0]!);
        return;
      }
      if (message.type !== "E") continue;
      const error = await this.#errorAfter(message, "copy data out");
      if (!(error instanceof DatabaseError)) throw error; // the cancelled COPY says so: expected
      return;
    }
  }

  async #readAnswer(
    doing: string,
    options: { keepRows?: boolean; inCopy?: boolean } = {},
  ): Promise<{ rows: Row[]; tag: string }> {
    let shape = NO_ROWS;
    let rows: Row[] = [];
    let tag = "";
    while (true) {
      const message = this.#wire.next() ?? await this.#wire.read();
      switch (message.type) {
        case "T":
          shape = this.#readShape(message.body);
          rows = [];
          break;
        case "D":
          if (options.keepRows !== false) rows.push(this.#readRow(message.body, shape));
          break;
        case "C": {
          const text = tagOf(message);
          if (tag === "" || text !== "SET") tag = text;
          break;
        }
        case "E":
          throw await this.#errorAfter(message, doing);
        case "G":
          await this.#wire.write(frame("f", this.#codec.encode("no data was given\0")));
          break;
        case "Z":
          this.#status = String.fromCharCode(message.body[0]!);
          return { rows, tag };
      }
    }
  }

  /** The next message that is not a notice, a changed parameter or a notification. */
  async #readMessage(): Promise<Message> {
    while (true) {
      const message = await this.#wire.read();
      if (!"NSA".includes(message.type)) return message;
    }
  }

  /** Reads on to the end of the failed answer and returns the error. */
  async #errorAfter(message: Message, doing: string): Promise<BackupError> {
    const facts = parseErrorFields(message.body, decodeLoosely);
    const cancelled = facts.sqlState === "57014" && this.#cancelAsked;
    const error = new DatabaseError(doing, facts, ...(cancelled ? ["cancelled" as const] : []));
    if (error.fatal) {
      this.#wire.fail(error);
      return error;
    }
    while (true) {
      const next = await this.#readMessage();
      if (next.type !== "Z") continue;
      const wasFailed = this.#status === "E";
      this.#status = String.fromCharCode(next.body[0]!);
      // What comes after the failure in a transaction that is lost says nothing of why.
      if (wasFailed && error.sqlState === "25P02") return this.#abortedBy ?? error;
      this.#abortedBy = error;
      return error;
    }
  }

  #readShape(body: Uint8Array): RowShape {
    const count = readUint16(body, 0);
    const columns: RowShape["columns"] = [];
    let at = 2;
    for (let index = 0; index < count; index++) {
      const end = body.indexOf(0, at);
      if (end < 0 || end + 18 > body.length) {
        throw this.#wire.fail(garbage("a cut row description"));
      }
      const name = this.#codec.decode(body.subarray(at, end));
      columns.push({ name, parse: parserOf(readInt32(body, end + 7) >>> 0, this.#codec) });
      at = end + 19;
    }
    return { columns, blank: Object.fromEntries(columns.map(({ name }) => [name, null])) };
  }

  #readRow(body: Uint8Array, { columns, blank }: RowShape): Row {
    const row: Row = { ...blank };
    let at = 2;
    for (const { name, parse } of columns) {
      const length = readInt32(body, at);
      at += 4;
      if (length < 0) continue;
      if (at + length > body.length) throw this.#wire.fail(garbage("a cut row"));
      row[name] = parse(body, at, at + length);
      at += length;
    }
    return row;
  }
}

function tagOf({ body }: Message): string {
  return decodeLoosely(body.subarray(0, -1));
}

function rowsOf(tag: string): number {
  return Number(/ (\d+)$/.exec(tag)?.[1] ?? 0);
}
