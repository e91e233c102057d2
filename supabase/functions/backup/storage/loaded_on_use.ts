/**
 * A storage whose client is large: it is loaded with the first question to the storage, so that a start
 * of the service, and a request that needs no storage, do not pay for it.
 *
 * @module
 */
import type { ObjectLock, ProviderProbe, Storage } from "./storage.ts";

/** What is known of a storage before it is loaded. */
export interface KnownStorage {
  location: string;
  lock: ObjectLock | null;
}

/** The storage that `load` gives, which has a probe, and locks where `lock` is known. */
export function loadedOnUse(
  { location, lock }: KnownStorage,
  load: () => Promise<Storage & { probe: ProviderProbe }>,
): Storage {
  let loading: ReturnType<typeof load> | undefined;
  const storage = () => loading ??= load();
  const probe: ProviderProbe = {
    overwrite: async (...given) => await (await storage()).probe.overwrite(...given),
    destroy: async (...given) => await (await storage()).probe.destroy(...given),
    reachesMore: async (...given) => await (await storage()).probe.reachesMore(...given),
  };
  return {
    location,
    probe,
    ...(lock && {
      lock,
      async extendLock(...given) {
        const { extendLock } = await storage();
        await extendLock?.(...given);
      },
    }),
    put: async (...given) => await (await storage()).put(...given),
    get: async (...given) => await (await storage()).get(...given),
    head: async (...given) => await (await storage()).head(...given),
    delete: async (...given) => await (await storage()).delete(...given),
    async *list(...given) {
      yield* (await storage()).list(...given);
    },
  };
}
