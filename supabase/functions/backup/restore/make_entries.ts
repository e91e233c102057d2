/**
 * Makes the objects of a plan: many in one round trip where nothing stands against it, and one by one
 * to find out which of them fails.
 *
 * @module
 */
import type { Entry, EntryStatements } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import { concernsOneObject, type Failures } from "./failures.ts";
import { type EntryRunner, runStatements, stepsOf, tryStatements } from "./run_statements.ts";
import { rightSteps } from "./statements.ts";

/** What {@linkcode EntryMaker} works with. */
export interface EntryMakerOptions {
  runner: EntryRunner;
  failures: Failures;
  /** Keys of entries that are made if they still fit. */
  optional: readonly string[];
}

/** Entries that go to the server together. */
const BATCH_ENTRIES = 100;

/** See the module. */
export class EntryMaker {
  readonly #runner: EntryRunner;
  readonly #failures: Failures;
  readonly #optional: ReadonlySet<string>;
  /** Keys of optional entries that no longer fit. */
  readonly #unfit = new Set<string>();

  constructor({ runner, failures, optional }: EntryMakerOptions) {
    this.#runner = runner;
    this.#failures = failures;
    this.#optional = new Set(optional);
  }

  /** Creates objects in their order, with owner, comments and labels. */
  async makeAll(session: Session, entries: readonly Entry[], onBatch: () => void): Promise<void> {
    for (const batch of batchesOf(entries)) {
      onBatch();
      const possible = batch.filter((entry) => !this.#failures.blocks(entry));
      if (await this.#makeBatch(session, possible)) continue;
      for (const entry of possible) await this.makeOrReport(session, entry);
    }
  }

  /** Creates one object. One whose comment or owner fails is still there. */
  async makeOrReport(session: Session, entry: Entry): Promise<void> {
    if (!this.#failures.goesOn) return await this.#make(session, entry);
    if (this.#failures.blocks(entry)) return;
    for (const step of stepsOf(entry)) {
      const work = () => this.#make(session, step);
      const isCreate = step.statements.create.length > 0;
      if (!isCreate) await this.#failures.attempt(entry.identity, work);
      else if (!await this.#failures.makes(entry, work)) return;
    }
  }

  /** Grants and takes the rights of objects, in their order. */
  async grantAll(session: Session, entries: readonly Entry[]): Promise<void> {
    const granted = entries.filter(({ key, statements }) =>
      statements.acl.length > 0 && !this.#unfit.has(key)
    );
    for (const batch of batchesOf(granted)) {
      const possible = batch.filter((entry) => !this.#failures.blocks(entry));
      const isPlain = !this.#runner.lenient;
      if (isPlain && await this.#together(session, possible, ({ acl }) => acl)) continue;
      for (const entry of possible) {
        await this.#failures.attemptInSteps(entry.identity, {
          whole: entry,
          steps: rightSteps(entry),
          run: (step) => this.#runner.grant(session, step),
        });
      }
    }
  }

  /** Makes entries in one transaction; false when they have to be made one by one. */
  async #makeBatch(session: Session, entries: readonly Entry[]): Promise<boolean> {
    if (!this.#runner.lenient) return await this.#together(session, entries, madeBy);
    const leftOut = this.#runner.leftOut.length;
    return await this.#tryBatch(session, async () => {
      await session.execute("BEGIN");
      for (const entry of entries) await this.#make(session, entry);
      await session.execute("COMMIT");
    }, () => this.#runner.leftOut.length = leftOut);
  }

  /** Runs the statements of entries in one round trip, all or none of them. */
  async #together(
    session: Session,
    entries: readonly Entry[],
    statementsOf: (statements: EntryStatements) => string[],
  ): Promise<boolean> {
    const statements = entries.flatMap((entry) => statementsOf(entry.statements));
    const identity = `${entries.length} objects`;
    return await this.#tryBatch(session, () => runStatements(session, statements, identity));
  }

  /** In the caller's transaction, which a failure would end, nothing is tried. */
  async #tryBatch(
    session: Session,
    work: () => Promise<void>,
    undo: () => void = () => {},
  ): Promise<boolean> {
    if (!this.#failures.goesOn || session.inTransaction) return false;
    try {
      await work();
      return true;
    } catch (error) {
      if (session.inTransaction) await session.execute("ROLLBACK");
      if (!concernsOneObject(error)) throw error;
      undo();
      return false;
    }
  }

  async #make(session: Session, entry: Entry): Promise<void> {
    if (!this.#optional.has(entry.key)) return await this.#runner.make(session, entry);
    const refusal = await tryStatements(session, madeBy(entry.statements), {
      identity: entry.identity,
    });
    if (refusal === null) return;
    this.#unfit.add(entry.key);
    this.#runner.leftOut.push({
      identity: entry.identity,
      reason: `the backup does not know it, and it no longer fits: ${refusal}`,
    });
  }
}

function madeBy({ create, owner, comment, label }: EntryStatements): string[] {
  return [...create, ...owner, ...comment, ...label];
}

function batchesOf(entries: readonly Entry[]): Entry[][] {
  return Array.from(
    { length: Math.ceil(entries.length / BATCH_ENTRIES) },
    (_, at) => entries.slice(at * BATCH_ENTRIES, (at + 1) * BATCH_ENTRIES),
  );
}
