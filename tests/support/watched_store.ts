/**
 * A store of parts that a test looks at while workers use it.
 *
 * @module
 */
import type { Lease, Reported } from "../../supabase/functions/backup/core/part.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";

const WATCHED: ReadonlySet<string | symbol> = new Set(["claim", "renew", "complete", "fail"]);

/** Told of each part that is taken, of what became of each report, and whether a heartbeat found its lease lost. */
export interface StoreEars {
  taken: (lease: Lease) => void;
  reported: (outcome: Reported) => void;
  renewed?: (lost: boolean) => void;
}

/** The store, with somebody who listens. */
export function watchedStore(store: PartStore, ears: StoreEars): PartStore {
  return new Proxy(store, {
    get(inner, method) {
      const value = Reflect.get(inner, method, inner);
      if (typeof value !== "function") return value;
      if (!WATCHED.has(method)) return value.bind(inner);
      return async (...given: unknown[]) => {
        const result = await value.apply(inner, given);
        if (method === "renew") ears.renewed?.(result.lost);
        else if (method !== "claim") ears.reported(result);
        else if (result !== null) ears.taken(result);
        return result;
      };
    },
  });
}
