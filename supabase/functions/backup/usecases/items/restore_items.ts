/**
 * A restore of functions, settings, secrets or files as a job in parts: everything is planned before
 * anything is changed, what will be replaced is saved, then each item is restored and checked by itself.
 * Read {@linkcode RestoreItems.run} first. It is longer than usual, because a restore is told in one place, from
 * the plan to the report.
 *
 * @module
 */
import { BackupError, toBackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import {
  compareKeys,
  type ItemResult,
  type ItemStep,
  type ItemTarget,
  type ItemType,
  type OpenContent,
  type SavedItem,
} from "../../core/items.ts";
import type { Json, Lease, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import { isOutOfReach } from "../../jobs/classify_failure.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import type { ItemPageRef, Repository } from "../../repository/mod.ts";
import { describeItems } from "./describe_items.ts";
import { concernsAll, toFailure } from "./save_items.ts";

/** What is restored and how; the same for every worker. */
export interface RestoreItemsOptions {
  backupId: string;
  type: ItemType;
  target: ItemTarget;
  repository: Repository;
  /** Keys, or beginnings of keys that end with `/`; none means everything. */
  only: readonly string[];
  /** Keys of items whose hazards are accepted, or beginnings of keys; nothing that holds them. */
  acceptHazards: readonly string[];
  /** Plans and changes nothing. `refuse`: and fails where the restore itself would refuse to begin. */
  dryRun: boolean | "refuse";
  /** Saves what is about to be replaced; null when that is not wanted. */
  safetyBackup: ((signal: AbortSignal) => Promise<SafetyBackup>) | null;
  /** Bytes of one item that one part moves, at most. */
  pauseBytes?: number;
}

/** The way back. Survives JSON. */
export interface SafetyBackup {
  backupId: string;
  /** Keys of what could not be saved: nothing of it is replaced. */
  unsaved: string[];
}

/** The parts that such a restore begins with. */
export const FIRST_OF_ITEM_RESTORE: readonly NewPart[] = [
  { step: 0, name: "opening-the-backup", payload: null, bytes: 0 },
];

/** Names of the parts, which are what users see of them. */
const OPEN = FIRST_OF_ITEM_RESTORE[0]!.name;
const PLAN = "planning-items";
const CHECK = "checking-the-plan";
const SAFETY = "saving-what-is-replaced";
const RESTORE = "restoring-items";
const FINISH = "summing-up";

/** Steps of the ladder; a bucket must be there before its objects. */
const STEPS = { plan: 1, check: 2, safety: 3, containers: 4, items: 5, finish: 6 } as const;

/** Items and bytes of one part, unless a single item has more. */
const PART_ITEMS = 100;
const PART_BYTES = 16 << 20;

/** Bytes of a large item after which its part ends and another goes on, unless the caller says otherwise. */
const PAUSE_BYTES = 48 << 20;

/** Tries of a part before a passing trouble with one item is told of that item. */
const TRIES = 3;

/** Why an item is left as it is. */
const NO_WAY_BACK: NonNullable<ItemResult["failure"]> = {
  code: "restore_refused",
  message: "Cannot replace it: what is there could not be saved before",
  hint: "Mend what the safety backup says of it, or restore without one (skipSafetyBackup).",
};

/** Steps and failures that a job's result holds; the rest is counted. */
const MOST_SHOWN = 1000;

/** What planning one page gave. Survives JSON. */
interface PlanResult {
  steps: ItemStep[];
  /** Of the choices, those that name something on the page. */
  named: string[];
}

/** Steps of one page. Survives JSON. */
interface RestorePayload {
  page: number;
  steps: ItemStep[];
  /** Where to go on with the only step. */
  resume: Json;
}

/** The definition of one restore; an instance may do any number of its parts. */
export function restoreItems(options: RestoreItemsOptions): JobDefinition {
  const restore = new RestoreItems(options);
  return {
    first: () => [...FIRST_OF_ITEM_RESTORE],
    run: (lease, context) => restore.run(lease, context),
  };
}

class RestoreItems {
  readonly #options: RestoreItemsOptions;
  #pages: Promise<ItemPageRef[]> | undefined;

  constructor(options: RestoreItemsOptions) {
    this.#options = options;
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    switch (lease.name) {
      case OPEN:
        return await this.#open();
      case PLAN:
        return await this.#plan(lease.payload as number, context);
      case CHECK:
        return await this.#check(context);
      case SAFETY:
        return { result: toJson(await this.#options.safetyBackup!(context.signal)) };
      case RESTORE:
        return await this.#restore(lease, context);
      case FINISH:
        return await this.#finish(context);
      default:
        throw unknownPart(lease.name);
    }
  }

  async #open(): Promise<PartOutcome> {
    const { only, dryRun, safetyBackup } = this.#options;
    const pages = await this.#readPages();
    const add = pages.flatMap((page, at): NewPart[] =>
      only.length > 0 && !only.some((each) => mayHold(page, each))
        ? []
        : [{ step: STEPS.plan, name: PLAN, payload: at, bytes: 0 }]
    );
    if (only.length > 0 || dryRun === false) {
      add.push({ step: STEPS.check, name: CHECK, payload: null, bytes: 0 });
    }
    if (dryRun === false && safetyBackup !== null) {
      add.push({ step: STEPS.safety, name: SAFETY, payload: null, bytes: 0 });
    }
    add.push({ step: STEPS.finish, name: FINISH, payload: null, bytes: 0 });
    return { result: null, add };
  }

  /** Plans one page. Nothing is changed before all pages are planned and checked. */
  async #plan(at: number, { signal }: PartContext): Promise<PartOutcome> {
    const { target, dryRun, only } = this.#options;
    const items = await this.#itemsOf(at, signal);
    const sound = items.filter(({ failure }) => failure === undefined);
    const steps = [
      ...await target.plan(sound, signal),
      ...items.flatMap(({ key, failure }): ItemStep[] =>
        failure === undefined ? [] : [{
          ...{ key, action: "by-hand", title: `${key} is not in this backup: ${failure.message}` },
        }]
      ),
    ];
    const named = only.filter((each) => items.some(({ key }) => isNamed(key, each)));
    const result = toJson({ steps, named } satisfies PlanResult);
    if (dryRun !== false) return { result };
    const toDo = steps.filter(({ action }) => action === "create" || action === "replace");
    const bytes = new Map(items.map(({ key, sizeBytes }) => [key, sizeBytes]));
    return { result, add: cutIntoParts(toDo, { page: at, bytes }) };
  }

  /**
   * @throws `invalid_request` for a choice that names nothing: its restore would end well and do nothing;
   * `restore_refused` with all hazards that are not accepted
   */
  async #check({ results }: PartContext): Promise<PartOutcome> {
    const { only, backupId, dryRun } = this.#options;
    const missing = new Set(only);
    for await (const { result } of results(PLAN)) {
      for (const each of (result as unknown as PlanResult).named) missing.delete(each);
    }
    if (missing.size > 0) {
      const words = [...missing].slice(0, 10).join(", ");
      throw new BackupError(
        "invalid_request",
        `Cannot restore: ${backupId} has no items named ${words}`,
        { hint: "No item was changed. Look at the plan of all items (dryRun) for their names." },
      );
    }
    if (dryRun === false) await this.#refuseHazards({ results });
    return { result: null };
  }

  async #refuseHazards({ results }: Pick<PartContext, "results">): Promise<void> {
    const refused = new Shown<ItemStep>();
    for await (const { result } of results(PLAN)) {
      for (const step of (result as unknown as PlanResult).steps) {
        if ((step.hazards?.length ?? 0) > 0 && !this.#isAccepted(step)) refused.add(step);
      }
    }
    if (refused.total === 0) return;
    const keys = refused.first.slice(0, 10).map(({ key }) => key);
    const more = refused.total > keys.length ? ` and ${refused.total - keys.length} more` : "";
    throw new BackupError(
      "restore_refused",
      `Cannot restore: hazards of ${keys.join(", ")}${more} are not accepted`,
      {
        hint: "No item was changed. Look at the plan (dryRun), then name these items in " +
          "acceptHazards, or restore only others.",
        details: {
          hazards: refused.first.map(({ key, hazards }) => ({ key, hazards: hazards ?? [] })),
        },
      },
    );
  }

  #isAccepted({ key }: ItemStep): boolean {
    return this.#options.acceptHazards.some((accepted) => isNamed(key, accepted));
  }

  async #restore(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { page, steps, resume } = lease.payload as unknown as RestorePayload;
    const wanted = new Set(steps.map(({ key }) => key));
    const items = new Map<string, SavedItem>();
    for (const item of await this.#itemsOf(page, context.signal)) {
      if (wanted.has(item.key)) items.set(item.key, item);
    }
    const results: ItemResult[] = [];
    const unsaved = new Set((await safetyOf(context))?.unsaved);
    for (const step of steps) {
      context.signal.throwIfAborted();
      if (step.action === "replace" && unsaved.has(step.key)) {
        results.push({ key: step.key, outcome: "failed", failure: NO_WAY_BACK });
        continue;
      }
      let result = await this.#apply(step, { item: items.get(step.key)!, resume, lease, context });
      if (result.outcome === "paused" && steps.length === 1) {
        const payload = toJson({ page, steps, resume: result.resume ?? null });
        const again = { step: lease.step, name: RESTORE, payload, bytes: lease.bytes };
        return { result: null, split: [again] };
      }
      while (result.outcome === "paused") {
        const work = { item: items.get(step.key)!, resume: result.resume ?? null, lease, context };
        result = await this.#apply(step, work);
      }
      results.push(result);
    }
    return { result: toJson(results) };
  }

  async #apply(
    step: ItemStep,
    { item, resume, lease, context }: {
      item: SavedItem;
      resume: Json;
      lease: Lease;
      context: PartContext;
    },
  ): Promise<ItemResult> {
    const { target, repository, pauseBytes = PAUSE_BYTES } = this.#options;
    const { signal } = context;
    try {
      return await target.apply(step, {
        ...{ item, resume, maxBytes: pauseBytes, signal },
        open: contentReader(repository, signal),
      });
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toBackupError(thrown);
      if (concernsAll(error.code)) throw error;
      if (isOutOfReach(error.code) && lease.attempt < TRIES) throw error;
      return { key: step.key, outcome: "failed", failure: toFailure(error) };
    }
  }

  /** @throws `restore_incomplete` when an item could not be restored, `restore_refused` as `refuse` asks for */
  async #finish({ results }: PartContext): Promise<PartOutcome> {
    const { dryRun, type, backupId } = this.#options;
    // At the end, and not in a part before it: who looks ahead at several backups goes on with the next one.
    if (dryRun === "refuse") await this.#refuseHazards({ results });
    const steps = new Shown<ItemStep>();
    const hazards = new Shown<ItemStep>();
    const byHand = new Shown<{ key: string; title: string }>();
    const planned: Record<string, number> = {};
    for await (const { result } of results(PLAN)) {
      for (const step of (result as unknown as PlanResult).steps) {
        const { key, action, title } = step;
        count(planned, action);
        steps.add(step);
        if (action === "by-hand") byHand.add({ key, title });
        if ((step.hazards?.length ?? 0) > 0) hazards.add(step);
      }
    }
    const head = { type, backupId, dryRun: dryRun !== false, planned };
    if (dryRun !== false) {
      const shown = { steps: steps.first, stepsTotal: steps.total, hazards: hazards.first };
      const open = hazards.first.filter((step) => !this.#isAccepted(step));
      const summary = describeItems({ type, backupId, planned, byHand, hazards: open });
      return { result: null, finish: { result: { summary, ...head, ...shown }, backupId } };
    }
    const failures = new Shown<ItemResult>();
    const outcomes: Record<string, number> = {};
    for await (const { result } of results(RESTORE)) {
      for (const each of result as unknown as ItemResult[] ?? []) {
        const { key, outcome, checked = "" } = each;
        count(outcomes, outcome);
        if (outcome === "by-hand") byHand.add({ key, title: checked });
        if (outcome === "failed") failures.add(each);
      }
    }
    const safety = await safetyOf({ results });
    const result = {
      ...head,
      ...{ safetyBackupId: safety?.backupId ?? null, outcomes, byHand: byHand.first },
      failures: failures.first,
    };
    const [first] = failures.first;
    if (first === undefined) return { result: null, finish: { result, backupId } };
    const done = Object.values(outcomes).reduce((sum, times) => sum + times, 0);
    throw new BackupError(
      "restore_incomplete",
      `Cannot restore ${failures.total} of ${done} items: ${first.key}: ` +
        `${first.failure?.message ?? "it failed"}`,
      {
        hint: "The other items are restored. Mend the cause and restore these items again.",
        details: { ...result, failures: result.failures.slice(0, 100) },
      },
    );
  }

  async #itemsOf(at: number, signal: AbortSignal): Promise<SavedItem[]> {
    const { repository, only } = this.#options;
    const page = (await this.#readPages())[at]!;
    const items: SavedItem[] = [];
    for await (const item of repository.readLines<SavedItem>(page.items, { signal })) {
      if (only.length === 0 || only.some((each) => isChosen(item.key, each))) items.push(item);
    }
    return items;
  }

  #readPages(): Promise<ItemPageRef[]> {
    const { repository, backupId, type } = this.#options;
    this.#pages ??= repository.readBackup(backupId, { type }).then(({ manifest }) =>
      manifest.pages
    );
    this.#pages.catch(() => this.#pages = undefined);
    return this.#pages;
  }
}

async function safetyOf({ results }: Pick<PartContext, "results">): Promise<SafetyBackup | null> {
  const [part] = await Array.fromAsync(results(SAFETY));
  return part === undefined ? null : part.result as unknown as SafetyBackup;
}

/** Reads saved contents of a repository, each piece checked. */
export function contentReader(repository: Repository, signal?: AbortSignal): OpenContent {
  return ({ pieces }, range) =>
    repository.readPieces(range === undefined ? pieces : behind(pieces, range.from), {
      ...(signal === undefined ? {} : { signal }),
    });
}

/** Whether an item is meant by its key or a beginning of it: `bucket/` means the bucket too. */
function isNamed(key: string, named: string): boolean {
  if (key === named || (named.endsWith("/") && key.startsWith(named))) return true;
  return !key.includes("/") && named === `${key}/`;
}

/** Whether a choice means an item; what holds the chosen one comes with it. */
function isChosen(key: string, chosen: string): boolean {
  return isNamed(key, chosen) || (!key.includes("/") && chosen.startsWith(`${key}/`));
}

/** Whether a page may hold something that is chosen. */
function mayHold({ first, last }: ItemPageRef, chosen: string): boolean {
  if (isChosen(first, chosen) || isChosen(last, chosen)) return true;
  const container = chosen.split("/")[0]!;
  return [chosen, container].some((key) =>
    compareKeys(first, key) <= 0 && compareKeys(key, last) <= 0
  );
}

/** Parts in the order of the steps; containers, whose keys have no slash, come before what they hold. */
function cutIntoParts(
  steps: readonly ItemStep[],
  { page, bytes }: { page: number; bytes: ReadonlyMap<string, number> },
): NewPart[] {
  const parts: NewPart[] = [];
  for (const step of [STEPS.containers, STEPS.items]) {
    let group: ItemStep[] = [];
    let groupBytes = 0;
    const close = () => {
      if (group.length === 0) return;
      const payload = toJson({ page, steps: group, resume: null });
      parts.push({ step, name: RESTORE, payload, bytes: groupBytes });
      group = [];
      groupBytes = 0;
    };
    for (const each of steps) {
      if (each.key.includes("/") !== (step === STEPS.items)) continue;
      const size = bytes.get(each.key) ?? 0;
      if (group.length >= PART_ITEMS || groupBytes + size > PART_BYTES) close();
      group.push(each);
      groupBytes += size;
    }
    close();
  }
  return parts;
}

/** The pieces behind so many bytes. */
function behind(pieces: SavedItem["contents"][number]["pieces"], from: number) {
  let at = 0;
  return pieces.flatMap((piece) => {
    const skip = Math.max(0, Math.min(piece.length, from - at));
    at += piece.length;
    if (skip === piece.length) return [];
    return [{ ...piece, offset: piece.offset + skip, length: piece.length - skip }];
  });
}

/** The first of any number of things, and how many they are. */
class Shown<T> {
  readonly first: T[] = [];
  total = 0;

  add(each: T): void {
    this.total += 1;
    if (this.first.length < MOST_SHOWN) this.first.push(each);
  }
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}
