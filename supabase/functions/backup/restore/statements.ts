/**
 * What a plan derives from finished statements: their inverse, and whether two entries say the same.
 *
 * @module
 */
import type { Entry, EntryStatements } from "../core/model.ts";

/** The entry with other statements in some of its lists. */
export function withStatements(entry: Entry, changes: Partial<EntryStatements>): Entry {
  const { create, drop, owner, comment, label, acl } = entry.statements;
  const statements = { create, drop, owner, comment, label, acl, ...changes };
  return { ...entry, statements };
}

/** Whether two entries make the object in the same words. */
export function sameDefinition(a: Entry, b: Entry): boolean {
  if (a.statements === b.statements) return true;
  // Default privileges are nothing but GRANTs and REVOKEs.
  if (a.kind === "default-acl" && !sameList(a.statements.acl, b.statements.acl)) return false;
  return sameList(a.statements.create, b.statements.create);
}

/** Names of the statement lists in which two entries differ. */
export function differingStatements(a: Entry, b: Entry): (keyof EntryStatements)[] {
  const names: (keyof EntryStatements)[] = ["create", "owner", "comment", "label", "acl"];
  return names.filter((name) => !sameList(a.statements[name], b.statements[name]));
}

/** Whether two lists hold the same strings in the same order. */
export function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a === b || a.length === b.length && a.every((statement, at) => statement === b[at]);
}

/**
 * Statements that take an existing object from the owner, comments, labels and rights it has to those
 * of the backup.
 */
export function adjustingStatements(from: Entry, to: Entry): string[] {
  if (from.statements === to.statements) return [];
  const differs = differingStatements(from, to);
  const statements: string[] = [];
  if (differs.includes("acl") || differs.includes("owner")) {
    statements.push(...invertRights(from.statements.acl));
  }
  if (differs.includes("owner")) statements.push(...to.statements.owner);
  for (const list of ["comment", "label"] as const) {
    if (!differs.includes(list)) continue;
    statements.push(...from.statements[list].flatMap(withoutText), ...to.statements[list]);
  }
  if (differs.includes("acl") || differs.includes("owner")) statements.push(...to.statements.acl);
  return statements;
}

/**
 * `COMMENT ON … IS 'text'` as `COMMENT ON … IS NULL`; security labels likewise. Statements in another
 * form (those on the database) have no inverse.
 */
function withoutText(statement: string): string[] {
  if (!/^(COMMENT ON|SECURITY LABEL) /.test(statement)) return [];
  let quoted = false;
  for (let at = 0; at < statement.length; at++) {
    if (statement[at] === '"') quoted = !quoted;
    else if (!quoted && statement.startsWith(" IS ", at)) {
      return [`${statement.slice(0, at)} IS NULL`];
    }
  }
  return [];
}

/** Takes back what a list of GRANT and REVOKE statements did, last one first. */
export function invertRights(statements: readonly string[]): string[] {
  const groups = rightGroups(statements).filter((group) => /^(GRANT|REVOKE) /.test(group.at(-1)!));
  return groups.reverse().flatMap((group) => {
    const inverse = group.map((each) => each.startsWith("SET ROLE ") ? each : invertRight(each));
    return group.length > 1 ? [...inverse, "RESET ROLE"] : inverse;
  });
}

/** The statements of rights one by one, each behind the SET ROLE that it runs under. */
export function rightGroups(statements: readonly string[]): string[][] {
  const groups: string[][] = [];
  let role: string[] | null = null;
  for (const statement of statements) {
    if (statement.startsWith("SET ROLE ")) role = [statement];
    else if (statement === "RESET ROLE") role = null;
    else groups.push([...(role ?? []), statement]);
  }
  return groups;
}

/** The same entry many times, each with one right of it. */
export function rightSteps(entry: Entry): Entry[] {
  return rightGroups(entry.statements.acl).map((group) =>
    withStatements(entry, { acl: group.length > 1 ? [...group, "RESET ROLE"] : group })
  );
}

function invertRight(statement: string): string {
  const { verb, what, role } = splitRight(statement);
  if (verb === "REVOKE") return `GRANT ${what} TO ${role}`;
  return `REVOKE ${what} FROM ${role.replace(/ WITH GRANT OPTION$/, "")}`;
}

function splitRight(statement: string): { verb: string; what: string; role: string } {
  const verb = statement.startsWith("GRANT ") ? "GRANT" : "REVOKE";
  const word = verb === "GRANT" ? " TO " : " FROM ";
  let quoted = false;
  for (let at = verb.length; at < statement.length; at++) {
    if (statement[at] === '"') quoted = !quoted;
    else if (!quoted && statement.startsWith(word, at)) {
      return {
        verb,
        what: statement.slice(verb.length + 1, at),
        role: statement.slice(at + word.length),
      };
    }
  }
  throw new TypeError(`Cannot take back a right: this is not a GRANT or REVOKE: ${statement}`);
}
