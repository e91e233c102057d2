/**
 * A store of parts that a test looks at while workers use it.
 *
 * @module
 */
import type { Lease, Reported } from "../../supabase/functions/backup/core/part.ts";
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";

/** Told of each part that is taken, and of what became of each report. */
export function watchedStore(
  store: PartStore,
  ears: { taken: (lease: Lease) => void; reported: (outcome: Reported) => void },
): PartStore {
  return new Proxy(store, {
    get(inner, method) {
      const value = Reflect.get(inner, method, inner);
      if (typeof value !== "function") return value;
      if (method !== "claim" && method !== "complete" && method !== "fail") {
        return value.bind(inner);
      }
      return async (...given: unknown[]) => {
        const result = await value.apply(inner, given);
        if (method !== "claim") ears.reported(result);
        else if (result !== null) ears.taken(result);
        return result;
      };
    },
  });
}
