/**
 * Runs the statements of entries, and says which entry failed.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Entry } from "../core/model.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import { quoteIdentifier } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import type { LeftOut } from "./plan_types.ts";
import { rightSteps } from "./statements.ts";

/** Refusals that mean "this role may not": right lacking, role unknown, grant without grant option. */
export const RIGHT_STATES: readonly string[] = ["42501", "42704", "0LP01", "0P000"];

/**
 * Runs statements in one round trip.
 *
 * @throws {BackupError} with the entry's identity in front of the server's message
 */
export async function runStatements(
  session: Session,
  statements: readonly string[],
  identity: string,
): Promise<void> {
  if (statements.length === 0) return;
  try {
    // The line break ends a comment that a statement may end with.
    await session.execute(statements.join("\n;\n"));
  } catch (error) {
    throw namedError(error, identity);
  }
}

/**
 * Tries statements, all or none of them, inside the open transaction or in one of their own.
 *
 * @returns what the server said, null when they ran
 * @throws {BackupError} for errors other than the SQLSTATEs in `tolerated` (all when absent)
 */
export async function tryStatements(
  session: Session,
  statements: readonly string[],
  options: { identity: string; tolerated?: readonly string[] },
): Promise<string | null> {
  if (statements.length === 0) return null;
  const inside = session.inTransaction;
  await session.execute(inside ? "SAVEPOINT try_statements" : "BEGIN");
  try {
    await session.execute(statements.join("\n;\n"));
    await session.execute(inside ? "RELEASE SAVEPOINT try_statements" : "COMMIT");
    return null;
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw namedError(error, options.identity);
    await session.execute(inside ? "ROLLBACK TO SAVEPOINT try_statements" : "ROLLBACK");
    if (options.tolerated !== undefined && !options.tolerated.includes(error.sqlState)) {
      throw namedError(error, options.identity);
    }
    return error.facts.serverMessage;
  }
}

/** Makes entries and gives them to their owners, with what the restoring role may not do left out. */
export class EntryRunner {
  /** What could not be done, for the report. */
  readonly leftOut: LeftOut[] = [];
  /** Whether rights that the restoring role lacks are reported instead of failing the restore. */
  readonly lenient: boolean;
  readonly #unusableRoles: ReadonlySet<string>;

  constructor(options: { lenient: boolean; unusableRoles: readonly string[] }) {
    this.lenient = options.lenient;
    this.#unusableRoles = new Set(options.unusableRoles);
  }

  /** Creates the object, gives it to its owner, comments and labels it. */
  async make(session: Session, entry: Entry): Promise<void> {
    const { create, owner, comment, label } = entry.statements;
    const keepsOwner = entry.owner !== null && this.#unusableRoles.has(entry.owner);
    if (keepsOwner && owner.length > 0) {
      this.leftOut.push({
        identity: entry.identity,
        reason: `it stays with the restoring role, which may not give it to ${entry.owner}`,
      });
    }
    if (!this.lenient) {
      const statements = [...create, ...(keepsOwner ? [] : owner), ...comment, ...label];
      await runStatements(session, statements, entry.identity);
      return;
    }
    // Comments first: afterwards the object may belong to someone else.
    await runStatements(session, create, entry.identity);
    await this.attempt(session, [...comment, ...label], entry.identity, "its comments and labels");
    if (!keepsOwner) await this.#give(session, entry);
  }

  /** A new owner needs CREATE on the schema, for as long as it takes. */
  async #give(session: Session, entry: Entry): Promise<void> {
    const { identity, owner, schema } = { ...entry, owner: entry.statements.owner };
    const options = { identity, tolerated: RIGHT_STATES };
    let refusal = await tryStatements(session, owner, options);
    if (refusal !== null && schema !== null && entry.owner !== null) {
      const what = `CREATE ON SCHEMA ${quoteIdentifier(schema)}`;
      const role = quoteIdentifier(entry.owner);
      const statements = [`GRANT ${what} TO ${role}`, ...owner, `REVOKE ${what} FROM ${role}`];
      refusal = await tryStatements(session, statements, options);
    }
    if (refusal !== null) this.leftOut.push({ identity, reason: `its owner: ${refusal}` });
  }

  /** Grants and takes the rights of an entry. */
  async grant(session: Session, entry: Entry): Promise<void> {
    const { acl } = entry.statements;
    if (!this.lenient) return await runStatements(session, acl, entry.identity);
    const options = { identity: entry.identity, tolerated: RIGHT_STATES };
    if (await tryStatements(session, acl, options) === null) return;
    // One by one: what takes rights away must not be lost with what cannot be given.
    for (const step of rightSteps(entry)) {
      await this.attempt(session, step.statements.acl, entry.identity, "its rights");
    }
  }

  /** Makes something that is reported when the role lacks the right to it. */
  async attempt(session: Session, statements: string[], identity: string, what: string) {
    if (!this.lenient) return await runStatements(session, statements, identity);
    const refusal = await tryStatements(session, statements, { identity, tolerated: RIGHT_STATES });
    if (refusal !== null) this.leftOut.push({ identity, reason: `${what}: ${refusal}` });
  }
}

/** An entry in steps that can fail one by one: made, given to its owner, described. */
export function stepsOf(entry: Entry): Entry[] {
  const none = { create: [], drop: [], owner: [], comment: [], label: [], acl: [] };
  return (["create", "owner", "comment", "label"] as const)
    .filter((list) => entry.statements[list].length > 0)
    .map((list) => ({ ...entry, statements: { ...none, [list]: entry.statements[list] } }));
}

/** The error with the object that it is about in front. */
export function namedError(error: unknown, identity: string): unknown {
  if (!(error instanceof BackupError)) return error;
  return new BackupError(error.code, `Cannot restore ${identity}: ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.details === undefined ? {} : { details: error.details }),
    cause: error,
  });
}
