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
  /** Memory that the answer may be put into, if it is long enough. Nobody may look at it until `get` has ended. */
  room?: Uint8Array;
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

  /**
   * Removes an object; no error when there is none.
   * @throws `storage_refused` also when a lock holds it
   */
  delete(name: string, signal?: AbortSignal): Promise<void>;

  /** The lock that `put` gives to every object; absent where objects are not locked. */
  readonly lock?: ObjectLock;

  /**
   * Keeps objects from being deleted or replaced at least until then, and gives them the legal hold where
   * one is set. A lock that lasts longer stays as it is. Absent where objects are not locked.
   * @throws `storage_missing` when one is not there, `storage_refused`, `storage_unreachable`
   */
  extendLock?(names: readonly string[], until: Date, signal?: AbortSignal): Promise<void>;

  /** What only a check of the provider asks; absent where nothing can be asked. */
  readonly probe?: ProviderProbe;
}

/** How long and how firmly objects are kept from deletion. */
export interface ObjectLock {
  /** `compliance` binds everybody, `governance` all but those with a right of their own; null: no lock. */
  mode: "governance" | "compliance" | null;
  /** From the moment of storing, or of the latest use by a new backup. */
  days: number;
  /** Held without an end besides, until somebody takes the hold away. */
  legalHold: boolean;
}

/** Questions about a provider that keeping backups does not need. None of them is tried again. */
export interface ProviderProbe {
  /**
   * Sends an object over one that is there, on the condition that there is none, and without asking first.
   */
  overwrite(name: string, body: Uint8Array, signal?: AbortSignal): Promise<"refused" | "done">;

  /**
   * Takes the bytes of an object away for good, with every version of it. With `bypassLock` the right to
   * get round a `governance` lock or a hold is used.
   */
  destroy(
    name: string,
    options: { bypassLock: boolean; signal?: AbortSignal },
  ): Promise<"refused" | "done">;

  /** Whether the credentials reach more than this bucket; null where that cannot be asked. */
  reachesMore(signal?: AbortSignal): Promise<boolean | null>;
}
