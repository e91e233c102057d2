/**
 * What the first parts of a round gave. No later worker can change it, so each worker asks once.
 *
 * @module
 */
import type { Lease } from "../../core/part.ts";
import type { PartContext } from "../../jobs/job_definition.ts";

/** The answers of one worker. */
export class KnownResults {
  readonly #known = new Map<string, Promise<unknown>>();

  /** The result of the one part with this name. */
  of<T>({ round }: Lease, { results }: PartContext, name: string): Promise<T> {
    const key = `${round} ${name}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = Array.fromAsync(results(name)).then(([part]) => part!.result);
      known.catch(() => this.#known.delete(key));
      this.#known.set(key, known);
    }
    return known as Promise<T>;
  }
}
