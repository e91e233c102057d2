/**
 * Runs pg_dump as WebAssembly. It talks to its server by blocking calls, which JavaScript has only in a
 * worker that waits for another thread; the thread that owns the socket is {@link ./wasm_pg_dump.ts}.
 *
 * @module
 */
import { pgDump } from "@electric-sql/pglite-tools/pg_dump";
import { textOfBytes } from "./bytes_as_text.ts";

/** What the worker is told first. */
export interface DumpOrder {
  args: string[];
  /** {@linkcode STATE} and {@linkcode LENGTH} as 32-bit numbers, then bytes from the server. */
  shared: SharedArrayBuffer;
}

/** What the worker says. */
export type DumpWord =
  | { kind: "write"; bytes: Uint8Array }
  | { kind: "read" }
  | { kind: "done"; dump: string }
  | { kind: "failed"; reason: string };

/** Index of the flag that the worker waits for: 1 when the bytes are there. */
export const STATE = 0;
/** Index of their number; negative when the server has closed the connection. */
export const LENGTH = 1;
/** Bytes before the data. */
export const HEADER_BYTES = 8;

const scope = globalThis as unknown as {
  onmessage: (event: MessageEvent<DumpOrder>) => void;
  postMessage(word: DumpWord): void;
};

// Every dump makes the module anew; it is compiled once for all dumps of this worker.
const instantiate = WebAssembly.instantiate;
let compiled: Promise<WebAssembly.Module> | undefined;
WebAssembly.instantiate = (async (bytes: BufferSource, imports?: WebAssembly.Imports) => {
  compiled ??= WebAssembly.compile(bytes);
  const module = await compiled;
  return { module, instance: await instantiate(module, imports) };
}) as typeof WebAssembly.instantiate;

scope.onmessage = async ({ data }) => {
  try {
    scope.postMessage({ kind: "done", dump: await dump(data) });
  } catch (error) {
    scope.postMessage({ kind: "failed", reason: String(error) });
  }
};

async function dump({ args, shared }: DumpOrder): Promise<string> {
  const wire = new BlockingWire(shared);
  const database = {
    query: () => Promise.resolve({ rows: [{ search_path: "" }] }),
    exec: () => Promise.resolve([]),
    execProtocolRawStream(bytes: Uint8Array, { onRawData }: { onRawData(b: Uint8Array): void }) {
      const answer = wire.send(bytes.slice());
      if (answer.length > 0) onRawData(answer);
    },
  };
  // The module reads its file as UTF-8, but a dump is in the encoding of its database.
  const usual = globalThis.TextDecoder;
  globalThis.TextDecoder = ByteDecoder as unknown as typeof TextDecoder;
  try {
    // deno-lint-ignore no-explicit-any -- it uses these three members of a PGlite and no other
    const file = await pgDump({ pg: database as any, args });
    return new usual().decode(await file.arrayBuffer());
  } finally {
    globalThis.TextDecoder = usual;
  }
}

/** Each byte is the character of its number. */
class ByteDecoder {
  decode = textOfBytes;
}

/** Sends what pg_dump writes, and gives back all that the server says to it. */
class BlockingWire {
  readonly #state: Int32Array;
  readonly #data: Uint8Array;
  #started = false;
  #written: Uint8Array = new Uint8Array();
  #expectsAnswer = false;

  constructor(shared: SharedArrayBuffer) {
    this.#state = new Int32Array(shared, 0, 2);
    this.#data = new Uint8Array(shared, HEADER_BYTES);
  }

  /** The answer, or nothing while the server has not been asked to give one. */
  send(bytes: Uint8Array): Uint8Array {
    scope.postMessage({ kind: "write", bytes });
    this.#written = joined([this.#written, bytes]);
    this.#cutMessages();
    if (this.#written.length > 0 || !this.#expectsAnswer) return new Uint8Array();
    this.#expectsAnswer = false;
    const chunks: Uint8Array[] = [];
    const end = new AnswerEnd();
    do {
      const chunk = this.#read();
      if (chunk === null) break;
      chunks.push(chunk);
      end.add(chunk);
    } while (!end.reached);
    return joined(chunks);
  }

  /** Takes whole messages off what was written, and notes those that the server answers. */
  #cutMessages(): void {
    for (;;) {
      const typeBytes = this.#started ? 1 : 0;
      if (this.#written.length < typeBytes + 4) return;
      const view = new DataView(this.#written.buffer, this.#written.byteOffset);
      const length = typeBytes + view.getUint32(typeBytes);
      if (this.#written.length < length) return;
      const type = String.fromCharCode(this.#written[0]!);
      if (!this.#started || "QSF".includes(type)) this.#expectsAnswer = true;
      this.#started = true;
      this.#written = this.#written.subarray(length);
    }
  }

  #read(): Uint8Array | null {
    Atomics.store(this.#state, STATE, 0);
    scope.postMessage({ kind: "read" });
    Atomics.wait(this.#state, STATE, 0);
    const length = Atomics.load(this.#state, LENGTH);
    return length < 0 ? null : this.#data.slice(0, length);
  }
}

/** Finds where the server has said all it has to say: ReadyForQuery. */
class AnswerEnd {
  #header: number[] = [];
  #body = 0;
  reached = false;

  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#body > 0) {
        const skipped = Math.min(this.#body, chunk.length - at);
        this.#body -= skipped;
        at += skipped;
      } else {
        this.#header.push(chunk[at++]!);
        if (this.#header.length < 5) continue;
        const [type, ...length] = this.#header;
        this.#body = new DataView(Uint8Array.from(length).buffer).getUint32(0) - 4;
        this.#header = [];
        this.#type = String.fromCharCode(type!);
      }
      this.reached = this.#type === "Z" && this.#body === 0 && this.#header.length === 0;
    }
  }

  #type = "";
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
