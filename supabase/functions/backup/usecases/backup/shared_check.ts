/**
 * One check for all who wait for one: with thousands of locks to count it costs the server as much as the
 * rows of a small table.
 *
 * @module
 */

/** At most this share of the time goes into checks as long as somebody is still at work. */
const PAUSE_PER_CHECK = 9;

/** A check that parts of a backup share. Each gets one that began after it asked. */
export class SharedCheck<T> {
  readonly #check: () => Promise<T>;
  #last: Promise<unknown> = Promise.resolve();
  #next: { result: Promise<T>; begin: () => void } | undefined;
  #restUntilMs = 0;
  #working = 0;

  constructor(check: () => Promise<T>) {
    this.#check = check;
  }

  /** Works, and then asks for a check. */
  async after<R>(work: () => Promise<R>): Promise<{ result: R; checked: Promise<T> }> {
    this.#working += 1;
    let result: R;
    try {
      result = await work();
    } finally {
      this.#working -= 1;
      if (this.#working === 0) this.#next?.begin();
    }
    return { result, checked: this.#soon() };
  }

  /** Waits until nothing is being checked any more; a check that was to come has come. */
  async settled(): Promise<void> {
    this.#next?.begin();
    await this.#last;
  }

  #soon(): Promise<T> {
    const next = this.#next ??= this.#plan();
    if (this.#working === 0) next.begin();
    return next.result;
  }

  #plan(): { result: Promise<T>; begin: () => void } {
    const pause = Promise.withResolvers<void>();
    const timer = setTimeout(pause.resolve, Math.max(0, this.#restUntilMs - performance.now()));
    const begin = () => {
      clearTimeout(timer);
      pause.resolve();
    };
    const result = Promise.all([pause.promise, this.#last]).then(async () => {
      this.#next = undefined;
      const begunMs = performance.now();
      try {
        return await this.#check();
      } finally {
        const endedMs = performance.now();
        this.#restUntilMs = endedMs + PAUSE_PER_CHECK * (endedMs - begunMs);
      }
    });
    this.#last = result.catch(() => {}); // whoever asked has the error
    return { result, begin };
  }
}
