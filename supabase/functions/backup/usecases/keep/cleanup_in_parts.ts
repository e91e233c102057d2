/**
 * A cleanup as a job in parts: retention expires backups, then the space is freed that nothing refers to any
 * more. Every part may be done twice, and a cleanup that ends anywhere leaves nothing that the next one
 * does not do. It is longer than usual, because what may be deleted hangs on the order of the parts, which is
 * told in one place.
 *
 * @module
 */
import { fromBase64, toBase64 } from "../../core/bytes.ts";
import type { Clock } from "../../core/clock.ts";
import { inGroups } from "../../core/in_groups.ts";
import { toJson } from "../../core/json.ts";
import type { NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import {
  type Freeable,
  type Freed,
  type FreeingTimes,
  type ManifestRefs,
  NameSet,
  type Repository,
  type RetentionRules,
  type Swept,
} from "../../repository/mod.ts";
import {
  type Applied,
  applyRetention,
  findOld,
  lookAtBackups,
  type LookedBackup,
  type RetentionFacts,
} from "./apply_retention.ts";
import { removeEmptyPoints } from "./remove_empty_points.ts";

/** What a cleanup does, fixed when it starts. Survives JSON. */
export interface CleanupPlan {
  /** The job's id. */
  runId: string;
  dryRun: boolean;
  rules: RetentionRules;
  times: FreeingTimes;
  /** Name of the destination whose copy is cleaned up; absent for the primary storage. */
  destination?: string | undefined;
}

/** What {@linkcode cleanupInParts} works with. */
export interface CleanupInPartsOptions {
  plan: CleanupPlan;
  repository: Repository;
  /** The time by the most trustworthy clock there is: a worker's own may be wrong by days. */
  clock(): Promise<Clock>;
  /** What is known beside the storage, at this moment. */
  facts(): Promise<RetentionFacts>;
  /** Why nothing may be deleted now (a backup runs); null when it may. */
  whyNotFree(): Promise<string | null>;
  /** Told of what has left the storage. */
  expired(gone: { backupIds: string[]; pointIds: string[] }): Promise<void>;
  /** Told of what stays, and until when by its days alone. Not in a dry run. */
  decided(kept: Applied["keptBackups"]): Promise<void>;
  /** Prunes records of the past; says how many of what. Nothing is pruned in a dry run. */
  prune(now: Date): Promise<Record<string, number>>;
}

/** What a cleanup did, or with `dryRun` would do. */
export interface CleanupReport extends Applied {
  dryRun: boolean;
  /** Ids of recovery points of which there is no backup any more. */
  removedPoints: string[];
  freed: Freed;
  /** Found now; deleted by a cleanup after the grace period. */
  planned: { count: number; bytes: number };
  /** Referred to by nothing, and too young or planned already. */
  waiting: { count: number; bytes: number };
  kept: { count: number; bytes: number };
  /** When the next of the plans may be used. */
  nextFreeAt: string | null;
  /** Why nothing was deleted; null when nothing stood against it. */
  notFreed: string | null;
  pruned: Record<string, number>;
}

/** The parts that a cleanup begins with. */
export const FIRST_OF_CLEANUP: readonly NewPart[] = [
  { step: 0, name: "listing-backups", payload: null, bytes: 0 },
  { step: 1, name: "expiring", payload: null, bytes: 0 },
];

const LIST = FIRST_OF_CLEANUP[0]!.name;
const EXPIRE = FIRST_OF_CLEANUP[1]!.name;
const LOOK = "looking-at-backups";
const POINTS = "looking-at-points";
const BEGIN = "beginning";
const READ = "reading-manifests";
const GATHER = "gathering-lists";
const MARK = "marking";
const SWEEP = "sweeping";
const FREE = "freeing";
const CONCLUDE = "concluding";

/** Records, points, manifests, lists and objects to one part: each about half a second of a worker's CPU at most. */
const RECORDS_A_PART = 200;
const POINTS_A_PART = 100;
const MANIFESTS_A_PART = 40;
const LISTS_A_PART = 64;
const LIST_BYTES_A_PART = 8 << 20;
const DELETIONS_A_PART = 250;

/** So long storage knows which backups expired: longer than tables keep their rows. */
const NOTES_KEPT_MS = 400 * 86_400_000;

/** Parts of the storage: chunks by the first digit of their name, and manifests. */
const AREAS = [..."0123456789abcdef", "manifests"];

interface Begun {
  plans: string[];
  until: string;
  waiting: string[];
  notFreed: string | null;
}

interface Found {
  area: string;
  candidates: Freeable[];
  freeable: { count: number; bytes: number };
  waiting: Swept["waiting"];
  kept: Swept["kept"];
}

/** The definition of one cleanup; an instance may do any number of its parts. */
export function cleanupInParts(options: CleanupInPartsOptions): JobDefinition {
  return {
    first: () => [...FIRST_OF_CLEANUP],
    async run({ name, payload }, context) {
      switch (name) {
        case LIST:
          return await list(options, context);
        case LOOK:
          return await look(options, payload as string[], context);
        case EXPIRE:
          return await expire(options, context);
        case POINTS:
          return await lookAtPoints(options, payload as string[], context);
        case BEGIN:
          return await begin(options, context);
        case READ:
          return await readManifests(options, payload as string[], context);
        case GATHER:
          return await gather(context);
        case MARK:
          return await mark(options, payload as string[], context);
        case SWEEP:
          return await sweep(options, payload as string, context);
        case FREE:
          return await free(options, payload as unknown as FreePayload, context);
        case CONCLUDE:
          return await conclude(options, context);
        default:
          throw unknownPart(name);
      }
    },
  };
}

/** Backups whose days are over are thousands where many are kept for weeks and months. */
async function list(
  { plan: { rules }, repository, facts }: CleanupInPartsOptions,
  { signal }: PartContext,
): Promise<PartOutcome> {
  const { now } = await facts();
  const old = inGroups(await findOld(repository, { rules, now, signal }), { size: RECORDS_A_PART });
  // One group costs no more here than as a part of its own.
  return {
    result: null,
    ...(old.length < 2 ? {} : { split: old.map((ids) => partOf(0, LOOK, ids)) }),
  };
}

async function look(
  { repository, facts }: CleanupInPartsOptions,
  ids: string[],
  { signal }: PartContext,
): Promise<PartOutcome> {
  return { result: toJson(await lookAtBackups(repository, { ids, facts: await facts(), signal })) };
}

async function expire(
  { plan, repository, facts, expired, decided }: CleanupInPartsOptions,
  { signal, results }: PartContext,
): Promise<PartOutcome> {
  const { runId, rules, dryRun } = plan;
  const looked: LookedBackup[] = [];
  for await (const { result } of results(LOOK)) {
    looked.push(...result as unknown as LookedBackup[]);
  }
  const applied = await applyRetention(repository, {
    ...{ runId, rules, dryRun, looked, facts: await facts(), signal },
  });
  if (!dryRun) {
    const backupIds = applied.expired.map(({ backupId }) => backupId);
    await expired({ backupIds, pointIds: [] });
    await decided(applied.keptBackups);
  }
  const points = inGroups(await repository.pointIds({ signal }), { size: POINTS_A_PART });
  return {
    result: toJson(applied),
    add: [...points.map((group) => partOf(2, POINTS, group)), partOf(2, BEGIN)],
  };
}

async function lookAtPoints(
  { plan, repository, facts, expired }: CleanupInPartsOptions,
  pointIds: string[],
  { signal, results }: PartContext,
): Promise<PartOutcome> {
  const { rules, dryRun } = plan;
  const listed = new Set(await idsLeft({ plan, repository }, { signal, results }));
  const { now, givenUp } = await facts();
  const { expired: expiring } = await only<Applied>(results, EXPIRE);
  const letGo = new Set([...givenUp, ...expiring.map(({ backupId }) => backupId)]);
  const removed = await removeEmptyPoints(repository, pointIds, {
    ...{ listed, letGo, rules, now, dryRun, signal },
  });
  if (!dryRun) await expired({ backupIds: [], pointIds: removed });
  return { result: removed };
}

/** Backups that are there; in a dry run without those that would expire. */
async function idsLeft(
  { plan, repository }: Pick<CleanupInPartsOptions, "plan" | "repository">,
  { signal, results }: Pick<PartContext, "signal" | "results">,
): Promise<string[]> {
  const ids = await repository.backupIds({ signal });
  if (!plan.dryRun) return ids;
  const { expired } = await only<Applied>(results, EXPIRE);
  const gone = new Set(expired.map(({ backupId }) => backupId));
  return ids.filter((id) => !gone.has(id));
}

async function begin(
  { plan, repository, clock, whyNotFree }: CleanupInPartsOptions,
  { signal, results }: PartContext,
): Promise<PartOutcome> {
  const { runId, times, dryRun } = plan;
  const ids = await repository.backupIds({ signal });
  // Retention leaves the last one of each type: without any, somebody else took the records, or lists fail.
  const notFreed = ids.length === 0 ? "no backup is listed" : await whyNotFree();
  const begun = await repository.freeingBy(await clock()).begin({
    ...{ runId, times, signal, dryRun: dryRun || notFreed !== null },
  });
  const state: Begun = { ...begun, plans: notFreed === null ? begun.plans : [], notFreed };
  // Only now: what was committed until here is seen, and what comes later has seen that the run began.
  const left = await idsLeft({ plan, repository }, { signal, results });
  const read = inGroups(left, { size: MANIFESTS_A_PART });
  return {
    result: toJson(state),
    add: [
      ...read.map((group) => partOf(3, READ, group)),
      partOf(4, GATHER),
      ...(left.length === 0 ? [] : AREAS).map((area) => partOf(6, SWEEP, area)),
      partOf(8, CONCLUDE),
    ],
  };
}

async function readManifests(
  { repository }: CleanupInPartsOptions,
  backupIds: string[],
  { signal }: PartContext,
): Promise<PartOutcome> {
  return { result: toJson(await repository.freeing.refsOfManifests(backupIds, { signal })) };
}

/** Lists that several backups share are read once. */
async function gather({ results }: PartContext): Promise<PartOutcome> {
  const lists = new Map<string, number>();
  for await (const { result } of results(READ)) {
    for (const { name, rawBytes } of (result as unknown as ManifestRefs).lists) {
      lists.set(name, rawBytes);
    }
  }
  const groups = inGroups([...lists.keys()], {
    ...{ size: LISTS_A_PART, mostBytes: LIST_BYTES_A_PART },
    bytesOf: (name) => lists.get(name)!,
  });
  return { result: null, add: groups.map((group) => partOf(5, MARK, group)) };
}

async function mark(
  { repository }: CleanupInPartsOptions,
  lists: string[],
  { signal }: PartContext,
): Promise<PartOutcome> {
  const names = new NameSet();
  await repository.freeing.refsOfLists(lists, { into: names, signal });
  return { result: toBase64(names.toBytes()) };
}

async function sweep(
  { plan, repository, clock }: CleanupInPartsOptions,
  area: string,
  { signal, results }: PartContext,
): Promise<PartOutcome> {
  const { plans } = await only<Begun>(results, BEGIN);
  const reachable = await reachableIn(area, results);
  const { times, dryRun } = plan;
  const freeing = repository.freeingBy(await clock());
  const swept = await freeing.sweep(area, { reachable, plans, times, signal });
  const { freeable, candidates, waiting, kept } = swept;
  const of = area === "manifests" ? "manifests" as const : "chunks" as const;
  const bytes = freeable.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const found: Found = {
    ...{ area, candidates, waiting, kept },
    freeable: { count: freeable.length, bytes },
  };
  const groups = dryRun ? [] : inGroups(freeable, { size: DELETIONS_A_PART });
  return { result: toJson(found), add: groups.map((group) => partOf(7, FREE, { of, group })) };
}

/** What is referred to of one part of the storage. */
async function reachableIn(area: string, results: PartContext["results"]): Promise<NameSet> {
  const names = new NameSet();
  for await (const { result } of results(READ)) {
    const { chunks, manifests } = result as { chunks: string[]; manifests: string[] };
    if (area === "manifests") { for (const name of manifests) names.add(name); }
    else for (const name of chunks) if (name.startsWith(area)) names.add(name);
  }
  if (area === "manifests") return names;
  const digit = parseInt(area, 16);
  for await (const { result } of results(MARK)) {
    names.addBytes(fromBase64(result as string), digit);
  }
  return names;
}

interface FreePayload {
  of: "chunks" | "manifests";
  group: Freeable[];
}

async function free(
  { plan: { times }, repository, clock }: CleanupInPartsOptions,
  { of, group }: FreePayload,
  { signal, results }: PartContext,
): Promise<PartOutcome> {
  const { until } = await only<Begun>(results, BEGIN);
  const freeing = repository.freeingBy(await clock());
  return { result: toJson(await freeing.free(group, { of, until, times, signal })) };
}

async function conclude(
  { plan, repository, clock, prune }: CleanupInPartsOptions,
  { signal, results }: PartContext,
): Promise<PartOutcome> {
  const { runId, dryRun } = plan;
  const time = await clock();
  const begun = await only<Begun>(results, BEGIN);
  const found: Found[] = [];
  for await (const { result } of results(SWEEP)) found.push(result as unknown as Found);
  const freed = dryRun ? wouldFree(found) : await sumOfFreed(results);
  const namesOf = (isWanted: (area: string) => boolean) =>
    found.filter(({ area }) => isWanted(area)).flatMap((each) =>
      each.candidates.map(({ name }) => name)
    );
  const candidates = {
    chunks: namesOf((area) => area !== "manifests"),
    manifests: namesOf((area) => area === "manifests"),
  };
  if (!dryRun) {
    const done = freed.left === 0 ? begun.plans : [];
    const freeing = repository.freeingBy(time);
    await freeing.conclude({ runId, done, candidates, signal });
    const before = new Date(time.now().getTime() - NOTES_KEPT_MS);
    await freeing.forgetExpired({ before, signal });
  }
  const removedPoints: string[] = [];
  for await (const { result } of results(POINTS)) removedPoints.push(...result as string[]);
  const planned = sumOf(found.flatMap((each) => each.candidates.map(({ sizeBytes }) => sizeBytes)));
  const report: CleanupReport = {
    ...await only<Applied>(results, EXPIRE),
    ...{ dryRun, removedPoints, freed, planned },
    waiting: sumOfGroups(found.map(({ waiting }) => waiting)),
    kept: sumOfGroups(found.map(({ kept }) => kept)),
    nextFreeAt: begun.waiting.toSorted()[0] ?? null,
    notFreed: begun.notFreed,
    pruned: dryRun ? {} : await prune(time.now()),
  };
  return { result: null, finish: { result: { ...report } } };
}

function wouldFree(found: readonly Found[]): Freed {
  const { count, bytes } = sumOfGroups(found.map(({ freeable }) => freeable));
  return { count, bytes, refused: 0, left: 0 };
}

async function sumOfFreed(results: PartContext["results"]): Promise<Freed> {
  const sum: Freed = { count: 0, bytes: 0, refused: 0, left: 0 };
  for await (const { result } of results(FREE)) {
    const freed = result as unknown as Freed;
    for (const key of ["count", "bytes", "refused", "left"] as const) sum[key] += freed[key];
  }
  return sum;
}

function sumOf(sizes: readonly number[]): { count: number; bytes: number } {
  return { count: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

function sumOfGroups(groups: readonly { count: number; bytes: number }[]) {
  return groups.reduce(
    (sum, { count, bytes }) => ({ count: sum.count + count, bytes: sum.bytes + bytes }),
    { count: 0, bytes: 0 },
  );
}

async function only<T>(results: PartContext["results"], name: string): Promise<T> {
  const [part] = await Array.fromAsync(results(name));
  return part!.result as unknown as T;
}

function partOf(step: number, name: string, payload: unknown = null): NewPart {
  return { step, name, payload: toJson(payload), bytes: 0 };
}
