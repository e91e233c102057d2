/**
 * Which roles a restore answers for. A cluster has roles of other databases too, which others make and
 * drop while the restore runs.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { quoteIdentifier } from "../postgres/quote.ts";

/**
 * Entries of roles, memberships and settings that the target must hold afterwards: those that the restore
 * made, and those of roles that the restored objects name.
 */
export function expectedRoles(
  restored: readonly Entry[],
  made: ReadonlySet<Entry>,
): Set<Entry> {
  const names = rolesNamed(restored.filter((entry) => !isOfRoles(entry)));
  const roles = restored.filter((entry) =>
    entry.kind === "role" && (made.has(entry) || names(entry.name))
  );
  const keys = new Set(roles.map((entry) => entry.key));
  const expected = new Set(roles);
  for (const entry of restored) {
    if (entry.kind === "role" || !isOfRoles(entry)) continue;
    const involved = [entry.key, ...entry.dependsOn].map(roleKey);
    if (made.has(entry) || involved.every((key) => keys.has(key))) expected.add(entry);
  }
  return expected;
}

/** Whether an entry is a role or belongs to one. */
export function isOfRoles(entry: Entry): boolean {
  return ["role", "role-membership", "role-setting"].includes(entry.kind);
}

/** Tells whether objects have a role as their owner or name it in rights and policies. */
function rolesNamed(entries: readonly Entry[]): (name: string) => boolean {
  const owners = new Set(entries.map((entry) => entry.owner));
  const text = entries.flatMap(({ kind, statements }) =>
    ["policy", "default-acl", "user-mapping"].includes(kind)
      ? [...statements.create, ...statements.acl]
      : statements.acl
  ).join("\n");
  return (name) => owners.has(name) || text.includes(quoteIdentifier(name));
}

/** The role's own key; entries that belong to a role have it as their beginning. */
function roleKey(key: string): string {
  return key.split(":").slice(0, 2).join(":");
}
