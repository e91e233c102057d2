/**
 * A backup of functions, settings, secrets or files as a job in parts: the source is listed page by page,
 * runs of items are saved by whoever is free, and a manifest at the end makes the backup exist.
 * Read {@linkcode BackupItems.run} first.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError, type ErrorCode, toBackupError } from "../core/errors.ts";
import { toJson } from "../core/json.ts";
import {
  compareKeys,
  type ItemPage,
  type ItemSource,
  type ItemSourceFacts,
  type ListedItem,
} from "../core/items.ts";
import type { Lease, NewPart, PartOutcome } from "../core/part.ts";
import type { JobDefinition, PartContext } from "../jobs/job_definition.ts";
import {
  isDamage,
  type ItemManifest,
  type ItemRecord,
  type ItemTotals,
  type Repository,
  writtenSince,
  type WrittenTotals,
} from "../repository/mod.ts";
import { ParentItems } from "./parent_items.ts";
import { saveItems, type SaveItemsPayload, type SaveItemsResult } from "./save_items.ts";
import { joinRanges, rangeParts, type RangePayload, saveRange } from "./save_ranges.ts";
import { outcomeOf } from "./stored_backups.ts";

/** What is saved and how; the same for every worker. */
export interface BackupItemsOptions {
  backupId: string;
  reason: string | null;
  origin: ItemRecord["origin"];
  source: ItemSource;
  repository: Repository;
  /** Name of the project's database, which the repository's owner is known by. */
  database: string;
  clock: Clock;
  /** Release that writes. */
  writtenBy: string;
  limits?: Partial<ItemLimits>;
}

/** How the work is cut. */
export interface ItemLimits {
  /** Items of one part, at most. */
  partItems: number;
  /** Bytes of one part, unless a single item has more. */
  partBytes: number;
  /** Items beyond it are read in ranges of this size, where the source can. */
  rangeBytes: number;
}

const LIMITS: ItemLimits = { partItems: 250, partBytes: 16 << 20, rangeBytes: 32 << 20 };

/** What the first part gives to all others. */
interface Described {
  createdAt: string;
  parent: string | null;
  facts: ItemSourceFacts;
}

/** The parts that such a backup begins with. */
export const FIRST_OF_ITEMS: readonly NewPart[] = [
  { step: 0, name: "reading-the-source", payload: null, bytes: 0 },
];

/** Names of the parts, which are what users see of them. */
const DESCRIBE = FIRST_OF_ITEMS[0]!.name;
const LIST = "listing-items";
const SAVE = "saving-items";
const RANGE = "saving-a-range";
const JOIN = "joining-ranges";
const FINISH = "writing-the-manifest";

/** Above the steps of all pages, however many. */
const FINISH_STEP = 900_000;

/** Tries of a part before a passing trouble with one item is told of that item. */
const TRIES = 3;

/**
 * Tries of a part that can read nothing, below those that a job has: a source that does not answer may come
 * back meanwhile, and changed items that are broken for good must not stand against all backups.
 */
const MOST_TRIES = 7;

/** The definition of one backup; an instance may do any number of its parts. */
export function backupItems(options: BackupItemsOptions): JobDefinition {
  const backup = new BackupItems(options);
  return {
    first: () => [...FIRST_OF_ITEMS],
    run: (lease, context) => backup.run(lease, context),
  };
}

class BackupItems {
  readonly #options: BackupItemsOptions;
  readonly #limits: ItemLimits;
  #described: Promise<Described> | undefined;
  #parent: ParentItems | undefined;

  constructor(options: BackupItemsOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    switch (lease.name) {
      case DESCRIBE:
        return await this.#describe(context);
      case LIST:
        return await this.#list(lease, context);
      case SAVE:
        return await this.#save(lease, context);
      case RANGE:
        return await this.#saveRange(lease, context);
      case JOIN:
        return await this.#join(lease, context);
      default:
        return await this.#finish(context);
    }
  }

  /** Reads what concerns the source as a whole. */
  async #describe({ signal }: PartContext): Promise<PartOutcome> {
    const { source, repository, clock, database } = this.#options;
    const createdAt = clock.now().toISOString();
    const facts = await source.describe(signal);
    const { projectRef } = facts;
    if (projectRef !== null) {
      await repository.claimOwner({ projectRef, systemIdentifier: null, database }, { signal });
    }
    const described: Described = { createdAt, parent: await this.#newest(signal), facts };
    const list = { step: 1, name: LIST, payload: { after: null, from: null }, bytes: 0 };
    return { result: toJson(described), add: [list, finishPart()] };
  }

  /** Lists one page and cuts it into runs; the page after it is listed meanwhile. */
  async #list({ step, payload }: Lease, { signal }: PartContext): Promise<PartOutcome> {
    const { after, from } = payload as { after: string | null; from: string | null };
    const page = await this.#options.source.page(after, signal);
    requireOrder(page, from);
    const runs = cutIntoRuns(page, { from, limits: this.#limits });
    const add = runs.map((run): NewPart => ({
      step: step + 1,
      name: SAVE,
      payload: toJson(run),
      bytes: run.items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    }));
    if (page.next !== null) {
      const next = { after: page.next, from: page.items.at(-1)?.key ?? from };
      add.push({ step: step + 1, name: LIST, payload: next, bytes: 0 });
    }
    return { result: null, add };
  }

  async #save(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { source, repository, clock } = this.#options;
    const { signal } = context;
    const payload = lease.payload as unknown as SaveItemsPayload;
    const parent = await this.#parentItems(context);
    const ranges = await rangeParts(payload, {
      ...{ source, parent, rangeBytes: this.#limits.rangeBytes, signal },
    });
    if (ranges !== null) {
      const at = lease.step + 1;
      const add = ranges.map((range): NewPart => ({
        ...{ step: at, name: RANGE, payload: toJson(range), bytes: range.to - range.from },
      }));
      add.push({ step: at + 1, name: JOIN, payload: toJson(payload), bytes: 0 });
      return { result: null, bytes: 0, add };
    }
    let bytesDone = 0;
    const result = await saveItems(payload, {
      ...{ source, repository, parent, signal },
      now: () => clock.now(),
      lastTry: lease.attempt >= TRIES,
      lastResort: lease.attempt >= MOST_TRIES,
      onBytes: (bytes) => context.onProgress({ bytesDone: bytesDone += bytes }),
    });
    return { result: toJson(result) };
  }

  async #saveRange(lease: Lease, { signal }: PartContext): Promise<PartOutcome> {
    const { source, repository } = this.#options;
    const payload = lease.payload as unknown as RangePayload;
    const lastTry = lease.attempt >= TRIES;
    return { result: toJson(await saveRange(payload, { source, repository, lastTry, signal })) };
  }

  async #join(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { repository, clock } = this.#options;
    const payload = lease.payload as unknown as SaveItemsPayload;
    const result = await joinRanges(payload, {
      ...{ repository, ranges: context.results(RANGE), signal: context.signal },
      ...{ parent: await this.#parentItems(context), now: () => clock.now() },
    });
    return { result: toJson(result) };
  }

  /** Puts together what all parts gave. */
  async #finish(context: PartContext): Promise<PartOutcome> {
    const { repository, clock, source, backupId, reason, origin, writtenBy } = this.#options;
    const { type } = source;
    const before = await this.#committedBefore();
    if (before !== null) return this.#finished(before);
    const { createdAt, parent, facts } = await this.#describedBy(context);
    const results: SaveItemsResult[] = [];
    for (const name of [SAVE, JOIN]) {
      for await (const { result } of context.results(name)) {
        if (result !== null) results.push(result as unknown as SaveItemsResult);
      }
    }
    requireAny(results, facts);
    const start = repository.written;
    const deleted = results.flatMap((result) => result.deleted).sort(compareKeys);
    const manifest: ItemManifest = {
      format: 1,
      ...{ backupId, type, createdAt, parent, source: facts },
      pages: results.flatMap(({ page }) => page ?? []).sort((a, b) =>
        compareKeys(a.first, b.first)
      ),
      deleted: await repository.writeLines(deleted, { signal: context.signal }),
      totals: totalsOf(results, writtenSince(start, repository.written)),
    };
    context.signal.throwIfAborted();
    try {
      const record = await repository.commitBackup(manifest, {
        ...{ reason, origin, writtenBy, completedAt: clock.now().toISOString() },
        chunks: new Set(results.flatMap(({ chunks }) => chunks)),
      });
      return this.#finished(record);
    } catch (error) {
      // A worker that was believed lost was first: its record is this job's, only its time is another.
      const first = toBackupError(error).code === "conflict" ? await this.#committedBefore() : null;
      if (first === null) throw error;
      return this.#finished(first);
    }
  }

  #finished(record: ItemRecord): PartOutcome {
    return { result: null, finish: outcomeOf(record, this.#options.repository.location) };
  }

  /** The parent; a damaged one is none, or there would never be a new backup. */
  async #newest(signal: AbortSignal): Promise<string | null> {
    const { repository, source: { type } } = this.#options;
    try {
      return (await repository.readBackup("latest", { type, signal })).manifest.backupId;
    } catch (error) {
      const { code } = toBackupError(error);
      if (isDamage(code) || code === "backup_not_found") return null;
      throw error;
    }
  }

  /** The backup, when a worker before this one has committed it and could not report it. */
  async #committedBefore(): Promise<ItemRecord | null> {
    const { repository, backupId, source: { type } } = this.#options;
    try {
      return (await repository.readBackup(backupId, { type })).record;
    } catch (error) {
      if (error instanceof BackupError && error.code === "backup_not_found") return null;
      throw error;
    }
  }

  async #parentItems(context: PartContext): Promise<ParentItems> {
    const { repository, source: { type } } = this.#options;
    const { parent } = await this.#describedBy(context);
    this.#parent ??= new ParentItems(
      repository,
      parent === null ? null : { backupId: parent, type },
    );
    return this.#parent;
  }

  #describedBy({ results }: PartContext): Promise<Described> {
    this.#described ??= Array.fromAsync(results(DESCRIBE)).then(([part]) =>
      part!.result as unknown as Described
    );
    this.#described.catch(() => this.#described = undefined);
    return this.#described;
  }
}

function finishPart(): NewPart {
  return { step: FINISH_STEP, name: FINISH, payload: null, bytes: 0 };
}

/** Runs of neighbouring keys, together all of them: what lies between two items was deleted. */
function cutIntoRuns(
  page: ItemPage,
  { from, limits }: { from: string | null; limits: ItemLimits },
): SaveItemsPayload[] {
  const runs: SaveItemsPayload[] = [];
  let items: ListedItem[] = [];
  let bytes = 0;
  let begin = from;
  const close = (upTo: string | null) => {
    runs.push({ items, from: begin, upTo });
    items = [];
    bytes = 0;
    begin = upTo;
  };
  for (const item of page.items) {
    const last = items.at(-1);
    const isFull = items.length >= limits.partItems || bytes + item.sizeBytes > limits.partBytes;
    if (last !== undefined && isFull) close(last.key);
    items.push(item);
    bytes += item.sizeBytes;
  }
  const last = items.at(-1);
  if (page.next === null) close(null);
  else if (last !== undefined) close(last.key);
  return runs;
}

/** @throws `internal` for a source that breaks its word: unchanged items would be taken for deleted ones */
function requireOrder({ items }: ItemPage, from: string | null): void {
  let before = from;
  for (const { key } of items) {
    if (before !== null && compareKeys(before, key) >= 0) {
      throw new BackupError("internal", "Cannot back up: the source lists items out of order");
    }
    before = key;
  }
}

/** @throws the first failure when there are items and none of them could be saved */
function requireAny(results: readonly SaveItemsResult[], { missing }: ItemSourceFacts): void {
  const items = results.reduce((sum, result) => sum + result.items, 0);
  const failed = results.reduce((sum, result) => sum + result.failed, 0);
  const failure = results.find((result) => result.failure !== null)?.failure ??
    missing[0]?.failure;
  if (failure === undefined || failed < items) return;
  throw new BackupError(failure.code as ErrorCode, failure.message, {
    ...(failure.hint === undefined ? {} : { hint: failure.hint }),
    details: { items, failed },
  });
}

function totalsOf(results: readonly SaveItemsResult[], last: WrittenTotals): ItemTotals {
  const sum = (pick: (result: SaveItemsResult) => number) =>
    results.reduce((total, result) => total + pick(result), 0);
  return {
    items: sum(({ items }) => items),
    unchanged: sum(({ unchanged }) => unchanged),
    deleted: sum(({ deleted }) => deleted.length),
    failed: sum(({ failed }) => failed),
    vanished: sum(({ vanished }) => vanished),
    rawBytes: sum(({ rawBytes }) => rawBytes),
    newStoredBytes: sum(({ written }) => written.newStoredBytes) + last.newStoredBytes,
    chunks: sum(({ written }) => written.chunks) + last.chunks,
    newChunks: sum(({ written }) => written.newChunks) + last.newChunks,
  };
}
