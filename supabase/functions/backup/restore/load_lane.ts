/**
 * A session that loads parts, one after the other: while the server takes the rows of one, the first of
 * the next are read, decrypted and unpacked.
 *
 * @module
 */
import { Turns } from "../core/turns.ts";
import type { Session } from "../postgres/session.ts";
import { type LoadItem, loadPartAtOnce, type ReadPieces } from "./load_rows.ts";

/** Parts that make sense at a time: one at the session, one behind it. */
export const PARTS_A_LANE = 2;

/** See the module. */
export class LoadLane {
  readonly #session: Session;
  readonly #turns = new Turns();
  #busy = 0;

  constructor(session: Session) {
    this.#session = session;
  }

  /** Parts that were given to it and are not done. */
  get busy(): number {
    return this.#busy;
  }

  /** Loads a part when its turn comes. @throws as `loadPart` */
  async load(item: LoadItem & { readPieces: ReadPieces }): Promise<void> {
    this.#busy++;
    const { slices, leave } = begin(item.readPieces(item.part.pieces));
    const turn = await this.#turns.take();
    try {
      await loadPartAtOnce(this.#session, { ...item, readPieces: () => slices });
    } finally {
      this.#busy--;
      turn.end();
      await leave();
    }
  }
}

/** The same slices; the first one is fetched at once. `leave` frees what those that nobody asked for would need. */
function begin<T>(
  source: AsyncIterable<T>,
): { slices: AsyncIterable<T>; leave: () => Promise<void> } {
  const iterator = source[Symbol.asyncIterator]();
  const first = iterator.next();
  first.catch(() => {}); // thrown again to whoever reads
  const slices = (async function* () {
    for (let next = await first; next.done !== true; next = await iterator.next()) {
      yield next.value;
    }
  })();
  return { slices, leave: async () => void await iterator.return?.() };
}
