/**
 * Lets one at a time use something, in the order of asking.
 *
 * @module
 */

/** The right to use it. */
export interface Turn {
  /** Gives it to the next; safe to repeat. */
  readonly end: () => void;
}

/** Hands out turns. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Waits for one's turn. */
  async take(): Promise<Turn> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    await before;
    return { end: resolve };
  }
}
