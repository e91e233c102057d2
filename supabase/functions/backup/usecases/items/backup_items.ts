/**
 * A backup of functions, settings, secrets or files as a job in parts: the source is listed page by page,
 * runs of items are saved by whoever is free, and a manifest at the end makes the backup exist.
 * Read {@linkcode BackupItems.run} first.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import { BackupError, toBackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import type { ItemSource, ItemSourceFacts } from "../../core/items.ts";
import type { Json, Lease, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import { isDamage, type ItemRecord, type Repository } from "../../repository/mod.ts";
import { bytesOf, cutIntoRuns, type ItemLimits, type ItemRun, packRuns } from "./cut_runs.ts";
import { chunksLost, manifestOf, requireAny } from "./item_manifest.ts";
import {
  COMPARE,
  comparePages,
  LIST_RANGES,
  listPart,
  listParts,
  type ListPayload,
  listRanges,
  type ListWork,
  lostPages,
  namedBy,
  type PageSpan,
  requireOrder,
  type SamePages,
} from "./list_items.ts";
import { ParentItems, type ParentPage } from "./parent_items.ts";
import type { SaveItemsPayload, SaveItemsResult } from "./save_items.ts";
import { type JoinPayload, joinRanges, type RangePayload, saveRange } from "./save_ranges.ts";
import {
  costOfRuns,
  costOfSaved,
  type ItemSaver,
  type RangeTask,
  type SaveTask,
  saveTask,
  watchOf,
} from "./save_task.ts";
import { outcomeOf } from "../service/stored_backups.ts";

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
  /** Threads to save items in; without them the worker does it. */
  saver?: ItemSaver;
}

const LIMITS: ItemLimits = {
  ...{ pageItems: 64, partItems: 256 },
  ...{ partBytes: 16 << 20, rangeBytes: 32 << 20 },
};

/** What the first part gives to all others. */
interface Described {
  createdAt: string;
  parent: string | null;
  facts: ItemSourceFacts;
  /** Pages of the parent that cannot be referred to. */
  lost: number[];
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
    beginsAnew: true,
    run: (lease, context) => backup.run(lease, context),
  };
}

class BackupItems {
  readonly #options: BackupItemsOptions;
  readonly #limits: ItemLimits;
  #round = 0;
  /** Bytes that were read or have to be, as far as it is known. */
  #toRead = 0;
  #described: Described | undefined;
  #parent: ParentItems | undefined;

  constructor(options: BackupItemsOptions) {
    this.#options = options;
    this.#limits = { ...LIMITS, ...options.limits };
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    if (lease.round !== this.#round) {
      [this.#round, this.#described, this.#parent] = [lease.round, undefined, undefined];
    }
    switch (lease.name) {
      case DESCRIBE:
        return await this.#describe(lease, context);
      case LIST:
        return await this.#list(lease, context);
      case COMPARE:
        return await this.#compare(lease, context);
      case LIST_RANGES:
        return await this.#listRanges(lease, context);
      case SAVE:
        return await this.#save(lease, context);
      case RANGE:
        return await this.#saveRange(lease, context);
      case JOIN:
        return await this.#join(lease, context);
      case FINISH:
        return await this.#finish(lease, context);
      default:
        throw unknownPart(lease.name);
    }
  }

  /** Reads what concerns the source as a whole. */
  async #describe({ round }: Lease, { signal }: PartContext): Promise<PartOutcome> {
    const { source, repository, clock, database } = this.#options;
    const createdAt = clock.now().toISOString();
    const facts = await source.describe(signal);
    const { projectRef } = facts;
    if (projectRef !== null) {
      await repository.claimOwner({ projectRef, systemIdentifier: null, database }, { signal });
    }
    const parent = await this.#newest(signal);
    const described: Described = { createdAt, parent, facts, lost: [] };
    const listing = await source.ranged?.(signal) ?? null;
    const first = { step: 1, name: LIST, payload: { after: null, from: null }, bytes: 0 };
    if (listing === null) return { result: toJson(described), add: [first, finishPart()] };
    const items = this.#parent = this.#itemsOf(parent);
    if (isDoubtful({ round })) described.lost = await lostPages(items, repository, signal);
    const add = listParts(listing, await items.pages());
    return { result: toJson(described), add: [...add, finishPart()] };
  }

  /** Lists one page and cuts it into runs; the page after it is listed meanwhile. */
  async #list({ step, payload }: Lease, { signal }: PartContext): Promise<PartOutcome> {
    const { after, from } = payload as { after: string | null; from: string | null };
    const { items, next } = await this.#options.source.page(after, signal);
    requireOrder(items, from);
    const last = items.at(-1)?.key ?? from;
    const range = { from, upTo: next === null ? null : last };
    const runs = items.length === 0 && next !== null
      ? []
      : cutIntoRuns({ range, items }, { digestOf: null, limits: this.#limits });
    const add = this.#saveParts(step + 1, { runs, pages: [] });
    if (next !== null) {
      add.push({ step: step + 1, name: LIST, payload: { after: next, from: last }, bytes: 0 });
    }
    return { result: null, add };
  }

  /** Asks the source which pages of the parent are still the same. */
  async #compare({ step, payload }: Lease, context: PartContext): Promise<PartOutcome> {
    const work = await this.#listWork(context);
    const { same, toList } = await comparePages(payload as unknown as PageSpan, work);
    await this.#keep(same, context);
    const add = toList.map((list) => listPart(step + 1, list));
    return { result: toJson({ same } satisfies SamePages), add };
  }

  /** Lists runs of keys; what is left of them is listed meanwhile. */
  async #listRanges({ step, payload }: Lease, context: PartContext): Promise<PartOutcome> {
    const work = await this.#listWork(context);
    const { same, runs, rest } = await listRanges(payload as unknown as ListPayload, work);
    await this.#keep(same, context);
    const add = this.#saveParts(step + 1, { runs, pages: work.pages });
    if (rest !== null) add.push(listPart(step + 1, rest));
    return { result: toJson({ same } satisfies SamePages), add };
  }

  async #listWork(context: PartContext): Promise<ListWork> {
    const { lost } = await this.#describedBy(context);
    const { signal } = context;
    const parent = await this.#parentItems(context);
    const listing = await this.#options.source.ranged!(signal);
    if (listing === null) {
      throw new BackupError("conflict", "Cannot list the items: the source lists otherwise now", {
        hint: "Begin the backup again.",
      });
    }
    const known = { pages: await parent.pages(), lost: new Set(lost), limits: this.#limits };
    return { ...known, listing, signal };
  }

  /** Pages that are referred to stay locked for as long as new ones. */
  async #keep(same: readonly number[], context: PartContext): Promise<void> {
    const pages = await (await this.#parentItems(context)).pages();
    const names = same.flatMap((index) => namedBy(pages[index]!));
    await this.#options.repository.extendLocks(names, { signal: context.signal });
  }

  #saveParts(
    step: number,
    { runs, pages }: { runs: readonly ItemRun[]; pages: readonly ParentPage[] },
  ): NewPart[] {
    return packRuns(runs, { pages, limits: this.#limits }).map((runs): NewPart => ({
      ...{ step, name: SAVE, payload: plain({ runs } satisfies SaveItemsPayload) },
      bytes: runs.reduce((sum, run) => sum + bytesOf(run), 0),
    }));
  }

  async #save(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { source, repository, clock } = this.#options;
    const { parent } = await this.#describedBy(context);
    const { runs } = lease.payload as unknown as SaveItemsPayload;
    const task: SaveTask = {
      ...{ runs, rangeBytes: this.#limits.rangeBytes, doubtful: isDoubtful(lease) },
      ...{ lastTry: lease.attempt >= TRIES, lastResort: lease.attempt >= MOST_TRIES },
      parent: parent === null ? null : { backupId: parent, type: source.type },
    };
    const watch = watchOf(context);
    // Without a backup before, all of it has to be read.
    if (parent === null) this.#toRead += costOfRuns(runs);
    const done = await this.#threads?.save(task, watch) ?? await saveTask(task, {
      ...{ source, repository, parent: await this.#parentItems(context), ...watch },
      now: () => clock.now(),
    });
    if ("saved" in done) {
      if (parent !== null) this.#toRead += costOfSaved(done.saved);
      return { result: plain(done.saved) };
    }
    const at = lease.step + 1;
    const add = done.ranges.map((range): NewPart => ({
      ...{ step: at, name: RANGE, payload: toJson(range), bytes: range.to - range.from },
    }));
    const join: JoinPayload = { run: runs[0]!, ranges: done.ranges.length };
    add.push({ step: at + 1, name: JOIN, payload: toJson(join), bytes: 0 });
    return { result: null, bytes: 0, add };
  }

  /** Threads, where there is enough for them to do. */
  get #threads(): ItemSaver | undefined {
    const { saver } = this.#options;
    return saver !== undefined && this.#toRead >= saver.leastBytes ? saver : undefined;
  }

  async #saveRange(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { source, repository } = this.#options;
    const payload = lease.payload as unknown as RangePayload;
    const task: RangeTask = { ...payload, lastTry: lease.attempt >= TRIES };
    const watch = watchOf(context);
    this.#toRead += task.to - task.from;
    const done = await this.#threads?.saveRange(task, watch) ??
      await saveRange(task, { source, repository, ...watch });
    return { result: toJson(done) };
  }

  async #join(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { repository, clock } = this.#options;
    const { part } = lease;
    const join = lease.payload as unknown as JoinPayload;
    const result = await joinRanges(join, {
      // The ranges were added with this part, in front of it.
      ranges: context.results(RANGE, { behind: part - join.ranges - 1, before: part }),
      ...{ repository, doubtful: isDoubtful(lease), signal: context.signal },
      ...{ parent: await this.#parentItems(context), now: () => clock.now() },
    });
    return { result: toJson(result) };
  }

  /** Puts together what all parts gave. */
  async #finish({ round }: Lease, context: PartContext): Promise<PartOutcome> {
    const { repository, clock, source, backupId, reason, origin, writtenBy } = this.#options;
    const before = await this.#committedBefore();
    if (before !== null) return this.#finished(before);
    const { createdAt, parent, facts } = await this.#describedBy(context);
    const saved = await this.#gather<SaveItemsResult>([SAVE, JOIN], context);
    const same = (await this.#gather<SamePages>([COMPARE, LIST_RANGES], context))
      .flatMap(({ same }) => same);
    const pages = same.length === 0 ? [] : await (await this.#parentItems(context)).pages();
    const referred = same.map((index) => pages[index]!.page);
    requireAny(saved, { referred, facts });
    const head = { backupId, type: source.type, createdAt, parent, source: facts };
    const manifest = manifestOf(head, { saved, referred });
    context.signal.throwIfAborted();
    try {
      const record = await repository.commitBackup(manifest, {
        ...{ reason, origin, writtenBy, completedAt: clock.now().toISOString() },
      });
      return this.#finished(record);
    } catch (error) {
      const { code } = toBackupError(error);
      if (code === "object_missing" && !isDoubtful({ round })) throw chunksLost(error);
      // A worker that was believed lost was first: its record is this job's, only its time is another.
      const first = code === "conflict" ? await this.#committedBefore() : null;
      if (first === null) throw error;
      return this.#finished(first);
    }
  }

  async #gather<T>(names: readonly string[], { results }: PartContext): Promise<T[]> {
    const found: T[] = [];
    for (const name of names) {
      for await (const { result } of results(name)) if (result !== null) found.push(result as T);
    }
    return found;
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
    const { parent } = await this.#describedBy(context);
    return this.#parent ??= this.#itemsOf(parent);
  }

  #itemsOf(backupId: string | null): ParentItems {
    const { repository, source: { type } } = this.#options;
    return new ParentItems(repository, backupId === null ? null : { backupId, type });
  }

  async #describedBy({ results }: PartContext): Promise<Described> {
    if (this.#described !== undefined) return this.#described;
    const [part] = await Array.fromAsync(results(DESCRIBE));
    return this.#described = part!.result as unknown as Described;
  }
}

/**
 * What the backup before refers to is believed to be in the storage, until the commit finds that it is not:
 * the job then begins again and looks for each chunk, so that what was lost is stored once more.
 */
function isDoubtful({ round }: Pick<Lease, "round">): boolean {
  return round > 1;
}

/** A value that is JSON as it is: to copy thousands of items to make sure of it would cost more than to list them. */
function plain(value: object): Json {
  return value as unknown as Json;
}

function finishPart(): NewPart {
  return { step: FINISH_STEP, name: FINISH, payload: null, bytes: 0 };
}
