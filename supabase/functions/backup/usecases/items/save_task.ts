/**
 * What is saved as one piece of work: some items, or a range of a large one. Its task says everything, so
 * that the worker does it or a thread of a host, with the same result.
 *
 * @module
 */
import type { Hashing } from "../../core/hashing.ts";
import type { ItemSource, ItemType } from "../../core/items.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import type { Repository } from "../../repository/mod.ts";
import { bytesOf, type ItemRun } from "./cut_runs.ts";
import type { ParentItems } from "./parent_items.ts";
import { saveItems, type SaveItemsPayload, type SaveItemsResult } from "./save_items.ts";
import { rangeParts, type RangePayload, type RangeResult } from "./save_ranges.ts";

/** Items to save. Survives JSON. */
export interface SaveTask extends SaveItemsPayload {
  /** The backup before; null when there is none. */
  parent: { backupId: string; type: ItemType } | null;
  /** Whether the storage has lost something of earlier backups. */
  doubtful: boolean;
  /** See `SaveItemsWork`. */
  lastTry: boolean;
  lastResort: boolean;
  /** Larger items are saved in ranges of so many bytes. */
  rangeBytes: number;
}

/** A range to save. Survives JSON. */
export interface RangeTask extends RangePayload {
  lastTry: boolean;
}

/** What came of a task: the items, or the ranges in which a large one is to be saved. Survives JSON. */
export type SaveDone = { saved: SaveItemsResult } | { ranges: RangePayload[] };

/** How a task is watched. */
export interface SaveWatch {
  signal: AbortSignal;
  /** Hears of bytes as they pass. */
  onBytes: (bytes: number) => void;
}

/** What a task is done with. */
export interface SaveTools extends SaveWatch {
  source: ItemSource;
  repository: Repository;
  /** Of the backup that the task names. */
  parent: ParentItems;
  now: () => Date;
  /** @default the runtime's */
  hashing?: Hashing;
  /** See `SaveItemsWork`. */
  recycle?: (bytes: Uint8Array) => void;
}

/** Threads of a host that save items, each with a repository and connections of its own. */
export interface ItemSaver {
  /** Bytes to read, some thousand for each item at least, below which starting them takes longer than it saves. */
  readonly leastBytes: number;
  /** Does {@linkcode saveTask}. @returns null when no thread can: the worker then does it itself @throws as that */
  save(task: SaveTask, watch: SaveWatch): Promise<SaveDone | null>;
  /** Does `saveRange`. @returns null as {@linkcode ItemSaver.save} */
  saveRange(task: RangeTask, watch: SaveWatch): Promise<RangeResult | null>;
}

/** Bytes that could be read in the time that an item takes by itself. */
const ITEM_COST = 8192;

/** What reading all of these would cost, in bytes. */
export function costOfRuns(runs: readonly ItemRun[]): number {
  return runs.reduce((sum, run) => sum + bytesOf(run) + ITEM_COST * run.items.length, 0);
}

/** What reading cost that has given this. */
export function costOfSaved({ written, items, unchanged }: SaveItemsResult): number {
  return written.rawBytes + ITEM_COST * (items - unchanged);
}

/** Watches a task for the part that it is of. */
export function watchOf({ signal, onProgress }: PartContext): SaveWatch {
  let bytesDone = 0;
  return { signal, onBytes: (bytes) => onProgress({ bytesDone: bytesDone += bytes }) };
}

/** Saves the items; doing it twice does no harm. @throws as `saveItems` */
export async function saveTask(task: SaveTask, tools: SaveTools): Promise<SaveDone> {
  const { rangeBytes, ...rest } = task;
  const { runs, doubtful, lastTry, lastResort } = rest;
  const ranges = await rangeParts({ runs }, { ...tools, rangeBytes, doubtful });
  if (ranges !== null) return { ranges };
  return { saved: await saveItems({ runs }, { ...tools, doubtful, lastTry, lastResort }) };
}
