/**
 * One part of a backup of items: what has not changed is referred to, the rest is read and stored, and
 * what cannot be saved is told of that item alone.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { BackupError, type ErrorCode, toBackupError } from "../../core/errors.ts";
import { type Hashing, runtimeHashing } from "../../core/hashing.ts";
import type {
  ItemContent,
  ItemFailure,
  ItemSource,
  ListedItem,
  ReadItem,
  SavedItem,
} from "../../core/items.ts";
import type { Piece } from "../../core/model.ts";
import { isOutOfReach } from "../../jobs/classify_failure.ts";
import {
  type ItemPageRef,
  type LinesRef,
  mapConcurrent,
  type PieceWriter,
  type Repository,
  sumOfWritten,
  type WrittenTotals,
} from "../../repository/mod.ts";
import { type ComparedRun, compareRun, type CompareWork } from "./compare_run.ts";
import type { ItemRun } from "./cut_runs.ts";
import { readAhead } from "./read_ahead.ts";

/** What to save. Survives JSON. */
export interface SaveItemsPayload {
  /** In order of key; each becomes a page. */
  runs: ItemRun[];
}

/** What came of it. Survives JSON. */
export interface SaveItemsResult {
  /** Runs without items have none. */
  pages: ItemPageRef[];
  items: number;
  unchanged: number;
  failed: number;
  vanished: number;
  /** Keys of the parent that are no more, by the run in which they were. */
  deleted: { from: string | null; keys: LinesRef }[];
  written: WrittenTotals;
  /** Of the first item that could not be saved. */
  failure: ItemFailure | null;
}

/** What the work needs. */
export interface SaveItemsWork extends CompareWork {
  source: ItemSource;
  now: () => Date;
  /** Whether passing troubles are told of the item by now; until then they are thrown, to try again. */
  lastTry: boolean;
  /** Whether also a part that could read nothing is to end: its items may be broken for good. */
  lastResort: boolean;
  onBytes: (bytes: number) => void;
  /** @default the runtime's */
  hashing?: Hashing;
  /** Takes back the bytes of a small item, of which the writer has a copy by then: nobody else uses them. */
  recycle?: (bytes: Uint8Array) => void;
}

/** An item whose bytes are on their way. */
interface Stored {
  item: SavedItem;
  pieces: Promise<Piece[]>[];
}

/** Pages written at once. */
const WRITES_AT_ONCE = 4;

/** @throws what concerns the source as a whole, `storage_*` of the repository */
export async function saveItems(
  { runs }: SaveItemsPayload,
  work: SaveItemsWork,
): Promise<SaveItemsResult> {
  const { source, repository, signal } = work;
  const compared: ComparedRun[] = [];
  for (const run of runs) compared.push(await compareRun(run, work));
  const changed = compared.flatMap(({ run, same }) =>
    run.items.filter(({ key }) => !same.has(key))
  );
  const writer = repository.pieceWriter({ signal });
  const stored: Stored[] = [];
  let vanished = 0;
  for await (const { item, found } of readAhead(source, changed, signal)) {
    signal.throwIfAborted();
    if (found === null) vanished++;
    else stored.push(await storeItem(item, found, { ...work, writer }));
  }
  await writer.finish();
  const saved = new Map<string, SavedItem>();
  for (const each of stored) saved.set(each.item.key, await settled(each));
  if (!work.lastResort) requireSome(stored);
  const pages = await mapConcurrent(
    compared,
    WRITES_AT_ONCE,
    ({ run, same }) => writePage(repository, { run, saved: [same, saved], signal }),
  );
  return {
    ...sumOfPages(pages),
    unchanged: compared.reduce((sum, { same }) => sum + same.size, 0),
    vanished,
    deleted: compared.flatMap(({ run: { from }, deleted }) =>
      deleted.lines === 0 ? [] : [{ from, keys: deleted }]
    ),
    written: sumOfWritten([writer.written]),
  };
}

/** A page that was written, and what could not be on it. */
export interface WrittenPage {
  page: ItemPageRef | null;
  failures: ItemFailure[];
}

/** Writes the items of a run, which are looked for in one map after the other. */
export async function writePage(
  repository: Repository,
  { run, saved, signal }: {
    run: ItemRun;
    saved: readonly ReadonlyMap<string, SavedItem>[];
    signal: AbortSignal;
  },
): Promise<WrittenPage> {
  const items: SavedItem[] = [];
  let isAsListed = true;
  for (const { key, revision } of run.items) {
    const item = saved.find((some) => some.has(key))?.get(key);
    if (item !== undefined) items.push(item);
    isAsListed &&= revision !== null && item?.revision === revision && item.failure === undefined;
  }
  const [first, last] = [items[0], items.at(-1)];
  const failures = items.flatMap(({ failure }) => failure ?? []);
  if (first === undefined || last === undefined) return { page: null, failures };
  const contents = items.flatMap((item) => item.contents);
  const chunks = [...new Set(contents.flatMap(({ pieces }) => pieces.map(({ chunk }) => chunk)))];
  await repository.extendLocks(chunks, { signal });
  const page: ItemPageRef = {
    ...{ first: first.key, last: last.key, chunks },
    items: await repository.writeLines(items, { signal }),
    rawBytes: contents.reduce((sum, { bytes }) => sum + bytes, 0),
    ...(isAsListed && run.digest !== null ? { digest: run.digest } : {}),
  };
  return { page, failures };
}

/** What pages have in sum. */
export function sumOfPages(
  written: readonly WrittenPage[],
): Pick<SaveItemsResult, "pages" | "items" | "failed" | "failure"> {
  const pages = written.flatMap(({ page }) => page ?? []);
  const failures = written.flatMap(({ failures }) => failures);
  return {
    pages,
    items: pages.reduce((sum, { items }) => sum + items.lines, 0),
    failed: failures.length,
    failure: failures[0] ?? null,
  };
}

/** Appends an item's contents; an item that cannot be read is kept with the reason. */
async function storeItem(
  item: ListedItem,
  found: ReadItem | BackupError,
  work: SaveItemsWork & { writer: PieceWriter },
): Promise<Stored> {
  const { writer, now, onBytes, hashing = runtimeHashing } = work;
  const savedAt = now().toISOString();
  if (found instanceof BackupError) return failedItem(item, found, { ...work, savedAt });
  const { revision = item.revision, facts = item.facts } = found;
  const contents: ItemContent[] = [];
  const pieces: Promise<Piece[]>[] = [];
  for (const { name, body } of found.contents) {
    if (body instanceof Uint8Array) {
      await writer.append(body);
      onBytes(body.length);
      pieces.push(writer.endPart());
      contents.push({ name, bytes: body.length, sha256: hashing.sha256(body), pieces: [] });
      work.recycle?.(body);
      continue;
    }
    const hash = createHash("sha256");
    let bytes = 0;
    const append = async (chunk: Uint8Array) => {
      hash.update(chunk);
      bytes += chunk.length;
      await writer.append(chunk);
      onBytes(chunk.length);
    };
    const broken = await drain(body, append);
    if (broken !== null) {
      void writer.endPart(); // the bytes until there belong to nothing
      return failedItem(item, broken, { ...work, savedAt });
    }
    pieces.push(writer.endPart());
    contents.push({ name, bytes, sha256: hash.digest("hex"), pieces: [] });
  }
  return { item: { ...item, revision, facts, contents, savedAt }, pieces };
}

/** Appends what a source gives; what it throws is given back, what the repository throws is thrown. */
async function drain(
  body: AsyncIterable<Uint8Array>,
  append: (chunk: Uint8Array) => Promise<void>,
): Promise<BackupError | null> {
  const reader = body[Symbol.asyncIterator]();
  for (;;) {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await reader.next();
    } catch (error) {
      return toBackupError(error);
    }
    if (next.done) return null;
    await append(next.value);
  }
}

function failedItem(
  item: ListedItem,
  error: BackupError,
  { savedAt, lastTry, signal }: SaveItemsWork & { savedAt: string },
): Stored {
  const failure = toFailure(ownError(error, { lastTry, signal }));
  return { item: { ...item, contents: [], savedAt, failure }, pieces: [] };
}

/** The error as one that is told of an item alone. @throws it where it is not that, or not yet */
export function ownError(
  error: BackupError,
  { lastTry, signal }: { lastTry: boolean; signal: AbortSignal },
): BackupError {
  signal.throwIfAborted();
  if (concernsAll(error.code) || (isOutOfReach(error.code) && !lastTry)) throw error;
  return error;
}

async function settled({ item, pieces }: Stored): Promise<SavedItem> {
  const found = await Promise.all(pieces);
  const contents = item.contents.map((content, at) => ({ ...content, pieces: found[at] ?? [] }));
  return { ...item, contents };
}

/** Where nothing at all can be read, for a reason that may pass, there is no backup to speak of. */
function requireSome(stored: readonly Stored[]): void {
  const failures = stored.flatMap(({ item }) => item.failure ?? []);
  const [first] = failures;
  if (first === undefined || failures.length < stored.length) return;
  if (!failures.every(({ code }) => isOutOfReach(code))) return;
  throw new BackupError(first.code as ErrorCode, first.message, { hint: first.hint ?? "" });
}

/** An error as an item keeps it: a defect's own words may quote anything. */
export function toFailure({ code, message, hint }: BackupError): ItemFailure {
  if (code === "internal") {
    return { code, message: "Cannot save the item: an unexpected error of this software" };
  }
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

/** Refusals that no other item will escape. */
export function concernsAll(code: string): boolean {
  return code.endsWith("_unauthorized") || code === "invalid_config";
}
