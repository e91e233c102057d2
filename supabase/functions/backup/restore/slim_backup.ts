/**
 * What a plan must know of the objects of a backup, and no more: of tens of thousands of tables the
 * statements alone would fill a worker. Pure.
 *
 * @module
 */
import type { DataPart, Entry, EntryKind, TableData } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import { lackedTablespaces } from "./fit_backup.ts";
import type { BackupFacts, RestoreRequest, TargetFacts } from "./plan_types.ts";

/** Kinds that are many, and whose statements a plan asks for only where the target has the object too. */
const SLIM: readonly EntryKind[] = [
  "check-constraint",
  "constraint",
  "default",
  "foreign-key",
  "index",
  "index-attach",
  "materialized-view",
  "row-security",
  "rule",
  "sequence",
  "sequence-set",
  "statistics",
  "table",
  "table-attach",
  "table-data",
  "trigger",
  "view",
];

/** Statements that name what the target may lack. */
const NAMES_OF_TARGET = /COLLATE|TABLESPACE/;

/** Whether {@linkcode slimEntry} leaves statements out. The platform's objects stand in a new project too. */
function isSlim({ kind, managed, extension }: Entry): boolean {
  return SLIM.includes(kind) && managed !== true && extension === undefined;
}

/** An entry without most of what only making the object needs. */
export function slimEntry(entry: Entry): Entry {
  if (!isSlim(entry)) return entry;
  const { create, owner, label, acl } = entry.statements;
  const named = create.filter((sql) => NAMES_OF_TARGET.test(sql));
  const slim = {
    ...entry,
    statements: { create: named, drop: [], owner, comment: [], label, acl },
  };
  return entry.table === undefined ? slim : { ...slim, table: { ...entry.table, columns: [] } };
}

/** Table data without what only loading and comparing need. */
export function slimTableData(data: TableData): TableData {
  const { columnForms: _, ...slim } = data;
  return { ...slim, columns: [], columnTypes: [], fingerprintExpression: null };
}

/** A stored part without where it is stored. */
export function slimDataPart(part: DataPart): DataPart {
  return { ...part, pieces: [], fingerprint: null };
}

/** Whether a request can be planned from slim entries, as far as it tells. */
export function mayPlanSlim(request: RestoreRequest): boolean {
  return request.intoSchema === undefined && request.onlyLost !== true &&
    (request.tables ?? []).length === 0;
}

/** Whether a plan from slim entries is the plan: nothing that was left out matters for this target. */
export function isSlimEnough({ entries }: Pick<BackupFacts, "entries">, target: TargetFacts) {
  // Both would be taken out of statements.
  if (target.lackedProviders.length > 0 || lackedTablespaces(entries, target).length > 0) {
    return false;
  }
  const live = new EntryIndex(target.entries);
  return !entries.some((entry) => isSlim(entry) && live.byIdentity(entry.identity) !== undefined);
}
