/**
 * What a trial has started is ended also when the trial is interrupted.
 *
 * @module
 */

const started = new Set<AsyncDisposable>();

/** Notes what has to be ended; the answer, which ends it, forgets it again. */
export function endedOnInterrupt<T extends AsyncDisposable>(resource: T): T {
  const dispose = resource[Symbol.asyncDispose].bind(resource);
  const noted: T = Object.assign(resource, {
    async [Symbol.asyncDispose]() {
      started.delete(noted);
      await dispose();
    },
  });
  started.add(noted);
  return noted;
}

/** Ends everything that is noted, the latest first: servers go after those who are connected to them. */
export async function endAll(): Promise<void> {
  for (const resource of [...started].reverse()) {
    try {
      await resource[Symbol.asyncDispose]();
    } catch {
      // The others have to be ended all the same, and the program ends with an error anyway.
    }
  }
}

/** Makes the program end in order when it is told to. */
export function endInOrder(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => void endAll().then(() => Deno.exit(130)));
  }
}
