/**
 * An item that is too large for one worker: its bytes are saved in ranges, each a part of its own, and
 * joined to one content when all of them are there and of the same version.
 *
 * @module
 */
import { BackupError, toBackupError } from "../../core/errors.ts";
import type { ItemFailure, ItemSource, ListedItem, SavedItem } from "../../core/items.ts";
import type { Piece } from "../../core/model.ts";
import type { DonePart } from "../../core/part.ts";
import { type Repository, sumOfWritten, type WrittenTotals } from "../../repository/mod.ts";
import { compareRun, type CompareWork, keysWithin } from "./compare_run.ts";
import type { ItemRun } from "./cut_runs.ts";
import {
  ownError,
  type SaveItemsPayload,
  type SaveItemsResult,
  sumOfPages,
  toFailure,
  writePage,
} from "./save_items.ts";

/** The name of a content that is read in ranges. */
const CONTENT = "object";

/** One range. Survives JSON. */
export interface RangePayload {
  item: ListedItem;
  from: number;
  to: number;
}

/** What came of a range. Survives JSON. */
export interface RangeResult {
  pieces: Piece[];
  bytes: number;
  revision: string | null;
  vanished: boolean;
  failure: ItemFailure | null;
  written: WrittenTotals;
}

/** What is joined once all its ranges are done. Survives JSON. */
export interface JoinPayload {
  run: ItemRun;
  ranges: number;
}

/** The ranges of a run that is one large item, changed since the parent; null when it is none. */
export async function rangeParts(
  { runs }: SaveItemsPayload,
  { source, rangeBytes, ...work }: CompareWork & { source: ItemSource; rangeBytes: number },
): Promise<RangePayload[] | null> {
  const [run, another] = runs;
  const [item, second] = run?.items ?? [];
  if (item === undefined || second !== undefined || another !== undefined) return null;
  if (source.readRange === undefined || item.sizeBytes <= rangeBytes) return null;
  if ((await compareRun(run!, work)).same.size > 0) return null;
  const ranges: RangePayload[] = [];
  for (let from = 0; from < item.sizeBytes; from += rangeBytes) {
    ranges.push({ item, from, to: Math.min(from + rangeBytes, item.sizeBytes) });
  }
  return ranges;
}

/** Saves one range. @throws passing troubles until the last try, `storage_*` of the repository */
export async function saveRange(
  { item, from, to, lastTry }: RangePayload & { lastTry: boolean },
  { source, repository, onBytes, signal }: {
    source: ItemSource;
    repository: Repository;
    onBytes: (bytes: number) => void;
    signal: AbortSignal;
  },
): Promise<RangeResult> {
  const writer = repository.pieceWriter({ signal });
  const result: RangeResult = {
    ...{ pieces: [], bytes: 0, revision: null, vanished: false, failure: null },
    written: writer.written,
  };
  let read: AsyncIterator<Uint8Array>;
  try {
    const found = await source.readRange!(item, { from, to, signal });
    if (found === null) return { ...result, vanished: true };
    result.revision = found.revision;
    read = found.body[Symbol.asyncIterator]();
  } catch (error) {
    return { ...result, failure: failureOf(error, { lastTry, signal }) };
  }
  for (;;) {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await read.next();
    } catch (error) {
      return { ...result, failure: failureOf(error, { lastTry, signal }) };
    }
    if (next.done) break;
    await writer.append(next.value);
    result.bytes += next.value.length;
    onBytes(next.value.length);
  }
  const pieces = writer.endPart();
  await writer.finish();
  return { ...result, pieces: await pieces };
}

/** Makes the item of its ranges. */
export async function joinRanges(
  { run }: JoinPayload,
  { ranges, now, ...work }: CompareWork & { ranges: AsyncIterable<DonePart>; now: () => Date },
): Promise<SaveItemsResult> {
  const { repository, signal } = work;
  const item = run.items[0]!;
  const own: { from: number; to: number; result: RangeResult }[] = [];
  for await (const { payload, result } of ranges) {
    const { from, to } = payload as unknown as RangePayload;
    own.push({ from, to, result: result as unknown as RangeResult });
  }
  own.sort((a, b) => a.from - b.from);
  const vanished = own.some(({ result }) => result.vanished);
  const saved = new Map<string, SavedItem>();
  const failure = vanished ? null : ownFailure(own);
  const contents = failure !== null || vanished ? [] : [{
    name: CONTENT,
    bytes: own.reduce((sum, { result }) => sum + result.bytes, 0),
    sha256: null,
    pieces: own.flatMap(({ result }) => result.pieces),
  }];
  const savedAt = now().toISOString();
  if (!vanished) {
    const why = failure === null ? {} : { failure };
    saved.set(item.key, { ...item, contents, savedAt, ...why });
  }
  const gone = keysWithin(run, { except: new Map([[item.key, item]]), ...work });
  const keys = await repository.writeLines(gone, { signal });
  return {
    ...sumOfPages([await writePage(repository, { run, saved: [saved], signal })]),
    unchanged: 0,
    vanished: vanished ? 1 : 0,
    deleted: keys.lines === 0 ? [] : [{ from: run.from, keys }],
    written: sumOfWritten(own.map(({ result }) => result.written)),
  };
}

/** What stands against the ranges being one content. */
function ownFailure(
  ranges: readonly { from: number; to: number; result: RangeResult }[],
): ItemFailure | null {
  for (const { from, to, result } of ranges) {
    if (result.failure !== null) return result.failure;
    const first = ranges[0]!.result.revision;
    if (result.revision !== first || result.bytes !== to - from) {
      return toFailure(
        new BackupError("conflict", "Cannot save the item: it changed while it was read", {
          hint: "It is saved with the next backup, unless it changes again.",
        }),
      );
    }
  }
  return null;
}

/** @throws the error where it is not this item's own */
function failureOf(
  thrown: unknown,
  { lastTry, signal }: { lastTry: boolean; signal: AbortSignal },
): ItemFailure {
  return toFailure(ownError(toBackupError(thrown), { lastTry, signal }));
}
