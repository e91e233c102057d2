/**
 * A storage in memory: for tests, and the plainest statement of what a storage does.
 *
 * @module
 */
import { type Clock, systemClock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { checkName, compareNames } from "./names.ts";
import { refuseOversized } from "./oversized.ts";
import type { Storage, StoredObject } from "./storage.ts";

/** A storage in memory. `objects` is open, so that a test can damage what is stored. */
export interface MemoryStorage extends Storage {
  readonly objects: Map<string, { body: Uint8Array; modifiedAt: Date }>;
}

/** Makes an empty storage in memory. */
export function memoryStorage(clock: Clock = systemClock): MemoryStorage {
  const objects: MemoryStorage["objects"] = new Map();
  const describe = (name: string): StoredObject | null => {
    const object = objects.get(name);
    return object ? { name, sizeBytes: object.body.length, modifiedAt: object.modifiedAt } : null;
  };
  return {
    location: "memory:",
    objects,
    async put(name, body, signal) {
      await turn(signal);
      if (objects.has(checkName(name))) return { created: false };
      objects.set(name, { body: body.slice(), modifiedAt: clock.now() });
      return { created: true };
    },
    async get(name, { from, to, maxBytes, signal } = {}) {
      await turn(signal);
      const object = objects.get(checkName(name));
      if (!object) {
        throw new BackupError("storage_missing", `Cannot read ${name}: the storage has none`);
      }
      const bytes = object.body.subarray(from ?? 0, to ?? object.body.length);
      refuseOversized(name, bytes.length, maxBytes);
      return bytes.slice();
    },
    async head(name, signal) {
      await turn(signal);
      return describe(checkName(name));
    },
    async *list(prefix, signal) {
      const names = [...objects.keys()].filter((name) => name.startsWith(prefix));
      for (const name of names.sort(compareNames)) {
        await turn(signal);
        const object = describe(name);
        if (object) yield object;
      }
    },
    async delete(name, signal) {
      await turn(signal);
      objects.delete(checkName(name));
    },
  };
}

/** Lets others run, as real input and output would, and heeds the signal. */
async function turn(signal: AbortSignal | undefined): Promise<void> {
  await Promise.resolve();
  signal?.throwIfAborted();
}
