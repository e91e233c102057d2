/**
 * In which order entries stand as far as dependencies leave a choice: pg_dump's priorities, with
 * places for what pg_dump leaves to pg_dumpall.
 *
 * @module
 */
import type { EntryKind, Section } from "../core/model.ts";
import type { Draft } from "./context.ts";

/** Kinds in the order of a restore; kinds of one line are sorted together, by name. */
const PRIORITIES: readonly (readonly EntryKind[])[] = [
  ["role"],
  ["role-membership"],
  ["tablespace"],
  ["database"],
  ["schema"],
  ["language"],
  ["collation"],
  ["transform"],
  ["extension"],
  ["type", "shell-type"],
  ["cast"],
  ["function"],
  ["domain-constraint"],
  ["aggregate"],
  ["access-method"],
  ["operator"],
  ["operator-family", "operator-class"],
  ["conversion"],
  ["text-search-parser"],
  ["text-search-template"],
  ["text-search-dictionary"],
  ["text-search-configuration"],
  ["foreign-data-wrapper"],
  ["foreign-server"],
  ["user-mapping"],
  ["table", "view", "materialized-view", "sequence"],
  ["table-attach"],
  ["default"],
  ["large-object"],
  ["table-data"],
  ["sequence-set"],
  ["large-object-data"],
  ["constraint", "check-constraint"],
  ["index"],
  ["index-attach"],
  ["statistics"],
  ["rule"],
  ["trigger"],
  ["foreign-key"],
  ["row-security"],
  ["policy"],
  ["publication"],
  ["publication-table"],
  ["publication-schema"],
  ["subscription"],
  ["acl"],
  ["default-acl"],
  ["cron-job"],
  // Settings of roles and of the database act on new connections: nothing of the restore may meet them.
  ["role-setting"],
  ["database-setting"],
  ["event-trigger"],
  ["refresh"],
];

const PRIORITY = new Map<EntryKind, number>(
  PRIORITIES.flatMap((kinds, priority) => kinds.map((kind) => [kind, priority] as const)),
);

const SECTIONS = ["pre-data", "data", "post-data"];

/** Where a draft sorts: an inline one with what is before the data, as its host does. */
export function sectionOf(draft: Draft): Section {
  return draft.inlineIn === undefined ? draft.section : "pre-data";
}

/** Compares two drafts for the order before dependencies: section, priority, schema, name, address. */
export function compareDrafts(a: Draft, b: Draft): number {
  return SECTIONS.indexOf(sectionOf(a)) - SECTIONS.indexOf(sectionOf(b)) ||
    (PRIORITY.get(a.kind) ?? 0) - (PRIORITY.get(b.kind) ?? 0) ||
    compareSchemas(a.schema, b.schema) ||
    compareText(a.name, b.name) ||
    compareText(a.kind, b.kind) ||
    compareText(a.address, b.address) ||
    compareText(a.part ?? "", b.part ?? "");
}

/** Without a schema sorts last, as pg_dump has it. */
function compareSchemas(a: string | null, b: string | null): number {
  if (a === null || b === null) return (a === null ? 1 : 0) - (b === null ? 1 : 0);
  return compareText(a, b);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
