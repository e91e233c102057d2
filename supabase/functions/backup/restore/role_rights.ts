/**
 * What a restoring role without superuser rights does about roles: joins them for a while, makes them
 * as far as it may.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { quoteIdentifier } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import type { LeftOut } from "./plan_types.ts";
import { joinableRoles } from "./read_target.ts";
import { type EntryRunner, RIGHT_STATES, runStatements, tryStatements } from "./run_statements.ts";

/**
 * Makes the restoring role a member of roles, so that it may act on what they own. Harmless for roles
 * that it is a member of.
 *
 * @returns roles that refused
 */
export async function borrowRoles(
  session: Session,
  roles: readonly string[],
  to?: string,
): Promise<LeftOut[]> {
  const refused: LeftOut[] = [];
  const member = to === undefined ? "CURRENT_USER" : quoteIdentifier(to);
  for (const name of roles) {
    const refusal = await tryStatements(
      session,
      [`GRANT ${quoteIdentifier(name)} TO ${member}`],
      { identity: `role ${name}`, tolerated: RIGHT_STATES },
    );
    if (refusal !== null) {
      refused.push({ identity: `role ${name}`, reason: `membership for the restore: ${refusal}` });
    }
  }
  return refused;
}

/**
 * Ends the memberships that {@linkcode borrowRoles} took.
 *
 * @returns roles that refused
 */
export async function returnRoles(
  session: Session,
  roles: readonly string[],
  from: string,
): Promise<LeftOut[]> {
  const refused: LeftOut[] = [];
  for (const name of roles) {
    const identity = `role ${name}`;
    const revoke = `REVOKE ${quoteIdentifier(name)} FROM ${quoteIdentifier(from)}`;
    const refusal = await tryStatements(session, [revoke], { identity, tolerated: RIGHT_STATES });
    if (refusal !== null) {
      refused.push({ identity, reason: `end of the membership: ${refusal}` });
    }
  }
  return refused;
}

/**
 * Roles that own relations here and that the restoring role could join but has not: without them it may
 * not even read what it is about to replace. None for superusers.
 */
export async function ownersToBorrow(session: Session): Promise<string[]> {
  const rows = await session.query<{ name: string }>(`
    select distinct o.rolname::text as name
      from pg_catalog.pg_class c
      join pg_catalog.pg_roles o on o.oid = c.relowner
     where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and c.oid >= 16384 and not o.rolsuper
       and not pg_catalog.pg_has_role(o.oid, 'USAGE') and o.oid in (${
    joinableRoles(session.serverVersion)
  })
     order by 1`);
  return rows.map(({ name }) => name);
}

/** Makes a role, a membership or a setting of a role as far as the restoring role may. */
export async function makeOfCluster(
  entry: Entry,
  { session, role, runner }: {
    session: Session;
    role: { superuser: boolean };
    runner: EntryRunner;
  },
): Promise<void> {
  const { create, comment, label } = entry.statements;
  if (entry.kind !== "role" || role.superuser) {
    // Memberships and settings of roles that this role does not govern are reported.
    const statements = [...create, ...comment, ...label];
    return await runner.attempt(session, statements, entry.identity, "it");
  }
  const { plain, privileged } = roleStatements(entry);
  await runStatements(session, plain, entry.identity);
  await runner.attempt(session, privileged, entry.identity, "its attributes");
  await runner.attempt(session, [...comment, ...label], entry.identity, "its comment");
}

/**
 * A role's statements for a role that is no superuser: naming an attribute that only a superuser may
 * change is refused even where nothing changes, so those stand apart, and the ones a new role has
 * anyhow are not named.
 */
export function roleStatements(role: Entry): { plain: string[]; privileged: string[] } {
  const plain: string[] = [];
  const privileged: string[] = [];
  for (const sql of role.statements.create) {
    const found =
      /^(ALTER ROLE "(?:[^"]|"")*") WITH ([A-Z ]*?)((?:CONNECTION LIMIT|VALID UNTIL) .*)?$/s
        .exec(sql);
    if (found === null) {
      plain.push(sql);
      continue;
    }
    const [, alter, words = "", rest = ""] = found;
    const wanted = words.trim().split(" ").filter((word) => word !== "");
    const usual = wanted.filter((word) => ["INHERIT", "NOINHERIT", "LOGIN"].includes(word));
    const special = wanted.filter((word) => !word.startsWith("NO") && !usual.includes(word));
    plain.push(`${alter} WITH ${[...usual, rest].join(" ").trim()}`);
    for (const word of special) privileged.push(`${alter} WITH ${word}`);
  }
  return { plain, privileged };
}
