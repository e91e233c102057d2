/**
 * How the objects of a live database become those of a backup: what is made, what is dropped for it,
 * what only needs another owner, comment or right.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { dropOf } from "./drop_of.ts";
import type { EntryIndex } from "./entry_index.ts";
import { attachedIndexes, fallenWith } from "./fallen_with.ts";
import { leftByFormerParents } from "./left_by_former_parents.ts";
import { namesInTheWay } from "./names_in_the_way.ts";
import type { Adjustment } from "./plan_types.ts";
import { adjustingStatements, sameDefinition, withStatements } from "./statements.ts";
import { suspendedEntries, type SuspendedInput } from "./suspended_entries.ts";

/** What to compare. */
export interface DiffInput extends SuspendedInput {
  /** Entries to restore, in order, without rows. */
  backup: readonly Entry[];
  /** Those of `backup` that are only made when missing. */
  onlyIfMissing: ReadonlySet<Entry>;
}

/** The difference. Lists are in the order of execution. */
export interface Diff {
  drop: Entry[];
  create: Entry[];
  adjust: Adjustment[];
  /** Entries of `backup` that exist in another form and are replaced, and row security it has not. */
  replaced: Entry[];
  /** Live entries unknown to the backup that are dropped and tried again. */
  again: Entry[];
  /** Live entries unknown to the backup that are dropped because they hold names that it needs. */
  inTheWay: Entry[];
  /** Live tables unknown to the backup that are dropped. */
  lostTables: Entry[];
  /** Entries of the platform that would have to be dropped. */
  managed: Entry[];
}

/** Kinds that are never dropped for a restore: they hold others, or belong to more than a database. */
const NEVER_DROPPED = [
  "role",
  "role-membership",
  "role-setting",
  "tablespace",
  "database",
  "database-setting",
  "schema",
  "extension",
  "language",
  "acl",
];

/** Computes the difference. */
export function diffLive(input: DiffInput): Diff {
  const { backup, live } = input;
  // Only live ones are ever asked for.
  const standing = backup.filter((entry) => live.byIdentity(entry.identity) !== undefined);
  const known = new Map(standing.map((entry) => [entry.identity, entry]));
  const changed: Entry[] = [];
  const replaced: Entry[] = [];
  for (const entry of standing) {
    const there = live.byIdentity(entry.identity)!;
    if (input.onlyIfMissing.has(entry)) continue;
    if (NEVER_DROPPED.includes(entry.kind) || sameDefinition(entry, there)) continue;
    changed.push(there);
    replaced.push(entry);
    // What has no DROP of its own is changed by making its table again.
    if (dropOf(there).length === 0) {
      const attached = there.kind === "index-attach" ? attachedIndexes(live, there) : {};
      // An index that the backup does not know holds what belongs to another one.
      if (attached.parent !== undefined && !known.has(attached.parent.identity)) {
        changed.push(attached.parent);
      }
      const part = attached.child ?? there;
      const table = live.tableOf(part);
      if (table !== undefined) changed.push(table);
    }
  }
  const switchedOff = rowSecurityToSwitchOff(input, known);
  changed.push(...switchedOff);
  replaced.push(...switchedOff);
  const inTheWay = namesInTheWay(backup, live, known);
  const left = leftByFormerParents(backup, live);
  const suspended = suspendedEntries(input);
  const dropped = fallenWith(live, [...changed, ...inTheWay, ...left, ...suspended]);
  const notAgain = new Set([...switchedOff, ...inTheWay, ...left]);
  const unknown = [...dropped].filter((entry) => !known.has(entry.identity));
  const lost = unknown.filter((entry) => entry.kind === "table");
  const goneWithLost = live.withDependents(lost);
  const back = unknown.filter((entry) => !goneWithLost.has(entry) && !notAgain.has(entry));
  const makeAgain = new Set(back);
  return {
    drop: inOrder(live, dropped).reverse().sort((a, b) => dropRank(a) - dropRank(b)).map(withDrop)
      .filter((entry) => entry.statements.drop.length > 0),
    create: merge(
      backup.filter((entry) => {
        const there = live.byIdentity(entry.identity);
        return there === undefined || dropped.has(there);
      }).map(withPublicMade),
      inOrder(live, makeAgain),
    ),
    adjust: adjustments({ ...input, backup: standing }, dropped),
    replaced,
    again: back.filter((entry) => !suspended.has(entry)),
    inTheWay: inTheWay.filter((entry) => !goneWithLost.has(entry)),
    lostTables: lost,
    managed: [...dropped].filter((entry) => entry.managed === true),
  };
}

/**
 * Row security of live tables that have none in the backup. It is a state of its table, not an object
 * that could stay: the table would not be the backup's, and without policies it would look empty.
 */
function rowSecurityToSwitchOff(input: DiffInput, known: ReadonlyMap<string, Entry>): Entry[] {
  return input.live.entries.filter((entry) => {
    if (entry.kind !== "row-security" || entry.managed === true) return false;
    if (known.has(entry.identity)) return false;
    const table = known.get(input.live.tableOf(entry)?.identity ?? "");
    return table !== undefined && !input.onlyIfMissing.has(table);
  });
}

/** Foreign keys stand in the way of detaching partitions, and these in the way of dropping indexes. */
function dropRank(entry: Entry): number {
  const rank = ["foreign-key", "table-attach"].indexOf(entry.kind);
  return rank < 0 ? 2 : rank;
}

function adjustments(input: DiffInput, dropped: ReadonlySet<Entry>): Adjustment[] {
  const list: Adjustment[] = [];
  for (const entry of input.backup) {
    const there = input.live.byIdentity(entry.identity);
    if (there === undefined || dropped.has(there) || input.onlyIfMissing.has(entry)) continue;
    const statements = adjustingStatements(there, entry);
    if (["database", "database-setting", "role-setting"].includes(entry.kind)) {
      if (!sameDefinition(entry, there)) statements.unshift(...entry.statements.create);
    }
    if (statements.length > 0) list.push({ identity: entry.identity, statements });
  }
  return list;
}

/** Backups only alter schema public, which a new database has; a target that lost it gets it as new. */
function withPublicMade(entry: Entry): Entry {
  if (entry.identity !== 'schema SCHEMA "public"' || entry.statements.create.length > 0) {
    return entry;
  }
  const create = ['CREATE SCHEMA "public"', 'GRANT USAGE ON SCHEMA "public" TO PUBLIC'];
  return withStatements(entry, { create });
}

function withDrop(entry: Entry): Entry {
  return withStatements(entry, { drop: dropOf(entry) });
}

function inOrder(index: EntryIndex, entries: Iterable<Entry>): Entry[] {
  return [...entries].sort((a, b) => index.position(a) - index.position(b));
}

/** Entries of the backup first, then live ones, within each section. */
function merge(backup: readonly Entry[], live: readonly Entry[]): Entry[] {
  const sections = ["pre-data", "data", "post-data"];
  return sections.flatMap((section) =>
    [...backup, ...live].filter((entry) => entry.section === section)
  );
}
