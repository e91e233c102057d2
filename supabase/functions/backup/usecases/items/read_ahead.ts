/**
 * Items read one after the other, small ones ahead of their turn: most of the time of a small read goes
 * into waiting, and a large one fills no memory.
 *
 * @module
 */
import { toBackupError } from "../../core/errors.ts";
import type { BackupError } from "../../core/errors.ts";
import type { ItemSource, ListedItem, ReadItem } from "../../core/items.ts";

/** Items up to this size are read ahead, into memory. */
const SMALL_BYTES = 1 << 20;

/** Items read at once. */
const AT_ONCE = 8;

/** An item with what reading it gave: null when it is gone, an error when it cannot be read. */
export interface ItemRead {
  item: ListedItem;
  found: ReadItem | BackupError | null;
}

/** Reads items in their order. Contents of small ones are in memory; those of others are streams. */
export async function* readAhead(
  source: ItemSource,
  items: readonly ListedItem[],
  signal: AbortSignal,
): AsyncIterable<ItemRead> {
  const ahead = new Map<ListedItem, Promise<ItemRead>>();
  for (const [at, item] of items.entries()) {
    for (const next of items.slice(at, at + AT_ONCE)) {
      if (next.sizeBytes > SMALL_BYTES) break;
      if (!ahead.has(next)) ahead.set(next, readOne(source, next, signal));
    }
    yield await (ahead.get(item) ?? readOne(source, item, signal));
    ahead.delete(item);
  }
}

/** Never throws: what was read ahead may never be asked for. */
async function readOne(
  source: ItemSource,
  item: ListedItem,
  signal: AbortSignal,
): Promise<ItemRead> {
  try {
    const found = await source.read(item, signal);
    if (found === null || item.sizeBytes > SMALL_BYTES) return { item, found };
    const contents = [];
    for (const { name, body } of found.contents) contents.push({ name, body: await buffer(body) });
    return { item, found: { ...found, contents } };
  } catch (error) {
    return { item, found: toBackupError(error) };
  }
}

/** The beginning of a body in memory; what is longer than it was said to be goes on as a stream. */
async function buffer(
  body: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  if (body instanceof Uint8Array) return body;
  const reader = body[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  for (let bytes = 0; bytes <= SMALL_BYTES;) {
    const { done, value } = await reader.next();
    if (done) return all(held);
    held.push(value);
    bytes += value.length;
  }
  return (async function* () {
    yield* held;
    yield* { [Symbol.asyncIterator]: () => reader };
  })();
}

async function* all(chunks: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks;
}
