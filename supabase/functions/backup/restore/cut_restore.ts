/**
 * Cuts a plan for an empty database into steps and units, so that workers which live for seconds can
 * share it. Units name entries by their keys; all units of one step may run at once.
 *
 * @module
 */
import type { DataPart, Entry } from "../core/model.ts";
import { EntryIndex, sqlNameOf } from "./entry_index.ts";
import type { RestorePlan, TableLoad } from "./plan_types.ts";

/** What a unit is about; the names are those of the phases of a restore. */
export type RestoreStepName =
  | "roles"
  | "drop"
  | "adjust"
  | "definitions"
  | "clear"
  | "rows"
  | "sequences"
  | "build"
  | "rights"
  | "refresh"
  | "last"
  | "check-keys"
  | "compare-rows";

/** Work for one worker in one go. */
export interface RestoreUnit {
  /** Keys of the entries, in order: of the plan's list to drop for `drop`, identities for `adjust`. */
  keys: string[];
  /** For rows: which parts of each entry. */
  parts?: { key: string; part: number }[];
  /** Estimated bytes that are moved, read or sorted. */
  bytes: number;
  /** The server may need longer for it than a worker lives. */
  isLong: boolean;
}

/** Units that may run at once, after all units of the steps before. */
export interface RestoreStep {
  name: RestoreStepName;
  units: RestoreUnit[];
}

/** Sizes to cut by. */
export interface RestoreLimits {
  /** Entries to a unit of statements at most. */
  entries: number;
  /** Raw bytes of rows to a unit; a stored part is never cut. */
  partBytes: number;
  /** Bytes of a table from which one statement on it counts as long. */
  longBytes: number;
}

/** A hosted worker makes some hundred objects, or loads some ten megabytes, well within a second of CPU. */
const RESTORE_LIMITS: RestoreLimits = {
  entries: 200,
  partBytes: 16 << 20,
  longBytes: 256 << 20,
};

/** Post-data entries that read their table; all others are quick. */
const BUILT = ["index", "index-attach", "constraint", "foreign-key"];

/** What is made after everything else, because it would react to it. */
const LAST = ["event-trigger", "default-acl", "cron-job"];

/** The steps, in order; those without work are left out. */
export function cutRestore(
  plan: RestorePlan,
  index: EntryIndex,
  limits: RestoreLimits = RESTORE_LIMITS,
): RestoreStep[] {
  const sizes = tableSizes(plan, index.entries);
  const made = plan.create.filter((entry) => entry.kind !== "refresh");
  const of = (filter: (entry: Entry) => boolean) => made.filter(filter);
  const isOrdinary = (entry: Entry) => !LAST.includes(entry.kind) && entry.kind !== "sequence-set";
  const postData = of((entry) => entry.section === "post-data" && isOrdinary(entry));
  const { levels, rest } = cutPostData(postData, { index, sizes, limits });
  // Together, because foreign keys among them may have stayed; and before the first of their rows comes.
  const cleared = plan.load.filter((load) => load.clear !== "none").map((load) => load.entry);
  const granted = of((entry) => entry.statements.acl.length > 0);
  return [
    ...inOrder("roles", plan.cluster, limits),
    ...inOrder("drop", plan.drop, limits),
    { name: "adjust" as const, units: adjustments(plan) },
    ...inOrder(
      "definitions",
      of((entry) => entry.section === "pre-data" && isOrdinary(entry)),
      limits,
    ),
    ...inOrder("clear", cleared, { ...limits, entries: Math.max(1, cleared.length) }),
    { name: "rows" as const, units: cutRows(loadsToDo(plan), { index, limits }) },
    {
      name: "sequences" as const,
      units: batches(of((entry) => entry.kind === "sequence-set"), limits).map(unitOf),
    },
    ...levels.map((units) => ({ name: "build" as const, units })),
    ...inOrder("build", rest, limits),
    {
      name: "rights" as const,
      units: batches(granted.filter((entry) => entry.kind !== "default-acl"), limits).map(unitOf),
    },
    ...plan.refresh.map((entry) => ({
      name: "refresh" as const,
      units: [{ ...unitOf([entry]), isLong: true }],
    })),
    ...inOrder("last", of((entry) => LAST.includes(entry.kind)), limits),
    {
      name: "check-keys" as const,
      units: cutByTable(nearby(plan.load.filter(isFilled), index), limits),
    },
    { name: "compare-rows" as const, units: cutByTable(nearby(plan.load, index), limits) },
  ].filter((step) => step.units.length > 0);
}

function adjustments({ adjust }: RestorePlan): RestoreUnit[] {
  if (adjust.length === 0) return [];
  return [{ keys: adjust.map(({ identity }) => identity), bytes: 0, isLong: false }];
}

/** Batches that must run one after the other, because later ones need earlier ones. */
function inOrder(
  name: RestoreStepName,
  entries: readonly Entry[],
  limits: RestoreLimits,
): RestoreStep[] {
  return batches(entries, limits).map((batch) => ({ name, units: [unitOf(batch)] }));
}

function batches(entries: readonly Entry[], { entries: most }: RestoreLimits): Entry[][] {
  const all: Entry[][] = [];
  for (let at = 0; at < entries.length; at += most) all.push(entries.slice(at, at + most));
  return all;
}

function unitOf(entries: readonly Entry[]): RestoreUnit {
  return { keys: entries.map((entry) => entry.key), bytes: 0, isLong: false };
}

/** Bytes of every table that is loaded, by key of its definition and by name. */
function tableSizes(plan: RestorePlan, entries: readonly Entry[]): Map<string, number> {
  const byName = new Map<string, number>();
  for (const { entry, parts } of plan.load) byName.set(sqlNameOf(entry), bytesOfParts(parts));
  const sizes = new Map<string, number>();
  for (const entry of entries) {
    if (entry.kind === "table") sizes.set(entry.key, byName.get(sqlNameOf(entry)) ?? 0);
  }
  return sizes;
}

function bytesOfParts(parts: readonly DataPart[]): number {
  return parts.reduce((sum, part) => sum + part.rawBytes, 0);
}

/** Units under construction that small pieces of work are packed into. */
class Packer {
  readonly units: RestoreUnit[] = [];
  #open: RestoreUnit | null = null;

  constructor(private readonly most: { entries: number; bytes: number }) {}

  add(key: string, bytes: number, part?: number): void {
    const open = this.#open;
    const fits = open !== null && open.bytes + bytes <= this.most.bytes &&
      (open.parts ?? open.keys).length < this.most.entries;
    const unit = fits ? open : this.#begin();
    if (unit.keys.at(-1) !== key) unit.keys.push(key);
    if (part !== undefined) (unit.parts ??= []).push({ key, part });
    unit.bytes += bytes;
  }

  #begin(): RestoreUnit {
    this.#open = { keys: [], bytes: 0, isLong: false };
    this.units.push(this.#open);
    return this.#open;
  }
}

interface Cutting {
  index: EntryIndex;
  limits: RestoreLimits;
}

/** Without the parts that are in place. */
function loadsToDo({ load, loaded }: RestorePlan): TableLoad[] {
  return load.map((each) => {
    const there = loaded?.get(each.entry.key);
    if (there === undefined) return each;
    return { ...each, parts: each.parts.filter(({ part }) => !there.has(part)) };
  });
}

/** Rows of critical tables, then all others. */
function cutRows(loads: readonly TableLoad[], cutting: Cutting): RestoreUnit[] {
  const critical = loads.filter(({ isCritical }) => isCritical === true);
  const others = loads.filter(({ isCritical }) => isCritical !== true);
  return [...cutLoads(critical, cutting), ...cutLoads(others, cutting)];
}

/** Largest units first, so that the last worker is not left alone with one of them. */
function cutLoads(loads: readonly TableLoad[], { index, limits }: Cutting): RestoreUnit[] {
  const packer = new Packer({ entries: limits.entries, bytes: limits.partBytes });
  const isLarge = ({ parts }: TableLoad) => bytesOfParts(parts) >= limits.partBytes;
  const small = nearby(loads.filter((load) => !isLarge(load)), index);
  for (const { entry, parts } of [...loads.filter(isLarge), ...small]) {
    for (const part of parts) packer.add(entry.key, part.rawBytes, part.part);
  }
  return packer.units.sort((a, b) => b.bytes - a.bytes);
}

/** As they stand in the backup: what is beside each other there is read in one go. */
function nearby(loads: readonly TableLoad[], index: EntryIndex): TableLoad[] {
  return loads.map((load) => ({ load, place: index.position(load.entry) }))
    .sort((a, b) => a.place - b.place).map(({ load }) => load);
}

interface PostDataFacts extends Cutting {
  sizes: ReadonlyMap<string, number>;
}

/**
 * Indexes, constraints and foreign keys by levels: an entry stands above what it needs, and no two of a
 * level lock one table against each other. `rest` is everything else, in its order.
 */
function cutPostData(
  entries: readonly Entry[],
  { index, sizes, limits }: PostDataFacts,
): { levels: RestoreUnit[][]; rest: Entry[] } {
  const levelOf = new Map<string, number>();
  const late = new Set<string>();
  const taken: Taken = new Map();
  const levels: { entry: Entry; bytes: number }[][] = [];
  const rest: Entry[] = [];
  for (const entry of entries) {
    const needs = entry.dependsOn.filter((key) => key !== entry.key);
    if (!BUILT.includes(entry.kind) || needs.some((key) => late.has(key))) {
      late.add(entry.key);
      rest.push(entry);
      continue;
    }
    const tables = index.tablesTouched(entry);
    const lowest = Math.max(0, ...needs.map((key) => (levelOf.get(key) ?? -1) + 1));
    const level = freeLevel(taken, { tables, lowest, isShared: entry.kind === "index" });
    levelOf.set(entry.key, level);
    const bytes = [...tables].reduce((sum, key) => sum + (sizes.get(key) ?? 0), 0);
    (levels[level] ??= []).push({ entry, bytes });
  }
  return {
    levels: levels.map((level) => packLevel(level, limits)).filter((units) => units.length > 0),
    rest,
  };
}

/** For each table what its levels have: something that locks it, or only indexes. */
type Taken = Map<string, ("lock" | "index" | undefined)[]>;

/** The first level where none of the tables is locked; indexes of one table get along. */
function freeLevel(
  taken: Taken,
  { tables, lowest, isShared }: { tables: Set<string>; lowest: number; isShared: boolean },
): number {
  const own = [...tables].map((table) => {
    let levels = taken.get(table);
    if (levels === undefined) taken.set(table, levels = []);
    return levels;
  });
  const stands = (what: "lock" | "index" | undefined) =>
    isShared ? what === "lock" : what !== undefined;
  let level = lowest;
  while (own.some((levels) => stands(levels[level]))) level++;
  for (const levels of own) levels[level] = isShared ? "index" : "lock";
  return level;
}

function packLevel(
  level: readonly { entry: Entry; bytes: number }[],
  limits: RestoreLimits,
): RestoreUnit[] {
  const packer = new Packer({ entries: limits.entries, bytes: limits.longBytes / 2 });
  const long: RestoreUnit[] = [];
  for (const { entry, bytes } of level) {
    if (bytes >= limits.longBytes) long.push({ keys: [entry.key], bytes, isLong: true });
    else packer.add(entry.key, bytes);
  }
  return [...long.sort((a, b) => b.bytes - a.bytes), ...packer.units];
}

/** Its foreign keys did not watch its rows come. */
function isFilled({ fill }: TableLoad): boolean {
  return fill !== undefined;
}

/** Tables whose rows went through one partitioned table are looked at together. */
function cutByTable(loads: readonly TableLoad[], limits: RestoreLimits): RestoreUnit[] {
  const groups = new Map<string, RestoreUnit>();
  for (const { entry, parts, root } of loads) {
    if (entry.kind !== "table-data") continue;
    const group = groups.get(root ?? entry.key) ?? { keys: [], bytes: 0, isLong: false };
    group.keys.push(entry.key);
    group.bytes += bytesOfParts(parts);
    groups.set(root ?? entry.key, group);
  }
  const long: RestoreUnit[] = [];
  let open: RestoreUnit | null = null;
  const units: RestoreUnit[] = [];
  for (const group of groups.values()) {
    if (group.bytes >= limits.longBytes) {
      long.push({ ...group, isLong: true });
    } else if (
      open !== null && open.bytes + group.bytes < limits.longBytes / 2 &&
      open.keys.length + group.keys.length <= limits.entries
    ) {
      open.keys.push(...group.keys);
      open.bytes += group.bytes;
    } else {
      units.push(open = group);
    }
  }
  return [...long.sort((a, b) => b.bytes - a.bytes), ...units];
}
