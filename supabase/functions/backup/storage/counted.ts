/**
 * Counts the requests that go to a storage; see `core/work_count.ts`.
 *
 * @module
 */
import { countWork } from "../core/work_count.ts";
import type { Storage } from "./storage.ts";

/** The same storage, counted. */
export function countedStorage(inner: Storage): Storage {
  const { lock, extendLock, probe } = inner;
  return {
    location: inner.location,
    ...(lock && { lock }),
    ...(probe && { probe }),
    ...(extendLock && {
      extendLock(names: readonly string[], until: Date, signal?: AbortSignal) {
        for (const _ of names) countWork("storage", 0);
        return extendLock.call(inner, names, until, signal);
      },
    }),
    put(name, body, signal) {
      countWork("storage", body.length);
      return inner.put(name, body, signal);
    },
    async get(name, options) {
      const bytes = await inner.get(name, options);
      countWork("storage", bytes.length);
      return bytes;
    },
    head(name, signal) {
      countWork("storage", 0);
      return inner.head(name, signal);
    },
    list(prefix, signal) {
      countWork("storage", 0);
      return inner.list(prefix, signal);
    },
    delete(name, signal) {
      countWork("storage", 0);
      return inner.delete(name, signal);
    },
  };
}
