/**
 * An item that is too large for one worker: its bytes are saved in ranges, each a part of its own, and
 * joined to one content when all of them are there and of the same version.
 *
 * @module
 */
import { BackupError, toBackupError } from "../core/errors.ts";
import type { ItemFailure, ItemSource, SavedItem } from "../core/items.ts";
import type { Piece } from "../core/model.ts";
import type { DonePart } from "../core/part.ts";
import { type Repository, sumOfWritten, type WrittenTotals } from "../repository/mod.ts";
import type { ParentItems } from "./parent_items.ts";
import {
  ownError,
  type SaveItemsPayload,
  type SaveItemsResult,
  toFailure,
  unchangedSince,
  writePage,
} from "./save_items.ts";

/** The name of a content that is read in ranges. */
const CONTENT = "object";

/** One range. Survives JSON. */
export interface RangePayload {
  item: SaveItemsPayload["items"][number];
  from: number;
  to: number;
}

/** What came of a range. Survives JSON. */
interface RangeResult {
  pieces: Piece[];
  bytes: number;
  revision: string | null;
  vanished: boolean;
  failure: ItemFailure | null;
  written: WrittenTotals;
}

/** The ranges of a run that is one large item, changed since the parent; null when it is none. */
export async function rangeParts(
  payload: SaveItemsPayload,
  { source, parent, rangeBytes, signal }: {
    source: ItemSource;
    parent: ParentItems;
    rangeBytes: number;
    signal: AbortSignal;
  },
): Promise<RangePayload[] | null> {
  const [item, second] = payload.items;
  if (item === undefined || second !== undefined) return null;
  if (source.readRange === undefined || item.sizeBytes <= rangeBytes) return null;
  const before = (await parent.within(payload, signal)).get(item.key);
  if (unchangedSince(before, item) !== null) return null;
  const ranges: RangePayload[] = [];
  for (let from = 0; from < item.sizeBytes; from += rangeBytes) {
    ranges.push({ item, from, to: Math.min(from + rangeBytes, item.sizeBytes) });
  }
  return ranges;
}

/** Saves one range. @throws passing troubles until the last try, `storage_*` of the repository */
export async function saveRange(
  { item, from, to }: RangePayload,
  { source, repository, lastTry, signal }: {
    source: ItemSource;
    repository: Repository;
    lastTry: boolean;
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
  }
  const pieces = writer.endPart();
  await writer.finish();
  return { ...result, pieces: await pieces };
}

/** Makes the item of its ranges. */
export async function joinRanges(
  payload: SaveItemsPayload,
  { ranges, repository, parent, now, signal }: {
    ranges: AsyncIterable<DonePart>;
    repository: Repository;
    parent: ParentItems;
    now: () => Date;
    signal: AbortSignal;
  },
): Promise<SaveItemsResult> {
  const item = payload.items[0]!;
  const own: { from: number; to: number; result: RangeResult }[] = [];
  for await (const part of ranges) {
    const { item: { key }, from, to } = part.payload as unknown as RangePayload;
    if (key === item.key) own.push({ from, to, result: part.result as unknown as RangeResult });
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
  const before = await parent.within(payload, signal);
  return {
    ...await writePage(repository, { payload, saved, signal }),
    unchanged: 0,
    vanished: vanished ? 1 : 0,
    deleted: [...before.keys()].filter((key) => key !== item.key),
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
