/**
 * How the objects of a live database become those of a backup: what is made, what is dropped for it,
 * what only needs another owner, comment or right.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { EntryIndex, isRows, isTable } from "./entry_index.ts";
import { leftByFormerParents } from "./left_by_former_parents.ts";
import { namesInTheWay } from "./names_in_the_way.ts";
import type { Adjustment, RestoringRole } from "./plan_types.ts";
import { adjustingStatements, sameDefinition } from "./statements.ts";

/** What to compare. */
export interface DiffInput {
  /** Entries to restore, in order, without rows. */
  backup: readonly Entry[];
  live: EntryIndex;
  /** Those of `backup` that are only made when missing. */
  onlyIfMissing: ReadonlySet<Entry>;
  /** Identities of live tables whose rows are replaced. */
  replacedRows: ReadonlySet<string>;
  role: RestoringRole;
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
  const known = new Map(backup.map((entry) => [entry.identity, entry]));
  const changed: Entry[] = [];
  const replaced: Entry[] = [];
  for (const entry of backup) {
    const there = live.byIdentity(entry.identity);
    if (there === undefined || input.onlyIfMissing.has(entry)) continue;
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
  const dropped = withParts(live, [...changed, ...inTheWay, ...left, ...suspended]);
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
    adjust: adjustments(input, dropped),
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

/** What falls with the given entries: all that depends on them, and the parts of partitioned indexes. */
function withParts(live: EntryIndex, start: readonly Entry[]): Set<Entry> {
  const found = live.withDependents(start);
  const goesWithParent = new Set<Entry>();
  for (const entry of found) {
    // A type takes its own functions along, and the empty type that they were made with.
    const shell = entry.kind === "type" ? live.byKey(`${entry.key}:shell`) : undefined;
    if (shell !== undefined && !found.has(shell)) {
      for (const each of live.withDependents([shell])) found.add(each);
    }
    if (entry.kind !== "index-attach") continue;
    const { parent, child } = attachedIndexes(live, entry);
    if (parent === undefined || child === undefined || !found.has(parent)) continue;
    // An index that goes with its whole table leaves those of the partitions standing.
    const table = live.tableOf(parent);
    const isDropped = dropOf(parent).length > 0 || goesWithParent.has(parent);
    if (!isDropped || table === undefined || found.has(table)) continue;
    if (parent.kind === "index" && child.kind === "constraint") {
      // The server refuses to drop an index over a constraint, while the partition is attached.
      const partition = live.tableOf(child);
      for (const each of live.entries) {
        if (each.kind === "table-attach" && live.tableOf(each) === partition) found.add(each);
      }
    } else {
      goesWithParent.add(child);
      for (const each of live.withDependents([child])) found.add(each);
    }
  }
  const fallen = [...found].filter((entry) => !isRows(entry) && entry.kind !== "refresh");
  return new Set(withoutStanding(live, new Set(fallen)));
}

/** Without indexes that have no DROP of their own and do not go with another: their partition is detached. */
function withoutStanding(live: EntryIndex, fallen: ReadonlySet<Entry>): Entry[] {
  const detached = new Set<Entry | undefined>();
  const parents = new Map<Entry | undefined, Entry | undefined>();
  for (const entry of live.entries) {
    if (entry.kind === "table-attach" && fallen.has(entry)) detached.add(live.tableOf(entry));
    if (entry.kind !== "index-attach") continue;
    const { parent, child } = attachedIndexes(live, entry);
    parents.set(child, parent);
  }
  const goes = (index: Entry): boolean => {
    if (dropOf(index).length > 0) return fallen.has(index);
    const table = live.tableOf(index);
    if (table === undefined || fallen.has(table)) return true;
    const parent = parents.get(index);
    return !detached.has(table) && parent !== undefined && goes(parent);
  };
  return [...fallen].filter((entry) =>
    entry.kind !== "index" && entry.kind !== "constraint" || goes(entry)
  );
}

/** The index of a partitioned table and that of a partition; the attachment is named after the latter. */
function attachedIndexes(
  live: EntryIndex,
  attachment: Entry,
): { parent?: Entry | undefined; child?: Entry | undefined } {
  const indexes = live.dependencies(attachment).filter((each) =>
    each.kind === "index" || each.kind === "constraint"
  );
  const child = indexes.find(({ kind, schema, name }) =>
    schema === attachment.schema &&
    (name === attachment.name || kind === "constraint" && name.endsWith(` ${attachment.name}`))
  );
  return { parent: indexes.find((each) => each !== child), child };
}

/** Foreign keys stand in the way of detaching partitions, and these in the way of dropping indexes. */
function dropRank(entry: Entry): number {
  const rank = ["foreign-key", "table-attach"].indexOf(entry.kind);
  return rank < 0 ? 2 : rank;
}

/** Live entries that would act or stand in the way while rows are loaded: dropped, then made again. */
function suspendedEntries(input: DiffInput): Set<Entry> {
  const { live, replacedRows, role } = input;
  const acting = withPartitionedTables(live, replacedRows);
  const suspended = new Set<Entry>();
  const ownRole = `FOR ROLE "${role.name.replaceAll('"', '""')}"`;
  for (const entry of live.entries) {
    if (entry.managed === true || entry.extension !== undefined) continue;
    if (entry.kind === "event-trigger") {
      if (role.superuser || entry.owner === role.name) suspended.add(entry);
    } else if (entry.kind === "default-acl") {
      if (entry.statements.acl.some((sql) => sql.includes(ownRole))) suspended.add(entry);
    } else if (entry.kind === "trigger") {
      const table = live.tableOf(entry);
      if (table === undefined || !acting.has(table.identity)) continue;
      // Tables of the platform are loaded in replica mode, in which ordinary triggers do not fire.
      if (table.managed !== true || firesInReplicaMode(entry)) suspended.add(entry);
    } else if (entry.kind === "index") {
      // Building an index once is faster than keeping it up row by row.
      const table = live.tableOf(entry);
      const isReplaced = table?.kind === "table" && replacedRows.has(table.identity);
      if (isReplaced && table.managed !== true && dropOf(entry).length > 0) suspended.add(entry);
    } else if (entry.kind === "check-constraint" && entry.section === "post-data") {
      // One that is not valid: the rows of the backup may break it, as they did in the source.
      const table = live.tableOf(entry);
      if (table !== undefined && acting.has(table.identity)) suspended.add(entry);
    } else if (entry.kind === "foreign-key") {
      const tables = live.dependencies(entry).filter(isTable);
      if (tables.some((table) => acting.has(table.identity))) suspended.add(entry);
    }
  }
  return suspended;
}

/** The tables and every partitioned table above them, whose triggers and foreign keys act on each partition. */
function withPartitionedTables(live: EntryIndex, tables: ReadonlySet<string>): Set<string> {
  const all = new Set(tables);
  const attachments = live.entries.filter((entry) => entry.kind === "table-attach");
  for (let known = -1; known !== all.size;) {
    known = all.size;
    for (const attachment of attachments) {
      const child = live.tableOf(attachment);
      if (child === undefined || !all.has(child.identity)) continue;
      for (const parent of live.dependencies(attachment)) {
        if (isTable(parent)) all.add(parent.identity);
      }
    }
  }
  return all;
}

/** Whether a trigger fires under `session_replication_role = replica`. */
function firesInReplicaMode(trigger: Entry): boolean {
  return trigger.statements.create.some((sql) => /\sENABLE (ALWAYS|REPLICA) TRIGGER\s/.test(sql));
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

const NAME = '"(?:[^"]|"")*"(?:\\."(?:[^"]|"")*")?';
const OWNED_BY = new RegExp(`^(ALTER SEQUENCE ${NAME} OWNED BY) `, "su");
const ATTACH = new RegExp(`^(ALTER TABLE (?:ONLY )?${NAME}) ATTACH PARTITION (${NAME}) `, "su");

/**
 * Statements that remove an entry. A sequence is cut loose from its column, and a partition from its
 * parent, before the table goes: it would go with it.
 */
function dropOf(entry: Entry): string[] {
  if (entry.statements.drop.length > 0) return entry.statements.drop;
  return entry.statements.create.flatMap((sql) => {
    const owned = OWNED_BY.exec(sql);
    if (owned !== null) return [`${owned[1]} NONE`];
    const attached = ATTACH.exec(sql);
    return attached === null ? [] : [`${attached[1]} DETACH PARTITION ${attached[2]}`];
  });
}

/** Backups only alter schema public, which a new database has; a target that lost it gets it as new. */
function withPublicMade(entry: Entry): Entry {
  if (entry.identity !== 'schema SCHEMA "public"' || entry.statements.create.length > 0) {
    return entry;
  }
  const create = ['CREATE SCHEMA "public"', 'GRANT USAGE ON SCHEMA "public" TO PUBLIC'];
  return { ...entry, statements: { ...entry.statements, create } };
}

function withDrop(entry: Entry): Entry {
  return { ...entry, statements: { ...entry.statements, drop: dropOf(entry) } };
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
