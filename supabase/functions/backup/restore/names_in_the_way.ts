/**
 * Live objects that a backup does not know and whose names it needs: a view where its table was, the
 * indexes of a table that got another name, a procedure where its function was.
 *
 * @module
 */
import type { Entry, EntryKind } from "../core/model.ts";
import type { EntryIndex } from "./entry_index.ts";

/** Kinds that share one list of names in a schema; that of a key constraint is its index's. */
const RELATIONS: readonly EntryKind[] = ["table", "view", "materialized-view", "sequence", "index"];

/** Kinds that make a type of their name. */
const TYPES: readonly EntryKind[] = ["type", "table", "view", "materialized-view"];

const KEY_CONSTRAINT = /^constraint CONSTRAINT ("(?:[^"]|"")*") ON ("(?:[^"]|"")*")\./su;
const CONSTRAINT = /^(?:constraint|check-constraint|foreign-key) (CONSTRAINT .*)$/su;
const ROUTINE = /^\S+ (?:FUNCTION|PROCEDURE|AGGREGATE) ("(?:[^"]|"")*"\."(?:[^"]|"")*")\((.*)\)$/su;

/**
 * Finds them. Each is unknown to the backup by its identity, so that dropping it loses it.
 *
 * @param backup what is restored
 * @param known identities of the backup
 */
export function namesInTheWay(
  backup: readonly Entry[],
  live: EntryIndex,
  known: ReadonlyMap<string, Entry>,
): Entry[] {
  const holders = new Map<string, Entry>();
  for (const entry of live.entries) {
    if (known.has(entry.identity) || entry.extension !== undefined) continue;
    for (const name of namesOf(entry)) holders.set(name, entry);
  }
  if (holders.size === 0) return [];
  const missing = backup.filter((entry) => live.byIdentity(entry.identity) === undefined);
  return [...new Set(missing.flatMap(namesOf).flatMap((name) => holders.get(name) ?? []))];
}

/** What an entry occupies: the kind of name and the name, quoted. */
function namesOf(entry: Entry): string[] {
  const names: string[] = [];
  const own = JSON.stringify([entry.schema, entry.name]);
  if (RELATIONS.includes(entry.kind) && !isOwnership(entry)) names.push(`relation ${own}`);
  if (TYPES.includes(entry.kind)) names.push(`type ${own}`);
  const key = KEY_CONSTRAINT.exec(entry.identity);
  if (key !== null) {
    const name = key[1]!.slice(1, -1).replaceAll('""', '"');
    names.push(`relation ${JSON.stringify([entry.schema, name])}`);
  }
  const constraint = CONSTRAINT.exec(entry.identity);
  if (constraint !== null) names.push(constraint[1]!);
  const routine = ROUTINE.exec(entry.identity);
  if (routine !== null) {
    names.push(`routine ${routine[1]}(${routine[2]!.replaceAll(/(^|, )(?:IN|VARIADIC) /g, "$1")})`);
  }
  return names;
}

/** `SEQUENCE OWNED BY` stands beside its sequence under the same name. */
function isOwnership(entry: Entry): boolean {
  return entry.identity.startsWith("sequence SEQUENCE OWNED BY ");
}
