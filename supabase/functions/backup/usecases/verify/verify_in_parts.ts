/**
 * A verification as a job in parts, each small enough for one worker however many backups and chunks there
 * are: backups are opened, their lists read (what several share once), the chunks that these name looked for
 * and, by the level, read back by whoever is free. What is damaged is then traced to the backups that need it.
 *
 * @module
 */
import { inGroups } from "../../core/in_groups.ts";
import { toJson } from "../../core/json.ts";
import type { Json, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import {
  type CheckedLists,
  DIGITS,
  type FoundChunks,
  keyOf,
  type ListChunk,
  listKey,
  type LookedBackups,
  OVERHEAD_BYTES,
  type Repository,
  type VerifyReport,
} from "../../repository/mod.ts";
import {
  type Looked,
  MOST_NAMED,
  type OwnFiles,
  PARTS,
  type ReadChunks,
  writeReport,
} from "./verify_report.ts";

/** What {@linkcode verifyInParts} works with. */
export interface VerifyInPartsOptions {
  repository: Repository;
  /** `quick`: everything referred to is there; `full`: it is also read, decrypted and hashed. */
  level: "quick" | "full";
  /** Ids; none means all. */
  backups: readonly string[];
  /** What else is to be in the report, or an error instead of it. @param seen backups that could be opened */
  conclude?: (report: VerifyReport, seen: SeenBackup[]) => Promise<VerifyReport>;
}

/** A backup that could be opened, and the name of its manifest. */
export interface SeenBackup {
  backupId: string;
  manifest: string;
}

/** The parts that a verification begins with. */
export const FIRST_OF_VERIFY: readonly NewPart[] = [
  { step: 0, name: PARTS.begin, payload: null, bytes: 0 },
];

/** Backups, points and lists to a part, at most: each about half a second of a worker's CPU. */
const BACKUPS_A_PART = 40;
const POINTS_A_PART = 200;
const LISTS_A_PART = 64;
const LIST_BYTES_A_PART = 8 << 20;

/** Stored bytes and chunks to a part, at most; a single chunk may be larger. A small one costs 1 to 2 ms of CPU. */
const READ_BYTES_A_PART = 16 << 20;
const CHUNKS_A_PART = 192;

/** Chunks read at once by one part. */
const CONCURRENCY = 2;

/** The definition of one verification; an instance may do any number of its parts. */
export function verifyInParts(options: VerifyInPartsOptions): JobDefinition {
  return {
    first: () => [...FIRST_OF_VERIFY],
    beginsAnew: true,
    async run({ name, payload }, context) {
      switch (name) {
        case PARTS.begin:
          return await begin(options, context);
        case PARTS.points:
          return await lookAtPoints(options, payload as string[], context);
        case PARTS.backups:
          return await lookAtBackups(options, payload as string[], context);
        case PARTS.gather:
          return await gather(context);
        case PARTS.lists:
          return await readLists(options, payload as unknown as ListChunk[], context);
        case PARTS.chunks:
          return await lookForChunks(options, payload as string, context);
        case PARTS.read:
          return await readChunks(options, payload as unknown as ToRead[], context);
        case PARTS.trace:
          return await trace(context);
        case PARTS.name:
          return await nameDamage(options, payload as unknown as ListChunk[], context);
        case PARTS.conclude:
          return await conclude(options, context);
        default:
          throw unknownPart(name);
      }
    },
  };
}

async function begin(
  { repository, backups }: VerifyInPartsOptions,
  { signal }: PartContext,
): Promise<PartOutcome> {
  const isAll = backups.length === 0;
  const ids = isAll ? await repository.backupIds({ signal }) : backups;
  const own: OwnFiles = {
    backups: [...ids],
    problems: isAll ? await repository.checking.ownFiles({ signal }) : [],
  };
  const points = isAll ? await repository.pointIds({ signal }) : [];
  return {
    result: toJson(own),
    add: [
      ...inGroups(points, { size: POINTS_A_PART }).map((group) => partOf(1, PARTS.points, group)),
      ...inGroups(ids, { size: BACKUPS_A_PART }).map((group) => partOf(1, PARTS.backups, group)),
      partOf(2, PARTS.gather),
      ...DIGITS.map((digit) => partOf(4, PARTS.chunks, digit)),
      partOf(6, PARTS.trace),
      partOf(8, PARTS.conclude),
    ],
  };
}

async function lookAtPoints(
  { repository }: VerifyInPartsOptions,
  ids: string[],
  { signal }: PartContext,
): Promise<PartOutcome> {
  return { result: toJson(await repository.checking.points(ids, { signal })) };
}

async function lookAtBackups(
  { repository }: VerifyInPartsOptions,
  ids: string[],
  { signal }: PartContext,
): Promise<PartOutcome> {
  const looked: Looked = await repository.checking.backups(ids, { signal });
  return { result: toJson(looked) };
}

/** Lists that several backups share are read once. */
async function gather({ results }: PartContext): Promise<PartOutcome> {
  const lists = new Map<string, ListChunk>();
  for await (const { result } of results(PARTS.backups)) {
    for (const list of (result as unknown as LookedBackups).lists) lists.set(listKey(list), list);
  }
  const groups = inGroups([...lists.values()], {
    size: LISTS_A_PART,
    mostBytes: LIST_BYTES_A_PART,
    bytesOf: ({ rawBytes }) => rawBytes,
  });
  return { result: null, add: groups.map((group) => partOf(3, PARTS.lists, group)) };
}

async function readLists(
  { repository }: VerifyInPartsOptions,
  lists: ListChunk[],
  { signal }: PartContext,
): Promise<PartOutcome> {
  return { result: toJson(await repository.checking.lists(lists, { signal })) };
}

/** A chunk to read back, and how far lists reach into it. */
type ToRead = [name: string, end: number];

async function lookForChunks(
  { repository, level }: VerifyInPartsOptions,
  digit: string,
  { signal, results }: PartContext,
): Promise<PartOutcome> {
  const named = namedBy(results, DIGITS.indexOf(digit));
  const { found, ...rest } = await repository.checking.chunks(digit, named, { signal });
  const toRead = level === "full"
    ? found
    : found.filter(({ storedBytes }) => storedBytes < OVERHEAD_BYTES); // no whole object is so short
  const groups = inGroups(toRead, {
    size: CHUNKS_A_PART,
    mostBytes: READ_BYTES_A_PART,
    bytesOf: ({ storedBytes }) => storedBytes,
  });
  return {
    result: toJson({ ...rest, found: found.length }),
    add: groups.map((group) => ({
      ...partOf(5, PARTS.read, group.map(({ name, end }): ToRead => [name, end])),
      bytes: group.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
    })),
  };
}

async function* namedBy(results: PartContext["results"], digit: number): AsyncIterable<string> {
  for await (const { result } of results(PARTS.lists)) {
    yield (result as unknown as CheckedLists).named[digit]!;
  }
}

async function readChunks(
  { repository }: VerifyInPartsOptions,
  chunks: ToRead[],
  { signal }: PartContext,
): Promise<PartOutcome> {
  const ends = new Map(chunks);
  const checked = await repository.checkChunks([...ends.keys()], {
    ...{ concurrency: CONCURRENCY, signal },
  });
  const bytes = checked.reduce((sum, { storedBytes }) => sum + storedBytes, 0);
  const read: ReadChunks = {
    bytes,
    problems: checked.flatMap(({ name, rawBytes, problem }) => {
      if (problem !== null) return [{ name, ...problem }];
      if (rawBytes === null || rawBytes >= ends.get(name)!) return [];
      const message = "A piece reaches past the end of the chunk";
      return [{ name, code: "object_altered", message }];
    }),
  };
  return { result: toJson(read), bytes };
}

/** Whoever names what is damaged or missing is looked for only where there is something. */
async function trace({ results }: PartContext): Promise<PartOutcome> {
  const wanted = await damagedKeys(results);
  if (wanted.size === 0) return { result: null };
  const lists: NewPart[] = [];
  for await (const { payload } of results(PARTS.lists)) lists.push(partOf(7, PARTS.name, payload));
  return { result: null, add: lists };
}

async function nameDamage(
  { repository }: VerifyInPartsOptions,
  lists: ListChunk[],
  { signal, results }: PartContext,
): Promise<PartOutcome> {
  const wanted = await damagedKeys(results);
  const found = await repository.checking.find(lists, { wanted, most: MOST_NAMED, signal });
  const named = lists.flatMap((list, at) =>
    found[at]!.length === 0 ? [] : [{ list: listKey(list), names: found[at]! }]
  );
  return { result: toJson(named) };
}

async function damagedKeys(results: PartContext["results"]): Promise<Set<bigint>> {
  const keys = new Set<bigint>();
  for await (const { result } of results(PARTS.chunks)) {
    const { missing, refused } = result as unknown as FoundChunks;
    for (const name of missing) keys.add(keyOf(name));
    for (const { name } of refused) keys.add(keyOf(name));
  }
  for await (const { result } of results(PARTS.read)) {
    for (const { name } of (result as unknown as ReadChunks).problems) keys.add(keyOf(name));
  }
  return keys;
}

async function conclude(
  { level, conclude }: VerifyInPartsOptions,
  { results }: PartContext,
): Promise<PartOutcome> {
  const { report, seen } = await writeReport(level, results);
  return { result: null, finish: { result: { ...await conclude?.(report, seen) ?? report } } };
}

function partOf(step: number, name: string, payload: unknown = null): NewPart {
  return { step, name, payload: payload as Json, bytes: 0 };
}
