/**
 * The contract of a place that keeps objects. Every storage passes `testStorage()` of
 * `tests/support/storage_suite.ts`; nothing above this layer knows which one it talks to.
 *
 * @module
 */

/** What a listing says about an object. */
export interface StoredObject {
  name: string;
  sizeBytes: number;
  /** By the storage's clock; null where it does not tell. */
  modifiedAt: Date | null;
}

/** What is read of an object. */
export interface GetOptions {
  from?: number;
  to?: number;
  /** Most bytes that the answer may have. @default no bound */
  maxBytes?: number;
  signal?: AbortSignal;
}

/**
 * Keeps immutable objects under names. Names are relative, `/`-separated, of `[A-Za-z0-9._=-]` per
 * segment, never with empty or dot segments.
 *
 * Demands on every implementation:
 * - read after write: what `put` has answered for is seen by `get`, `head` and `list`;
 * - atomicity: no partial object is ever seen, whenever the writer dies;
 * - write once: `put` never changes an object that exists;
 * - errors are `BackupError`s with the `storage_*` codes; only `storage_unreachable` may be retried.
 */
export interface Storage {
  /** Where this is, for people: a URL without credentials. */
  readonly location: string;

  /**
   * Stores an object. `created` is false when one of that name was there; it was left as it is.
   * @throws `storage_unreachable`, `storage_refused`, `storage_full`
   */
  put(name: string, body: Uint8Array, signal?: AbortSignal): Promise<{ created: boolean }>;

  /**
   * The whole object, or bytes [from, to) of it. An object of more than `maxBytes` is not read into
   * memory: whoever writes to a bucket can put anything of any size under a name of ours.
   * @throws `storage_missing`, `storage_unreachable`, `storage_refused`, `object_oversized`
   */
  get(name: string, options?: GetOptions): Promise<Uint8Array>;

  /** Size and time of an object, null when there is none. */
  head(name: string, signal?: AbortSignal): Promise<StoredObject | null>;

  /** All objects whose name starts with `prefix`, in order of name (UTF-8 bytes). */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<StoredObject>;

  /** Removes an object; no error when there is none. */
  delete(name: string, signal?: AbortSignal): Promise<void>;
}
