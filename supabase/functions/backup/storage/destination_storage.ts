/**
 * A storage as a destination: told apart from a bucket of the same name elsewhere, and with hints that name
 * the destination's fields.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { STORAGE_VARIABLES, storageFieldName } from "../core/settings_variables.ts";
import type { StorageConfig } from "../core/storage_settings.ts";
import type { Storage } from "./storage.ts";

/** Name of a destination, and where its settings say that it is. */
export interface DestinationOptions {
  destination: string;
  endpoint?: string | undefined;
  region?: string | undefined;
}

/** The same storage. What is asked of its provider besides goes to it as it is. */
export function destinationStorage(inner: Storage, options: DestinationOptions): Storage {
  const { destination } = options;
  const named = async <T>(run: () => Promise<T>): Promise<T> => {
    try {
      return await run();
    } catch (error) {
      throw withHintsOf(destination, error);
    }
  };
  const { lock, extendLock, probe } = inner;
  return {
    location: locationOf(inner, options),
    ...(lock && { lock }),
    ...(probe && { probe }),
    ...(extendLock && {
      extendLock: (names: readonly string[], until: Date, signal?: AbortSignal) =>
        named(() => extendLock.call(inner, names, until, signal)),
    }),
    put: (name, body, signal) => named(() => inner.put(name, body, signal)),
    get: (name, given) => named(() => inner.get(name, given)),
    head: (name, signal) => named(() => inner.head(name, signal)),
    delete: (name, signal) => named(() => inner.delete(name, signal)),
    async *list(prefix, signal) {
      try {
        yield* inner.list(prefix, signal);
      } catch (error) {
        throw withHintsOf(destination, error);
      }
    },
  };
}

/**
 * What is known of backups is kept by their location: a copy in a bucket of the same name on another server
 * must not be taken for the storage itself.
 */
function locationOf({ location }: Storage, { endpoint, region }: DestinationOptions): string {
  if (location.includes("?") || location.startsWith("file:")) return location;
  if (endpoint !== undefined) return `${location}?endpoint=${new URL(endpoint).origin}`;
  return location.startsWith("s3:") ? `${location}?region=${region ?? "us-east-1"}` : location;
}

/** The same error; where it says which variable to set, it says the destination's field instead. */
export function withHintsOf(destination: string, error: unknown): unknown {
  if (!(error instanceof BackupError) || !error.hint?.includes("BACKUP_STORAGE_")) return error;
  const hint = error.hint.replaceAll(/BACKUP_STORAGE_[A-Z]+(_[A-Z]+)*/g, (variable) => {
    const field = STORAGE_VARIABLES.find(([name]) => name === variable)?.[1];
    return field === undefined
      ? variable
      : storageFieldName(field as keyof StorageConfig, destination);
  });
  const { code, message, details, cause } = error;
  return new BackupError(code, message, {
    ...{ hint, cause },
    ...(details === undefined ? {} : { details }),
  });
}
