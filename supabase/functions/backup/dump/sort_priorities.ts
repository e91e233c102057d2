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

const SECTIONS: readonly Section[] = ["pre-data", "data", "post-data"];

/** Where a draft sorts by section and priority; an inline one with what is before the data, as its host does. */
export function rankOf(draft: Draft): number {
  const section = draft.inlineIn === undefined ? draft.section : "pre-data";
  return firstRankOf(section) + (PRIORITY.get(draft.kind) ?? 0);
}

/** Between a section and the next. */
export function rankOfBoundary(section: Section): number {
  return firstRankOf(section) + PRIORITIES.length;
}

function firstRankOf(section: Section): number {
  return SECTIONS.indexOf(section) * (PRIORITIES.length + 1);
}

/** Compares two drafts of the same rank for the order before dependencies. */
export function compareDrafts(a: Draft, b: Draft): number {
  return compareSchemas(a.schema, b.schema) ||
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
