/**
 * What objects of a target depend on, where its catalog was read in slices, which do not tell: as those of
 * the backup do, which have the same identities. Pure.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { sameList } from "./statements.ts";
import { firesInReplicaMode } from "./suspended_entries.ts";

/** What stands against it. */
interface KnownInput {
  /** Entries of the backup. */
  backup: readonly Entry[];
  /** Whether the restoring role may set session_replication_role. */
  replicaMode: boolean;
}

/**
 * Entries of a target in the order of the backup, each with what its like in the backup depends on. Those
 * that the backup does not know come last and depend on nothing.
 *
 * @returns null where it would matter for a filling what one of these depends on
 */
export function knownToBackup(live: readonly Entry[], input: KnownInput): Entry[] | null {
  const places = new Map<string, number>();
  for (const [at, { identity }] of input.backup.entries()) places.set(identity, at);
  const known: { entry: Entry; at: number }[] = [];
  const unknown: Entry[] = [];
  const keys = new Map<string, string>();
  for (const entry of live) {
    const at = places.get(entry.identity);
    if (at === undefined) {
      unknown.push(entry);
      continue;
    }
    known.push({ entry, at });
    keys.set(input.backup[at]!.key, entry.key);
  }
  if (unknown.length > 0 && matters(unknown, { ...input, known: known.map(({ at }) => at) })) {
    return null;
  }
  known.sort((a, b) => a.at - b.at);
  for (const { entry, at } of known) {
    const like = input.backup[at]!;
    const { dependsOn } = like;
    const isAlike = dependsOn.every((key) => keys.get(key) === key);
    entry.dependsOn = isAlike ? dependsOn : dependsOn.flatMap((key) => keys.get(key) ?? []);
    // Both sides are held at once: what they have in common is held once.
    entry.identity = like.identity;
    entry.name = like.name;
    if (saysTheSame(entry, like)) entry.statements = like.statements;
  }
  return [...known.map(({ entry }) => entry), ...unknown];
}

function saysTheSame({ statements: one }: Entry, { statements: other }: Entry): boolean {
  // Names one by one: statements that are packed do not list theirs.
  const names = ["create", "drop", "owner", "comment", "label", "acl"] as const;
  return names.every((name) => sameList(one[name], other[name]));
}

/**
 * Whether what is restored may be touched by an object that the backup does not know: something that acts on
 * rows where it cannot be kept from it, row security of its tables, and views to be filled again. Partitions and row security are
 * named after their tables.
 */
function matters(
  unknown: readonly Entry[],
  { backup, replicaMode, known }: KnownInput & { known: readonly number[] },
): boolean {
  const nameOf = ({ schema, name }: Entry) => JSON.stringify([schema, name]);
  const tables = new Set(backup.filter(({ kind }) => kind === "table").map(nameOf));
  const there = new Set(known);
  // A table that becomes a partition again may have kept keys and triggers of its parent.
  const attaches = backup.some(({ kind }, at) => kind === "table-attach" && !there.has(at));
  return unknown.some((entry) => {
    switch (entry.kind) {
      case "foreign-key":
        return !replicaMode || attaches;
      case "trigger":
        return !replicaMode || attaches || firesInReplicaMode(entry);
      case "check-constraint":
        return entry.section === "post-data";
      case "row-security":
      case "table-attach":
        return tables.has(nameOf(entry));
      case "refresh":
        return true;
      default:
        return false;
    }
  });
}
