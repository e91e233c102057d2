/**
 * Reads a database slice by slice and puts the slices together, as the parts of a backup do by way of storage.
 *
 * @module
 */
import type { Entry, TableData } from "../../supabase/functions/backup/core/model.ts";
import {
  cutCatalog,
  type DumpOptions,
  orderSlices,
  readSlice,
  type SliceReading,
} from "../../supabase/functions/backup/dump/mod.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";

/** What came of it. */
export interface ReadInSlices {
  entries: Entry[];
  tableData: TableData[];
  remarks: string[];
  /** How many slices there were, how many of functions, and how many had to be read again. */
  slices: number;
  ofFunctions: number;
  again: number;
}

/** Reads everything, with at most so many relations to a slice. */
export async function readInSlices(
  session: Session,
  options: DumpOptions,
  most: number,
): Promise<ReadInSlices> {
  const cut = await cutCatalog(session, options, most);
  const slices = cut.length > 0 ? cut : [{ isRest: true, relations: [], functions: [] }];
  const readings: SliceReading[] = [];
  for (const slice of slices) {
    readings.push(afterJson(await readSlice(session, options, { slice })));
  }
  const ordered = await orderSlices(session, options, {
    nodes: readings.map(({ nodes }) => nodes),
    leftOut: readings.flatMap(({ leftOut }) => leftOut),
  });
  const order = afterJson({ ...ordered, places: [...ordered.places] });
  let again = 0;
  for (const [at, separate] of order.separate.entries()) {
    if (separate.length === 0) continue;
    again++;
    readings[at] = afterJson(await readSlice(session, options, { slice: slices[at]!, separate }));
  }
  const entries: Entry[] = [];
  const tableData: TableData[] = [];
  for (const [slice, line, dependsOn, section] of order.places) {
    const [entry, data] = readings[slice]!.lines[line]!;
    entries.push({ ...entry, dependsOn, section: section ?? entry.section });
    if (data !== null) tableData.push(data);
  }
  const remarks = new Set([...order.remarks, ...readings.flatMap((each) => each.remarks)]);
  const ofFunctions = slices.filter(({ isRest, functions }) => !isRest && functions.length > 0);
  return {
    ...{ entries, tableData, remarks: [...remarks].sort(), again },
    ...{ slices: slices.length, ofFunctions: ofFunctions.length },
  };
}

function afterJson<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}
