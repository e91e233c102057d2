/**
 * What of a live database has to be out of the way while rows are loaded.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { quoteIdentifier } from "../postgres/quote.ts";
import { dropOf } from "./drop_of.ts";
import { type EntryIndex, isTable } from "./entry_index.ts";
import type { RestoringRole } from "./plan_types.ts";

/** Where rows are loaded, and by whom. */
export interface SuspendedInput {
  /** What is restored. */
  backup: readonly Entry[];
  live: EntryIndex;
  /** Identities of live tables whose rows are replaced. */
  replacedRows: ReadonlySet<string>;
  role: RestoringRole;
}

/** Live entries that would act or stand in the way while rows are loaded: dropped, then made again. */
export function suspendedEntries(input: SuspendedInput): Set<Entry> {
  const { backup, live, replacedRows, role } = input;
  const schemas = new Set(backup.map((entry) => entry.schema));
  const acting = withPartitionedTables(live, replacedRows);
  // Those of a schema act on what is made in it, all others on everything.
  const rights = ownDefaultRights(live, role).filter(({ schema }) =>
    schema === null || schemas.has(schema)
  );
  const suspended = new Set<Entry>(rights);
  const rowsCome = acting.size > 0;
  for (const entry of live.entries) {
    if (entry.managed === true || entry.extension !== undefined) continue;
    if (entry.kind === "event-trigger") {
      if (role.superuser || entry.owner === role.name) suspended.add(entry);
    } else if (!rowsCome) {
      continue; // no trigger, key or index has anything to act on
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

/** Default privileges of the restoring role: what it makes would be opened by them. */
export function ownDefaultRights(live: EntryIndex, role: RestoringRole): Entry[] {
  const ownRole = `FOR ROLE ${quoteIdentifier(role.name)}`;
  return live.entries.filter((entry) =>
    entry.kind === "default-acl" && entry.managed !== true && entry.extension === undefined &&
    entry.statements.acl.some((sql) => sql.includes(ownRole))
  );
}

/** The tables and every partitioned table above them, whose triggers and foreign keys act on each partition. */
export function withPartitionedTables(live: EntryIndex, tables: ReadonlySet<string>): Set<string> {
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
export function firesInReplicaMode(trigger: Entry): boolean {
  return trigger.statements.create.some((sql) => /\sENABLE (ALWAYS|REPLICA) TRIGGER\s/.test(sql));
}
