/**
 * Plans a restore beside the live objects: one schema, or some tables of it, under another name.
 *
 * The statements are those of the backup, so they name the original schema. While they run, the live
 * schema bears another name; afterwards the new one is renamed and the live one gets its name back.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Entry, EntryKind } from "../core/model.ts";
import { EntryIndex, isRows, isTable } from "./entry_index.ts";
import { planLoads } from "./plan_loads.ts";
import { LeaveOuts } from "./leave_out.ts";
import type { BackupFacts, RestorePlan, RestoreRequest, TargetFacts } from "./plan_types.ts";
import type { Selection } from "./select_entries.ts";
import { ownDefaultRights } from "./suspended_entries.ts";
import { withStatements } from "./statements.ts";

/** Kinds that a copy does without: they would act on, or be seen from, outside. */
const NOT_COPIED: readonly EntryKind[] = [
  "trigger",
  "publication-table",
  "publication-schema",
  "publication",
  "event-trigger",
  "default-acl",
  "subscription",
  "cron-job",
];

/** Input of {@linkcode planBeside}. */
export interface BesideInput {
  index: EntryIndex;
  live: EntryIndex;
  /** Selected and needed entries that are not left out, in restore order. */
  restored: readonly Entry[];
  selection: Selection;
  request: RestoreRequest;
  backup: BackupFacts;
  target: TargetFacts;
}

/**
 * Fills the plan.
 *
 * @throws {BackupError} `invalid_request` when more than one schema is asked for, `conflict` when a schema
 * of the new name exists, `target_unfit` when an extension lives in the schema
 */
export function planBeside(plan: RestorePlan, input: BesideInput): void {
  const { index, live, restored, selection, request, backup, target } = input;
  const intoSchema = request.intoSchema ?? "";
  const schemas = new Set(
    [...selection.selected].flatMap((entry) => entry.schema === null ? [] : [entry.schema]),
  );
  const [schema] = schemas;
  if (selection.everything || schemas.size !== 1 || schema === undefined) {
    throw new BackupError(
      "invalid_request",
      `Cannot restore into schema ${intoSchema}: name one schema, or tables of one schema`,
    );
  }
  const isLive = (name: string) =>
    live.entries.some((entry) => entry.kind === "schema" && entry.name === name);
  if (isLive(intoSchema)) {
    throw new BackupError("conflict", `Cannot restore into schema ${intoSchema}: it exists`, {
      hint: "Choose a name that is free, or drop that schema.",
    });
  }
  const ofSchema = restored.filter((entry) => entry.schema === schema && entry.managed !== true);
  const chosen = new Set(ofSchema.filter((entry) => selection.selected.has(entry)));
  for (const entry of chosen) {
    if (!NOT_COPIED.includes(entry.kind)) continue;
    chosen.delete(entry);
    plan.leftOut.push({ identity: entry.identity, reason: "a copy beside does without it" });
  }
  leaveOutForeignKeys(plan, chosen, index);
  // What only those needed is not copied either: a table would stand there without its rows.
  const needed = index.withDependencies(chosen);
  const copied = new Set(
    ofSchema.filter((entry) => needed.has(entry) && !NOT_COPIED.includes(entry.kind)),
  );
  refuseExtensions(copied, { index, schema });
  for (const entry of restored) {
    if (entry.schema !== schema && entry.kind !== "schema" && selection.selected.has(entry)) {
      plan.leftOut.push({ identity: entry.identity, reason: "it is outside the schema" });
    }
  }
  for (const entry of copied) {
    for (const identity of entry.outside ?? []) {
      if (live.byIdentity(identity)?.schema !== schema) continue;
      plan.missing.push({
        what: "object",
        name: identity,
        reason:
          `${entry.identity} needs it in the new schema, and the backup holds chosen tables ` +
          "only; make a backup that includes the whole schema",
      });
    }
  }
  const create = [...copied].filter((entry) => !isRows(entry) && entry.kind !== "refresh");
  // Rights would open the copy to whoever may read the original; its owner grants what is wanted.
  plan.expect = create.map((entry) => withStatements(entry, { acl: [] }));
  const defaultRights = ownDefaultRights(live, target.role);
  plan.drop = defaultRights;
  plan.create = [...plan.expect, ...defaultRights];
  plan.refresh = [...copied].filter((entry) => entry.kind === "refresh");
  const names = new Set(create.map((entry) => entry.name));
  plan.beside = { schema, intoSchema, schemaIsLive: isLive(schema), names: [...names] };
  const rows = [...copied].filter(isRows);
  const loads = planLoads({
    backup,
    index,
    live: new EntryIndex([]),
    target,
    request,
    leaveOuts: new LeaveOuts(index),
    rows,
    dropped: new Set(),
    plan,
  });
  plan.load = loads.load;
  plan.leftOut.push(...loads.leftOut);
}

function refuseExtensions(
  copied: ReadonlySet<Entry>,
  { index, schema }: { index: EntryIndex; schema: string },
): void {
  const needed = index.withDependencies(copied);
  for (const entry of needed) {
    if (entry.kind !== "extension" || entry.extensionFacts?.schema !== schema) continue;
    throw new BackupError(
      "target_unfit",
      `Cannot restore beside schema ${schema}: extension ${entry.name} lives in it and is needed`,
      { hint: "Restore into another database, and copy the tables from there." },
    );
  }
}

/**
 * A foreign key to a table that is not copied would tie the copy to the live table, and one to a table that
 * comes without its rows cannot hold.
 */
function leaveOutForeignKeys(plan: RestorePlan, chosen: Set<Entry>, index: EntryIndex): void {
  const withRows = new Set(
    [...chosen].filter(isRows).flatMap((entry) => index.tableOf(entry) ?? []),
  );
  for (const entry of chosen) {
    if (entry.kind !== "foreign-key") continue;
    const tables = index.dependencies(entry).filter(isTable);
    const uncopied = tables.find((table) => !chosen.has(table))?.identity ?? entry.outside?.[0];
    const own = index.tableOf(entry);
    const empty = tables.find((table) => table !== own && !hasRows(table, { withRows, index }));
    const isFilled = own !== undefined && hasRows(own, { withRows, index });
    const reason = uncopied !== undefined
      ? `it refers to ${uncopied}, which is not copied`
      : empty !== undefined && isFilled
      ? `it refers to ${empty.identity}, whose rows are not copied`
      : null;
    if (reason === null) continue;
    chosen.delete(entry);
    plan.leftOut.push({ identity: entry.identity, reason });
  }
}

/** Whether rows of the table, or of one of its partitions, are copied. */
function hasRows(
  table: Entry,
  { withRows, index }: { withRows: ReadonlySet<Entry>; index: EntryIndex },
): boolean {
  if (withRows.has(table)) return true;
  return index.dependents(table).some((entry) => {
    const partition = entry.kind === "table-attach" ? index.tableOf(entry) : undefined;
    return partition !== undefined && partition !== table &&
      hasRows(partition, { withRows, index });
  });
}
