/**
 * What a restore into an empty database could not make, while it went on with the rest.
 *
 * On the day when a backup is needed, nine hundred tables of a thousand are better than none. Over a
 * live database nothing of this applies: there the first failure takes everything back.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "../core/errors.ts";
import type { Entry } from "../core/model.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import { isRows } from "./entry_index.ts";
import type { LeftOut } from "./plan_types.ts";

/** One object that failed. */
export interface Failure {
  identity: string;
  code: ErrorCode;
  /** The server's code; null where the failure is not the server's. */
  sqlState: string | null;
  message: string;
}

/** Collects failures, and knows what cannot be made for want of what failed. */
export class Failures {
  readonly failed: Failure[] = [];
  /** What was not tried, because it needs something that failed. */
  readonly skipped: LeftOut[] = [];
  readonly #goOn: boolean;
  readonly #concerns: (error: unknown) => error is BackupError;
  /** Keys of definitions that are not there, with the identity of the one that failed. */
  readonly #unmade = new Map<string, string>();

  /**
   * Without `goOn` every failure is thrown and nothing is collected. `unmade` is what others of the same
   * restore could not make before. `concerns` says of an error whether the next object may succeed after it.
   */
  constructor(
    options: {
      goOn: boolean;
      unmade?: Iterable<[key: string, cause: string]>;
      /** @default {@linkcode concernsOneObject} */
      concerns?: (error: unknown) => boolean;
    },
  ) {
    const { goOn, concerns = concernsOneObject } = options;
    this.#goOn = goOn;
    this.#concerns = (error): error is BackupError => concerns(error);
    for (const [key, cause] of options.unmade ?? []) this.#unmade.set(key, cause);
  }

  /** Keys of definitions that are not there, with the identity of the one that failed. */
  get unmade(): [key: string, cause: string][] {
    return [...this.#unmade];
  }

  /** Whether work goes on after failures. */
  get goesOn(): boolean {
    return this.#goOn;
  }

  /** Whether the entry cannot be made, because it, or something that it needs, failed. Reports it once. */
  blocks(entry: Entry): boolean {
    if (this.#unmade.has(entry.key)) return true;
    const cause = entry.dependsOn.map((key) => this.#unmade.get(key)).find((each) => each);
    if (cause === undefined) return false;
    this.skipped.push({ identity: entry.identity, reason: `it needs ${cause}, which failed` });
    // Other rows can do without the rows that they refer to, until their foreign key is made.
    if (!isRows(entry)) this.#unmade.set(entry.key, cause);
    return true;
  }

  /** Whether this failed, or was not tried. */
  names(identity: string): boolean {
    return [...this.failed, ...this.skipped].some((each) => each.identity === identity);
  }

  /** Makes the object of an entry; when that fails, what needs it will not be tried. */
  async makes(entry: Entry, work: () => Promise<void>): Promise<boolean> {
    const made = await this.attempt(entry.identity, work);
    if (!made && !isRows(entry)) this.#unmade.set(entry.key, entry.identity);
    return made;
  }

  /** Does at once what nothing else needs; when that fails, step by step. */
  async attemptInSteps<T>(
    identity: string,
    work: { whole: T; steps: readonly T[]; run: (step: T) => Promise<void> },
  ): Promise<void> {
    if (!this.#goOn) return await work.run(work.whole);
    try {
      return await work.run(work.whole);
    } catch (error) {
      if (!this.#concerns(error)) throw error;
    }
    for (const step of work.steps) await this.attempt(identity, () => work.run(step));
  }

  /**
   * Does something that nothing else needs.
   *
   * @throws {BackupError} what concerns more than one object: a lost connection, a full disk, a cancel
   */
  async attempt(identity: string, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.record(this.failureOf(identity, error));
      return false;
    }
  }

  /** What an error means for one object. @throws {BackupError} the error, when it concerns more than one */
  failureOf(identity: string, error: unknown): Failure {
    if (!this.#goOn || !this.#concerns(error)) throw error;
    return {
      identity,
      code: error.code,
      sqlState: databaseErrorOf(error)?.sqlState ?? null,
      message: databaseErrorOf(error)?.facts.serverMessage ?? error.message,
    };
  }

  /** Notes a failure, also one that somebody else met. What needs `entry` will not be tried. */
  record(failure: Failure, entry: Entry | null = null): void {
    this.#add(failure);
    if (entry !== null && !isRows(entry)) this.#unmade.set(entry.key, entry.identity);
  }

  /** One line for an object, also when each of its parts fails. */
  #add(failure: Failure): void {
    if (!this.failed.some((each) => each.identity === failure.identity)) this.failed.push(failure);
  }
}

/** Classes 08, 57 and 58, and a full disk or a full server, will not be better for the next object. */
const OF_THE_SERVER = /^(08|57|58|53[13]00)/;

/** Whether the next object may succeed after this error. */
export function concernsOneObject(error: unknown): error is BackupError {
  if (!(error instanceof BackupError)) return false;
  // A damaged chunk spoils the rows in it, and rows that got lost those of their table.
  if (error.code.startsWith("object_") || error.code === "restore_mismatch") return true;
  const cause = databaseErrorOf(error);
  return cause !== undefined && !cause.fatal && !OF_THE_SERVER.test(cause.sqlState);
}

/** Rollbacks by the server (deadlocks) and locks that were not granted. */
const OF_THE_MOMENT = /^(40|55P03)/;

/** Whether the same may succeed a little later. */
export function mayPass(error: unknown): boolean {
  const state = databaseErrorOf(error)?.sqlState;
  return state !== undefined && OF_THE_MOMENT.test(state);
}

function databaseErrorOf(error: unknown): DatabaseError | undefined {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (each instanceof DatabaseError) return each;
  }
  return undefined;
}
