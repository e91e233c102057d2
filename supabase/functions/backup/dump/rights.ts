/**
 * Rights: the GRANT and REVOKE statements that lead from what a new object has to what the source had.
 *
 * The base is the built-in default (`acldefault`), or the rights at the end of CREATE EXTENSION or
 * initdb where the server remembers them (pg_init_privs). A restore therefore makes objects while no
 * ALTER DEFAULT PRIVILEGES of the target widens them.
 *
 * @module
 */
import { quoteIdentifier } from "../postgres/quote.ts";
import type { Draft, DraftRights } from "./context.ts";

/** Privilege letters of aclitem by GRANT's keyword for the kind of object, in the order of output. */
const PRIVILEGES: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  TABLE: [
    ["r", "SELECT"],
    ["a", "INSERT"],
    ["x", "REFERENCES"],
    ["d", "DELETE"],
    ["t", "TRIGGER"],
    ["D", "TRUNCATE"],
    ["m", "MAINTAIN"],
    ["w", "UPDATE"],
  ],
  COLUMN: [["r", "SELECT"], ["a", "INSERT"], ["x", "REFERENCES"], ["w", "UPDATE"]],
  SEQUENCE: [["r", "SELECT"], ["U", "USAGE"], ["w", "UPDATE"]],
  FUNCTION: [["X", "EXECUTE"]],
  LANGUAGE: [["U", "USAGE"]],
  SCHEMA: [["C", "CREATE"], ["U", "USAGE"]],
  DATABASE: [["C", "CREATE"], ["c", "CONNECT"], ["T", "TEMPORARY"]],
  TABLESPACE: [["C", "CREATE"]],
  TYPE: [["U", "USAGE"]],
  "FOREIGN DATA WRAPPER": [["U", "USAGE"]],
  "FOREIGN SERVER": [["U", "USAGE"]],
  PARAMETER: [["s", "SET"], ["A", "ALTER SYSTEM"]],
  "LARGE OBJECT": [["r", "SELECT"], ["w", "UPDATE"]],
};

/** Keywords that share the privileges of another one. */
const SAME_AS: Readonly<Record<string, string>> = {
  PROCEDURE: "FUNCTION",
  ROUTINE: "FUNCTION",
  AGGREGATE: "FUNCTION",
  "FOREIGN TABLE": "TABLE",
  DOMAIN: "TYPE",
  TABLES: "TABLE",
  SEQUENCES: "SEQUENCE",
  FUNCTIONS: "FUNCTION",
  TYPES: "TYPE",
  SCHEMAS: "SCHEMA",
  "LARGE OBJECTS": "LARGE OBJECT",
};

/** One aclitem, read. */
export interface AclItem {
  /** Role name, empty for PUBLIC. */
  grantee: string;
  grantor: string;
  /** Letters, each with whether it may be granted on. */
  privileges: Map<string, boolean>;
}

/**
 * Reads an aclitem's text form, `grantee=letters/grantor` with `*` for the grant option.
 *
 * @throws {TypeError} when the text is not an aclitem
 */
export function parseAclItem(text: string): AclItem {
  const [grantee, afterGrantee] = takeRoleName(text, 0);
  const slash = text.indexOf("/", afterGrantee);
  if (text[afterGrantee] !== "=" || slash < 0) {
    throw new TypeError(`Cannot read the access right ${text}: it is not an aclitem`);
  }
  const [grantor] = takeRoleName(text, slash + 1);
  const privileges = new Map<string, boolean>();
  for (const [, letter, star] of text.slice(afterGrantee + 1, slash).matchAll(/([a-zA-Z])(\*?)/g)) {
    privileges.set(letter!, star === "*");
  }
  return { grantee, grantor, privileges };
}

/**
 * The rights that schema public has in a new database once it is given to an owner. Those remembered by
 * the source would mislead: there are none of a public that was dropped and made again.
 *
 * @param ownersDefault what `acldefault` says for the owner
 */
export function rightsOfNewPublic(ownersDefault: readonly string[]): string[] {
  return ownersDefault.flatMap((own) => {
    const [, afterGrantee] = takeRoleName(own, 0);
    return [own, `=U${own.slice(own.indexOf("/", afterGrantee))}`];
  });
}

/** The role name that starts at `from`, without its quotes, and where it ends. */
function takeRoleName(text: string, from: number): [string, number] {
  let name = "";
  let at = from;
  let quoted = false;
  for (; at < text.length; at++) {
    const char = text[at]!;
    if (char === '"') {
      if (quoted && text[at + 1] === '"') {
        name += '"';
        at++;
      } else quoted = !quoted;
    } else if (!quoted && (char === "=" || char === "/")) break;
    else name += char;
  }
  return [name, at];
}

/** What a run of GRANTs and REVOKEs is about. */
export interface RightsTarget {
  /** GRANT's keyword for the kind of object, such as TABLE. */
  grantType: string;
  /** `TABLE "public"."t"`, or `TABLES` for default privileges. */
  on: string;
  /** Quoted column for column rights. */
  column?: string;
  /** Put before GRANT and REVOKE: `ALTER DEFAULT PRIVILEGES … `. */
  prefix?: string;
  owner: string | null;
}

/** Statements that turn the rights `base` into the rights `acl`; both as aclitem texts. */
export function rightsStatements(
  base: readonly string[],
  acl: readonly string[],
  target: RightsTarget,
): string[] {
  const prefix = target.prefix ?? "";
  const revokes: string[] = [];
  const ownersGrants: string[] = [];
  const grants: string[] = [];
  for (const text of base) {
    if (acl.includes(text)) continue;
    const item = parseAclItem(text);
    const privileges = privilegeLists(item, target, false).plain;
    if (privileges === "") continue;
    revokes.push(`${prefix}REVOKE ${privileges} ON ${target.on} FROM ${roleName(item.grantee)}`);
  }
  for (const text of acl) {
    if (base.includes(text)) continue;
    const item = parseAclItem(text);
    const lists = privilegeLists(item, target, true);
    const owner = target.owner;
    const statements: string[] = [];
    if (lists.plain !== "") {
      statements.push(`${prefix}GRANT ${lists.plain} ON ${target.on} TO ${roleName(item.grantee)}`);
    }
    if (lists.grantable !== "") {
      statements.push(
        `${prefix}GRANT ${lists.grantable} ON ${target.on} TO ${roleName(item.grantee)}` +
          " WITH GRANT OPTION",
      );
    }
    if (statements.length === 0) continue;
    const asGrantor = owner !== null && item.grantor !== owner && prefix === "";
    if (asGrantor) {
      statements.unshift(`SET ROLE ${quoteIdentifier(item.grantor)}`);
      statements.push("RESET ROLE");
    }
    // An owner who took rights from himself needs his own before others build on them.
    const list = item.grantee === owner && item.grantor === owner ? ownersGrants : grants;
    list.push(...statements);
  }
  return [...revokes, ...ownersGrants, ...grants];
}

function roleName(grantee: string): string {
  return grantee === "" ? "PUBLIC" : quoteIdentifier(grantee);
}

/** The privileges of an item in words: `ALL` where it holds every one of its kind. */
function privilegeLists(
  item: AclItem,
  target: RightsTarget,
  splitGrantable: boolean,
): { plain: string; grantable: string } {
  const type = SAME_AS[target.grantType] ?? target.grantType;
  const known = PRIVILEGES[target.column === undefined ? type : "COLUMN"];
  if (known === undefined) {
    throw new TypeError(`Cannot write rights on ${target.on}: unknown kind ${target.grantType}`);
  }
  const plain: string[] = [];
  const grantable: string[] = [];
  for (const [letter, word] of known) {
    const withOption = item.privileges.get(letter);
    if (withOption === undefined) continue;
    (withOption && splitGrantable ? grantable : plain).push(word);
  }
  const inWords = (words: string[]) => {
    const listed = words.length === known.length ? ["ALL"] : words;
    return listed.map((word) => target.column === undefined ? word : `${word}(${target.column})`)
      .join(",");
  };
  return { plain: inWords(plain), grantable: inWords(grantable) };
}

/** The `acl` statements of a draft: on the object, then on its columns. */
export function draftRights(draft: Draft): string[] {
  const rights = draft.rights;
  if (rights === undefined) return [];
  const { acl, initial, columns } = rights;
  if (acl === null && initial === null && columns === undefined) return [];
  const target: RightsTarget = {
    grantType: rights.grantType,
    on: `${rights.grantType} ${rights.grantName}`,
    owner: ownerOf(rights),
  };
  const statements = changedRights(rights.acl, rights.initial, rights.aclDefault, target);
  for (const column of rights.columns ?? []) {
    const name = quoteIdentifier(column.name);
    statements.push(
      ...changedRights(column.acl, column.initial, [], { ...target, column: name }),
    );
  }
  return statements;
}

function changedRights(
  acl: string[] | null,
  initial: string[] | null,
  builtIn: string[],
  target: RightsTarget,
): string[] {
  if (acl === null && initial === null) return [];
  return rightsStatements(initial ?? builtIn, acl ?? builtIn, target);
}

/** The owner is the grantor of the built-in rights; objects without any have him in their ACL only. */
function ownerOf(rights: DraftRights): string | null {
  const first = rights.aclDefault[0];
  return first === undefined ? null : parseAclItem(first).grantor;
}
