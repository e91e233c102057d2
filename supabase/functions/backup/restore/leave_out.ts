/**
 * Takes entries out of a restore, together with everything that cannot stand without them.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import type { LeftOut } from "./plan_types.ts";

/** Entries that are not restored, each with its reason. */
export class LeaveOuts {
  readonly #index: EntryIndex;
  readonly #reasons = new Map<Entry, string>();

  constructor(index: EntryIndex) {
    this.#index = index;
  }

  /** Leaves out one entry only; others may still rely on the target having it. */
  only(entry: Entry, reason: string): void {
    if (!this.#reasons.has(entry)) this.#reasons.set(entry, reason);
  }

  /** Leaves out an entry and all that depends on it; returns what was added. */
  withDependents(entry: Entry, reason: string): Entry[] {
    const added: Entry[] = [];
    for (const each of this.#index.withDependents([entry])) {
      if (this.#reasons.has(each)) continue;
      this.#reasons.set(each, each === entry ? reason : `needs ${entry.identity}, ${reason}`);
      added.push(each);
    }
    return added;
  }

  has(entry: Entry): boolean {
    return this.#reasons.has(entry);
  }

  /** The list for plan and report, in restore order. */
  list(among: Pick<ReadonlySet<Entry>, "has">): LeftOut[] {
    return this.#index.entries
      .filter((entry) => this.#reasons.has(entry) && among.has(entry))
      .map((entry) => ({ identity: entry.identity, reason: this.#reasons.get(entry) ?? "" }));
  }
}
