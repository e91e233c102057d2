/**
 * The order of all entries, from what the slices told of them, and the census over all slices.
 *
 * @module
 */
import type { Section } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import { beginReading } from "./begin_reading.ts";
import { takeCensus } from "./census.ts";
import { Drafts, type DumpContext, type DumpOptions } from "./context.ts";
import { Dependencies } from "./dependencies.ts";
import { orderDrafts } from "./order.ts";
import { isEntry } from "./read_slice.ts";
import { type NodePack, unpackNodes } from "./slice_nodes.ts";

/**
 * Where an entry is, and what its slice could not know of it; the section only where the order has changed
 * it. Survives JSON, and is short, because there are very many.
 */
export type EntryPlace =
  | [slice: number, line: number, dependsOn: string[]]
  | [slice: number, line: number, dependsOn: string[], section: Section];

/** What all slices came to. */
export interface SlicesOrder {
  /** In restore order; each is made when it is asked for. */
  places: Iterable<EntryPlace>;
  /** By slice, keys of parts that were taken out of their hosts: such slices have to be read again. */
  separate: string[][];
  remarks: string[];
}

/**
 * Orders them, in a session as `readDatabase` takes it.
 *
 * @param told `nodes` of each slice, of which it takes one pack at a time, and `leftOut` of all
 * @throws {BackupError} `census_mismatch`
 */
export async function orderSlices(
  session: Session,
  options: DumpOptions,
  told: {
    nodes: readonly (Iterable<NodePack> | AsyncIterable<NodePack>)[];
    leftOut: readonly string[];
  },
): Promise<SlicesOrder> {
  const { context } = await beginReading(session, options);
  const drafts = context.drafts = new Drafts();
  context.leftOut = new Set(told.leftOut);
  context.remarks = [];
  // They get their numbers in this order, one after the other.
  const sliceOf: number[] = [];
  const sections: Section[] = [];
  for (const [slice, packs] of told.nodes.entries()) {
    for await (const pack of packs) {
      for (const draft of unpackNodes(pack)) {
        sliceOf[drafts.add(draft)] = slice;
        sections.push(draft.section);
      }
    }
  }
  keepAdopted(context);
  const dependencies = await Dependencies.read(context);
  await takeCensus(context, dependencies);
  const order = orderDrafts(context, dependencies);
  const separate = told.nodes.map(() => [] as string[]);
  for (const number of order.separate) {
    separate[sliceOf[number]!]!.push(drafts.numbers.keyOf(number));
  }
  const lines = linesOf(sliceOf, drafts, order.separate);
  const { numbers } = drafts;
  return { places: places(), separate, remarks: context.remarks };

  function* places(): Generator<EntryPlace> {
    for (const { number, draft, needs } of order.drafts) {
      const [slice, line] = [sliceOf[number]!, lines[number]!];
      const dependsOn = needs.map((need) => numbers.keyOf(need)).sort();
      yield draft.section === sections[number]
        ? [slice, line, dependsOn]
        : [slice, line, dependsOn, draft.section];
    }
  }
}

/** A queue that was adopted counts as the user's own from its slice on. */
function keepAdopted({ drafts, extensionMembers }: DumpContext): void {
  for (const member of extensionMembers.keys()) {
    const draft = member.startsWith("pg_class:") ? drafts.byKey(member) : undefined;
    if (draft !== undefined && draft.kind !== "acl") extensionMembers.delete(member);
  }
}

/** By number of an entry, its line in its slice, as `readSlice` writes them. */
function linesOf(
  sliceOf: readonly number[],
  drafts: Drafts,
  apart: ReadonlySet<number>,
): Int32Array {
  const lines = new Int32Array(sliceOf.length);
  let line = 0;
  for (const [number, slice] of sliceOf.entries()) {
    if (slice !== sliceOf[number - 1]) line = 0;
    if (isEntry(drafts, number, apart)) lines[number] = line++;
  }
  return lines;
}
