/**
 * What a thread opens for all of its tasks.
 *
 * @module
 */

/** Something that is opened at once, and again for who asks after that has failed: a thread outlives a short outage. */
export class Opening<T> {
  readonly #open: () => Promise<T>;
  #last: Promise<T>;
  #hasFailed = false;

  constructor(open: () => Promise<T>) {
    this.#open = open;
    this.#last = this.#begin();
  }

  /** What was opened. @throws what opening it threw, to all who waited for that */
  opened(): Promise<T> {
    if (this.#hasFailed) this.#last = this.#begin();
    return this.#last;
  }

  /** Waits until nothing is being opened. Whoever asked for it hears of a failure. */
  async settled(): Promise<void> {
    await this.#last.catch(() => {});
  }

  #begin(): Promise<T> {
    this.#hasFailed = false;
    const opening = this.#open();
    opening.catch(() => this.#hasFailed = true);
    return opening;
  }
}
