/**
 * The order of all entries, from what the slices told of them, and the census over all slices.
 *
 * @module
 */
import type { Section } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import { beginReading } from "./begin_reading.ts";
import { takeCensus } from "./census.ts";
import { type Draft, Drafts, type DumpOptions } from "./context.ts";
import { Dependencies } from "./dependencies.ts";
import { orderDrafts } from "./order.ts";
import { isEntry, type SliceNode } from "./read_slice.ts";

/**
 * Where an entry is, and what its slice could not know of it; the section only where the order has changed
 * it. Survives JSON, and is short, because there are very many.
 */
export type EntryPlace =
  | [slice: number, line: number, dependsOn: string[]]
  | [slice: number, line: number, dependsOn: string[], section: Section];

/** What all slices came to. */
export interface SlicesOrder {
  /** In restore order. */
  places: EntryPlace[];
  /** By slice, keys of parts that were taken out of their hosts: such slices have to be read again. */
  separate: string[][];
  remarks: string[];
}

/**
 * Orders them, in a session as `readDatabase` takes it.
 *
 * @param told `nodes` of each slice, `leftOut` of all
 * @throws {BackupError} `census_mismatch`
 */
export async function orderSlices(
  session: Session,
  options: DumpOptions,
  told: { nodes: readonly (readonly SliceNode[])[]; leftOut: readonly string[] },
): Promise<SlicesOrder> {
  const { context } = await beginReading(session, options);
  context.drafts = new Drafts();
  context.leftOut = new Set(told.leftOut);
  context.remarks = [];
  for (const nodes of told.nodes) {
    for (const node of nodes) {
      const draft = draftOf(node);
      context.drafts.add(draft);
      // A queue that was adopted counts as the user's own from its slice on.
      const isDefined = draft.catalog === "pg_class" && draft.part === null && draft.kind !== "acl";
      if (isDefined) context.extensionMembers.delete(Drafts.key(draft.catalog, draft.oid));
    }
  }
  const dependencies = await Dependencies.read(context);
  await takeCensus(context, dependencies);
  const ordered = orderDrafts(context, dependencies);
  const { drafts } = context;
  const apart = new Set<string>();
  for (const { key, draft } of ordered) {
    if (draft.inlineIn !== undefined && drafts.byKey(draft.inlineIn) !== undefined) apart.add(key);
  }
  const lines = linesOf(told.nodes, drafts, apart);
  const separate = told.nodes.map(() => [] as string[]);
  const places = ordered.map(({ key, draft, dependsOn }): EntryPlace => {
    const { slice, line, section } = lines.get(key)!;
    if (apart.has(key)) separate[slice]!.push(key);
    return draft.section === section
      ? [slice, line, dependsOn]
      : [slice, line, dependsOn, draft.section];
  });
  return { places, separate, remarks: context.remarks };
}

function draftOf(node: SliceNode): Draft {
  const [catalog, oid, part, kind, section, schema, name, address, inlineIn, dependsOn] = node;
  return {
    ...{ catalog, oid, part, kind, section, schema, name, address, dependsOn },
    ...{ create: [], drop: [], owner: null, commentable: false },
    ...(inlineIn === null ? {} : { inlineIn }),
  };
}

/** Where each entry's line is, as `readSlice` writes them. */
function linesOf(
  slices: readonly (readonly SliceNode[])[],
  drafts: Drafts,
  apart: ReadonlySet<string>,
): Map<string, { slice: number; line: number; section: Section }> {
  const lines = new Map<string, { slice: number; line: number; section: Section }>();
  slices.forEach((nodes, slice) => {
    let line = 0;
    for (const [catalog, oid, part, , section] of nodes) {
      const key = Drafts.key(catalog, oid, part);
      const draft = drafts.byKey(key)!;
      if (isEntry(drafts, key, { draft, apart })) lines.set(key, { slice, line: line++, section });
    }
  });
  return lines;
}
