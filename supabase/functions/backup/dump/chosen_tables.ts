/**
 * Backups of chosen tables: the tables with their indexes, constraints, triggers, policies, rules, rows
 * and own sequences, as `pg_dump -t` takes them. What they need besides is named, so that a restore can
 * look for it before it touches anything.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { type Entry, type EntryKind, PARTS_OF_RELATIONS } from "../core/model.ts";
import { quoteIdentifier } from "../postgres/quote.ts";
import { Drafts, type DumpContext } from "./context.ts";
import type { Dependencies } from "./dependencies.ts";
import { type Relation, relationsOf } from "./families/relations.ts";
import { takesWholeSchema } from "./selection.ts";

/** Kinds of relations and of what belongs to one: their families add chosen ones only. */
const OF_RELATIONS: readonly EntryKind[] = [
  "sequence",
  "sequence-set",
  "table",
  "view",
  "materialized-view",
  ...PARTS_OF_RELATIONS,
];

const ENTRY_KIND: Record<string, EntryKind> = {
  r: "table",
  p: "table",
  f: "table",
  v: "view",
  m: "materialized-view",
  S: "sequence",
};

/**
 * The entries that were chosen; all of them where no tables were named.
 *
 * @throws {BackupError} `invalid_request` when nothing matches the names
 */
export async function keepChosen(
  context: DumpContext,
  dependencies: Dependencies,
  entries: Entry[],
): Promise<Entry[]> {
  const { options } = context;
  if (options.includeTables.length === 0) return entries;
  const chosen = entries.filter((entry) => isChosen(context, entry));
  if (chosen.length === 0) {
    throw new BackupError(
      "invalid_request",
      `Cannot save ${options.includeTables.join(", ")}: the database has no such table`,
      { hint: "Name tables as `schema.table`; `*` and `?` match." },
    );
  }
  const roles = entries.filter((entry) => entry.kind === "role" && isNamed(entry.name, chosen));
  const outside = await outsideOf(context, dependencies, { entries, chosen });
  return [...roles, ...chosen.map((entry) => outside(entry))];
}

function isChosen({ options }: DumpContext, entry: Entry): boolean {
  if (["role", "role-membership", "role-setting", "tablespace"].includes(entry.kind)) return false;
  const schema = entry.kind === "schema" ? entry.name : entry.schema;
  if (schema === null) return options.includeSchemas.length > 0;
  return OF_RELATIONS.includes(entry.kind) || takesWholeSchema(options, schema);
}

/** Whether a role owns one of the entries or stands in their rights and policies. */
function isNamed(role: string, entries: readonly Entry[]): boolean {
  const quoted = quoteIdentifier(role);
  return entries.some(({ owner, kind, statements }) =>
    owner === role || statements.acl.some((sql) => sql.includes(quoted)) ||
    kind === "policy" && statements.create.some((sql) => sql.includes(quoted))
  );
}

/** Gives entries the identities of what they need and the backup leaves out. */
async function outsideOf(
  context: DumpContext,
  dependencies: Dependencies,
  { entries, chosen }: { entries: readonly Entry[]; chosen: readonly Entry[] },
): Promise<(entry: Entry) => Entry> {
  const relations = await relationsOf(context);
  const all = new Map(entries.map((entry) => [entry.key, entry]));
  const kept = new Set(chosen.map((entry) => entry.key));
  const inside = new Map<string, string[]>();
  for (const draft of context.drafts.all()) {
    const key = Drafts.key(draft.catalog, draft.oid, draft.part);
    if (draft.inlineIn === undefined || all.has(key)) continue;
    inside.set(draft.inlineIn, [...(inside.get(draft.inlineIn) ?? []), key]);
  }
  const above = partitionedAbove(relations);
  const { numbers } = context.drafts;
  const isLeftOut = (object: number) => {
    if (numbers.catalogOf(object) !== "pg_class") return false;
    const relation = relations.get(numbers.oidOf(object));
    return relation !== undefined && !relation.isDefined && relation.extension === null;
  };
  return (entry) => {
    const identities = new Set<string>();
    const dependsOn = entry.dependsOn.filter((key) => kept.has(key));
    // Rows only come in an order; they need nothing more than their table.
    if (entry.section === "data") return { ...entry, dependsOn };
    for (const key of [entry.key, ...(inside.get(entry.key) ?? [])]) {
      const { drafts, stops } = dependencies.walk(numbers.ofKey(key)!, isLeftOut);
      for (const draft of drafts) {
        const needed = numbers.keyOf(draft);
        if (!kept.has(needed)) add(identities, all.get(needed));
      }
      for (const stop of stops) {
        const relation = relations.get(numbers.oidOf(stop))!;
        // A partition that is chosen alone is made as a table of its own.
        if (above.has(relation.oid)) continue;
        identities.add(`${ENTRY_KIND[relation.kind]} ${relation.address}`);
      }
    }
    const outside = [...identities].sort();
    return { ...entry, dependsOn, ...(outside.length === 0 ? {} : { outside }) };
  };
}

function add(identities: Set<string>, entry: Entry | undefined): void {
  if (entry !== undefined) identities.add(entry.identity);
}

/** Partitioned tables that are left out while a partition of theirs is taken. */
function partitionedAbove(relations: ReadonlyMap<number, Relation>): Set<number> {
  const above = new Set<number>();
  const climb = (relation: Relation | undefined) => {
    for (const parent of relation?.parents ?? []) {
      above.add(parent.oid);
      climb(relations.get(parent.oid));
    }
  };
  for (const relation of relations.values()) {
    if (relation.isPartition && relation.isDefined) climb(relation);
  }
  return above;
}
