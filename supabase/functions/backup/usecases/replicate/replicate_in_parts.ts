/**
 * Copying the repository to another destination as a job in parts, each small enough for one worker however
 * much is stored: what both places list is compared, what the copy lacks is copied, and backups are listed
 * there once all that they need has arrived. Every part may be done twice, and a job that ends anywhere leaves
 * a copy whose backups are whole.
 *
 * @module
 */
import { momentOfJobId } from "../../core/ids.ts";
import { inGroups } from "../../core/in_groups.ts";
import { toJson } from "../../core/json.ts";
import type { Json, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import {
  type Adopted,
  compareArea,
  COPIED_AREAS,
  type CopiedFoundation,
  type CopiedObjects,
  copyFoundation,
  narrowerAreas,
  POINT_AREA,
  RECORD_AREA,
  type Repository,
  type Sized,
} from "../../repository/mod.ts";
import type { Storage } from "../../storage/storage.ts";
import { type CheckedPart, type Compared, PARTS, type Prepared } from "./replicate_report.ts";

/** What {@linkcode replicateInParts} works with. */
export interface ReplicateInPartsOptions {
  /** `quick` copies what is missing or of another length; `full` also reads back what both have. */
  level: "quick" | "full";
  /** Compares and changes nothing. */
  dryRun: boolean;
  /** Objects that one part compares, where they can be divided. @default as many as a worker can */
  mostCompared?: number;
  /** What is copied. */
  original: { storage: Storage; repository: Repository };
  /** Where to; its repository can be opened once its foundation is there. */
  copy: { storage: Storage; open(): Promise<Repository> };
  /** Makes the result of the job, or its error. */
  conclude(results: PartContext["results"]): Promise<Record<string, unknown>>;
}

/** The parts that a replication begins with. */
export const FIRST_OF_REPLICATE: readonly NewPart[] = [
  { step: 0, name: PARTS.prepare, payload: null, bytes: 0 },
];

/** Objects and stored bytes to a part, at most; a single object may be larger. One costs two requests. */
const OBJECTS_A_PART = 96;
const BYTES_A_PART = 16 << 20;
/** Objects that are compared by one part: each costs some 70 microseconds of CPU, for it is listed twice. */
const COMPARED_A_PART = 8000;
/** Backups that are listed by one part: their chunks are looked for together. */
const BACKUPS_A_PART = 20;

/** The definition of one replication; an instance may do any number of its parts. */
export function replicateInParts(options: ReplicateInPartsOptions): JobDefinition {
  return {
    first: () => [...FIRST_OF_REPLICATE],
    beginsAnew: true,
    async run({ name, payload }, context) {
      switch (name) {
        case PARTS.prepare:
          return await prepare(options, context);
        case PARTS.compare:
          return await compare(options, payload as string, context);
        case PARTS.copy:
          return await copy(options, payload as unknown as CopyPayload, context);
        case PARTS.copyPoints:
          return await copyPoints(options, payload as string[], context);
        case PARTS.check:
          return await check(options, payload as unknown as Sized[], context);
        case PARTS.adopt:
          return await adopt(options, payload as unknown as AdoptPayload, context);
        case PARTS.points:
          return await compare(options, POINT_AREA, context);
        case PARTS.conclude:
          return { result: null, finish: { result: await options.conclude(context.results) } };
        default:
          throw unknownPart(name);
      }
    },
  };
}

/** The backups are listed first: what they refer to is then in every listing that follows. */
async function prepare(
  { original, copy, level, dryRun }: ReplicateInPartsOptions,
  { signal }: PartContext,
): Promise<PartOutcome> {
  const foundation: CopiedFoundation = dryRun
    ? { keysOnlyInCopy: [] }
    : await copyFoundation(original.storage, copy.storage);
  const records = await compareArea(original.storage, copy.storage, { area: RECORD_AREA, signal });
  const missing = idsOf(records.missing);
  const expired = dryRun || missing.length === 0
    ? null
    : await (await copy.open()).freeing.expired({ since: oldestOf(missing), signal });
  const prepared: Prepared = {
    ...foundation,
    // What retention has let go in the copy does not come back.
    leftOut: missing.filter((id) => expired?.has(id)),
    wanted: missing.filter((id) => !expired?.has(id)),
    there: records.same.length,
    onlyInCopy: records.onlyInCopy,
  };
  const damaged = idsOf(records.differing);
  const adopting = dryRun ? [] : [
    ...inGroups(prepared.wanted, { size: BACKUPS_A_PART }).map((group) => ({ group })),
    ...inGroups(damaged, { size: BACKUPS_A_PART }).map((group) => ({ group, replace: true })),
  ];
  const checking = level === "quick" || dryRun
    ? []
    : inGroups(records.same, { size: OBJECTS_A_PART });
  return {
    result: toJson(prepared),
    add: [
      ...COPIED_AREAS.map((area) => partOf(1, PARTS.compare, area)),
      ...checking.map((group) => partOf(2, PARTS.check, group)),
      ...adopting.map((each) => partOf(3, PARTS.adopt, each)),
      partOf(4, PARTS.points),
      partOf(6, PARTS.conclude),
    ],
  };
}

function idsOf(records: readonly Sized[]): string[] {
  return records.map(([path]) => path.slice(RECORD_AREA.length));
}

/** The moment before which none of these can have expired. */
function oldestOf(backupIds: readonly string[]): Date {
  return new Date(Math.min(...backupIds.map((id) => momentOfJobId(id)?.getTime() ?? 0)));
}

/** What is copied after comparing stands one step above: 2 for objects, 5 for points. */
async function compare(
  { original, copy, level, dryRun, mostCompared = COMPARED_A_PART }: ReplicateInPartsOptions,
  area: string,
  { signal }: PartContext,
): Promise<PartOutcome> {
  const areas = narrowerAreas(area);
  const most = areas.length === 0 ? Infinity : mostCompared;
  const found = await compareArea(original.storage, copy.storage, { area, most, signal });
  if (found.isCut) {
    return { result: null, split: areas.map((each) => partOf(1, PARTS.compare, each)) };
  }
  const { missing, differing, same } = found;
  const compared: Compared = {
    missing: sumOf(missing),
    differing: sumOf(differing),
    same: sumOf(same),
    onlyInCopy: found.onlyInCopy,
  };
  const isOfPoints = area === POINT_AREA;
  const step = isOfPoints ? 5 : 2;
  const copying = [[missing, false], [differing, true]] as const;
  const parts = copying.flatMap(([list, replace]) =>
    grouped(list).map((group) => {
      const paths = group.map(([path]) => path);
      const part = isOfPoints && !replace
        ? partOf(step, PARTS.copyPoints, paths)
        : partOf(step, PARTS.copy, { paths, replace });
      return { ...part, bytes: sumOf(group).bytes };
    })
  );
  const checks = level === "quick" ? [] : grouped(same).map((group) => ({
    ...partOf(step, PARTS.check, group),
    bytes: sumOf(group).bytes,
  }));
  return { result: toJson(compared), add: dryRun ? [] : [...parts, ...checks] };
}

interface CopyPayload {
  paths: string[];
  replace: boolean;
}

async function copy(
  { original, copy }: ReplicateInPartsOptions,
  { paths, replace }: CopyPayload,
  { signal }: PartContext,
): Promise<PartOutcome> {
  const copying = original.repository.copyingTo(await copy.open());
  const copied: CopiedObjects = await copying.copy(paths, { replace, signal });
  return { result: toJson(copied), bytes: copied.bytes };
}

/**
 * A point follows its backups: one of a backup that the copy does not have, because it was made meanwhile or
 * cannot be copied, is the next replication's.
 */
async function copyPoints(
  options: ReplicateInPartsOptions,
  paths: string[],
  context: PartContext,
): Promise<PartOutcome> {
  const { signal } = context;
  const { repository } = options.original;
  const ids = paths.map((path) => path.slice(POINT_AREA.length));
  const { points } = await repository.listPoints({ ids, signal });
  const listed = new Set(await repository.backupIds({ signal }));
  const copied = new Set(await (await options.copy.open()).backupIds({ signal }));
  const early = points.filter(({ components }) => {
    const backups = components.flatMap(({ backupId }) => backupId === null ? [] : [backupId]);
    const isBereft = backups.length > 0 && !backups.some((id) => copied.has(id));
    return isBereft || backups.some((id) => listed.has(id) && !copied.has(id));
  });
  const left = new Set(early.map(({ pointId }) => POINT_AREA + pointId));
  const complete = paths.filter((path) => !left.has(path));
  return await copy(options, { paths: complete, replace: false }, context);
}

/** What is damaged in the copy is replaced at once; records of backups only when all that they need is there. */
async function check(
  { original, copy }: ReplicateInPartsOptions,
  objects: Sized[],
  { signal }: PartContext,
): Promise<PartOutcome> {
  const copying = original.repository.copyingTo(await copy.open());
  const { damaged, bytes } = await copying.check(objects, { signal });
  const records = damaged.filter(([path]) => path.startsWith(RECORD_AREA));
  const others = damaged.filter(([path]) => !path.startsWith(RECORD_AREA)).map(([path]) => path);
  const checked: CheckedPart = {
    objects: objects.length,
    bytes,
    copied: await copying.copy(others, { replace: true, signal }),
  };
  const adopting = inGroups(idsOf(records), { size: BACKUPS_A_PART });
  return {
    result: toJson(checked),
    bytes,
    add: adopting.map((group) => partOf(3, PARTS.adopt, { group, replace: true })),
  };
}

interface AdoptPayload {
  group: string[];
  replace?: boolean;
  /** Chunks of a single backup that were locked until now. */
  locked?: number;
}

async function adopt(
  { original, copy }: ReplicateInPartsOptions,
  { group, replace = false, locked = 0 }: AdoptPayload,
  { signal }: PartContext,
): Promise<PartOutcome> {
  const copying = original.repository.copyingTo(await copy.open());
  const [alone, ...others] = group;
  const isAlone = alone !== undefined && others.length === 0;
  const next = isAlone ? await copying.lock(alone, { from: locked, signal }) : null;
  if (next !== null) {
    return { result: null, again: { afterMs: 0, payload: { group, replace, locked: next } } };
  }
  const adopted: Adopted | null = await copying.adopt(group, { replace, locked: isAlone, signal });
  if (adopted !== null) return { result: toJson(adopted) };
  return {
    result: null,
    split: group.map((id) => partOf(3, PARTS.adopt, { group: [id], replace })),
  };
}

function grouped(objects: readonly Sized[]): Sized[][] {
  return inGroups(objects, {
    ...{ size: OBJECTS_A_PART, mostBytes: BYTES_A_PART },
    bytesOf: ([, sizeBytes]) => sizeBytes,
  });
}

function sumOf(objects: readonly Sized[]): { count: number; bytes: number } {
  return { count: objects.length, bytes: objects.reduce((sum, [, bytes]) => sum + bytes, 0) };
}

function partOf(step: number, name: string, payload: unknown = null): NewPart {
  return { step, name, payload: payload as Json, bytes: 0 };
}
