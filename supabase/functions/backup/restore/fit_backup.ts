/**
 * Takes out of a backup's statements what the target cannot take and the objects can do without: labels
 * of providers that are not loaded, tablespaces that are not there, if that was accepted, and rights on
 * parameters that a role has anyway.
 *
 * @module
 */
import type { Entry, EntryKind, EntryStatements } from "../core/model.ts";
import { quoteIdentifier } from "../postgres/quote.ts";
import type { BackupFacts, LeftOut, RestoreRequest, TargetFacts } from "./plan_types.ts";
import { providerOf } from "./probe_target.ts";
import { rightGroups, withStatements } from "./statements.ts";

/** Kinds that name the tablespace they lie in. */
const PLACED: readonly EntryKind[] = ["table", "materialized-view", "index", "constraint"];

/** A backup as a target can take it. */
export interface FittedBackup {
  backup: BackupFacts;
  /** What was taken out, by the identity of the entry. */
  leftOut: Map<string, LeftOut[]>;
}

/** Fits a backup to a target. */
export function fitBackup(
  backup: BackupFacts,
  { target, request }: { target: TargetFacts; request: RestoreRequest },
): FittedBackup {
  const leftOut = new Map<string, LeftOut[]>();
  const lacked = request.acceptHazards?.includes("missing-tablespace") === true
    ? lackedTablespaces(backup.entries, target)
    : [];
  const entries = backup.entries.map((entry) => {
    const rights = rightsOnParameter(entry, target);
    // Of tens of thousands of entries hardly any is touched.
    if (rights === null && target.lackedProviders.length + lacked.length === 0) return entry;
    const { create, label } = entry.statements;
    const statements: Partial<EntryStatements> & Pick<EntryStatements, "create"> = { create };
    const notes: LeftOut[] = [];
    for (const provider of target.lackedProviders) {
      const before: string[] = statements.label ?? label;
      const kept = before.filter((sql) => providerOf(sql) !== provider);
      if (kept.length === before.length) continue;
      statements.label = kept;
      const reason = `the target has not loaded the provider ${provider}`;
      notes.push({ identity: `label of ${entry.identity}`, reason });
    }
    for (const name of lacked) {
      if (!liesIn(entry, name)) continue;
      statements.create = statements.create.flatMap((sql) => withoutTablespace(sql, name));
      const reason = `the target has no tablespace ${name}: the default one is taken`;
      notes.push({ identity: `tablespace of ${entry.identity}`, reason });
    }
    if (rights !== null) {
      statements.acl = rights;
      const reason = `${target.clusterOwner} owns the target's cluster and has every right there`;
      const all = rights.length === 0;
      notes.push({ identity: all ? entry.identity : `right on ${entry.name}`, reason });
    }
    if (notes.length === 0) return entry;
    leftOut.set(entry.identity, notes);
    return withStatements(entry, statements);
  });
  return { backup: { ...backup, entries }, leftOut };
}

/** Rights on a parameter without those of the cluster's owner, which no catalog keeps; null if none are. */
function rightsOnParameter(entry: Entry, target: TargetFacts): string[] | null {
  if (entry.kind !== "acl" || !entry.identity.startsWith("acl PARAMETER ")) return null;
  const grantee = ` TO ${quoteIdentifier(target.clusterOwner)}`;
  const groups = rightGroups(entry.statements.acl);
  const kept = groups.filter((group) =>
    !group.at(-1)!.replace(/ WITH GRANT OPTION$/, "").endsWith(grantee)
  );
  if (kept.length === groups.length) return null;
  return kept.flatMap((group) => group.length > 1 ? [...group, "RESET ROLE"] : group);
}

/** Names of tablespaces that the backup knows and the target has not. */
export function lackedTablespaces(entries: readonly Entry[], target: TargetFacts): string[] {
  return entries.filter((entry) => entry.kind === "tablespace").map((entry) => entry.name)
    .filter((name) => !target.tablespaces.includes(name));
}

/** Whether an entry's statements put it into a tablespace. */
export function liesIn({ kind, statements }: Entry, tablespace: string): boolean {
  return PLACED.includes(kind) &&
    statements.create.some((sql) => withoutTablespace(sql, tablespace)[0] !== sql);
}

function withoutTablespace(sql: string, tablespace: string): string[] {
  const name = quoteIdentifier(tablespace).replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  // Text in single quotes is the user's.
  const clauses = new RegExp(`'(?:[^']|'')*'|(?: SET| USING INDEX)?\\sTABLESPACE ${name}`, "g");
  const without = sql.replace(clauses, (found) => found.startsWith("'") ? found : "");
  return sql.startsWith("ALTER INDEX ") && without !== sql ? [] : [without];
}
