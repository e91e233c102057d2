/**
 * Reads the entries of a whole database for a program that needs nothing else of it: at once, or slice by slice
 * where it holds very many relations, so that never more than a slice is in the making.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { EntryPacker } from "../core/packed_entries.ts";
import type { Session } from "../postgres/session.ts";
import type { CatalogSlice, DumpOptions } from "./context.ts";
import { orderSlices } from "./order_slices.ts";
import { readDatabase } from "./read_database.ts";
import { readSlice } from "./read_slice.ts";
import type { NodePack } from "./slice_nodes.ts";
import { cutCatalog } from "./slices.ts";

/** What the order and the entries need of a slice. */
interface ReadSlice {
  slice: CatalogSlice;
  entries: Entry[];
  nodes: NodePack[];
  leftOut: string[];
}

/**
 * Reads them in restore order, as the session sees the database.
 *
 * @param relationsAtOnce above so many it is read slice by slice
 * @throws {BackupError} as `readDatabase`
 */
export async function readEntries(
  session: Session,
  options: DumpOptions,
  { relationsAtOnce }: { relationsAtOnce: number },
): Promise<Entry[]> {
  const slices = await cutCatalog(session, options, relationsAtOnce);
  if (slices.length === 0) return (await readDatabase(session, options)).entries;
  const packer = new EntryPacker();
  const read: ReadSlice[] = [];
  for (const slice of slices) {
    const { lines, nodes, leftOut } = await readSlice(session, options, { slice });
    const entries = lines.map(([entry]) => packer.entry(entry));
    read.push({ slice, entries, nodes, leftOut });
  }
  const { places, separate } = await orderSlices(session, options, {
    nodes: read.map(({ nodes }) => nodes),
    leftOut: read.flatMap(({ leftOut }) => leftOut),
  });
  for (const [at, keys] of separate.entries()) {
    if (keys.length === 0) continue;
    const { slice } = read[at]!;
    const { lines } = await readSlice(session, options, { slice, separate: keys });
    read[at]!.entries = lines.map(([entry]) => packer.entry(entry));
  }
  return Array.from(places, ([slice, line, dependsOn, section]) => {
    const entry = read[slice]!.entries[line]!;
    return Object.assign(entry, { dependsOn, section: section ?? entry.section });
  });
}
