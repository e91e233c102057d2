/**
 * The report of a verification in parts, put together from what its parts have found.
 *
 * @module
 */
import type { PartContext } from "../../jobs/job_definition.ts";
import {
  backupProblem,
  type CheckedLists,
  chunkProblem,
  type FoundChunks,
  type ListChunk,
  listKey,
  type LookedBackups,
  type Problem,
  type VerifyReport,
} from "../../repository/mod.ts";

/** Names of the parts. */
export const PARTS = {
  begin: "listing-backups",
  points: "looking-at-points",
  backups: "looking-at-backups",
  gather: "gathering-lists",
  lists: "reading-lists",
  chunks: "looking-for-chunks",
  read: "reading-chunks",
  trace: "tracing-damage",
  name: "naming-damage",
  conclude: "concluding",
} as const;

/** Damaged chunks that are named of each list; each backup that needs any is named. */
export const MOST_NAMED = 20;

/** What {@linkcode PARTS.begin} gives. */
export interface OwnFiles {
  backups: string[];
  problems: Problem[];
}

/** What {@linkcode PARTS.backups} gives. */
export type Looked = LookedBackups;

/** What {@linkcode PARTS.read} gives. */
export interface ReadChunks {
  bytes: number;
  problems: { name: string; code: string; message: string }[];
}

type Results = PartContext["results"];

/** See the module. @returns also the backups that could be opened */
export async function writeReport(
  level: VerifyReport["level"],
  results: Results,
): Promise<{ report: VerifyReport; seen: { backupId: string; manifest: string }[] }> {
  const report: VerifyReport = {
    ...{ level, backups: [], objectsChecked: 0, bytesRead: 0, problems: [] },
  };
  for await (const own of resultsOf<OwnFiles>(results, PARTS.begin)) {
    report.backups = own.backups;
    report.problems.push(...own.problems);
  }
  for await (const { payload, result } of results(PARTS.points)) {
    report.objectsChecked += (payload as string[]).length;
    report.problems.push(...result as unknown as Problem[]);
  }
  const damage = await readDamage(report, results);
  const wrongLists = await readWrongLists(results);
  const seen: { backupId: string; manifest: string }[] = [];
  for await (const { backups, lists, problems } of resultsOf<Looked>(results, PARTS.backups)) {
    report.problems.push(...problems);
    for (const { backupId, manifest, lists: places } of backups) {
      seen.push({ backupId, manifest });
      report.objectsChecked += 2;
      const keys = places.map((place) => listKey(lists[place]!));
      for (const key of keys) damage.concerns(backupId, key);
      report.problems.push(...wrongLines(backupId, keys.map((key) => wrongLists.get(key) ?? [])));
    }
  }
  report.problems.push(...damage.problems());
  return { report, seen };
}

/** What is wrong with the lists of one backup: the first that cannot be read speaks for all. */
function wrongLines(backupId: string, findings: readonly Finding[][]): Problem[] {
  const all = findings.flat();
  const unreadable = all.find(({ object }) => object === null);
  return [
    ...(unreadable === undefined ? [] : [backupProblem(backupId, unreadable)]),
    ...all.flatMap(({ object, code, message }) =>
      object === null ? [] : [{ object, code, message, backups: [backupId] }]
    ),
  ];
}

type Finding = Omit<CheckedLists["findings"][number], "list">;

async function readWrongLists(results: Results): Promise<Map<string, Finding[]>> {
  const found = new Map<string, Finding[]>();
  for await (const { payload, result } of results(PARTS.lists)) {
    const lists = payload as unknown as ListChunk[];
    for (const { list, ...finding } of (result as unknown as CheckedLists).findings) {
      const key = listKey(lists[list]!);
      found.set(key, [...found.get(key) ?? [], finding]);
    }
  }
  return found;
}

/** Damaged and missing chunks, and who needs them. */
class Damage {
  /** Of those that are there. */
  readonly what = new Map<string, { code: string; message: string }>();
  readonly namesOfLists = new Map<string, string[]>();
  count = 0;
  readonly #backups = new Map<string, string[]>();

  concerns(backupId: string, listKey: string): void {
    for (const name of this.namesOfLists.get(listKey) ?? []) {
      const backups = this.#backups.get(name);
      if (backups === undefined) this.#backups.set(name, [backupId]);
      else if (backups.at(-1) !== backupId) backups.push(backupId);
    }
  }

  problems(): Problem[] {
    const named = [...this.#backups].map(([name, backups]) =>
      chunkProblem(name, backups, this.what.get(name))
    );
    const unnamed = this.count - named.length;
    if (unnamed <= 0) return named;
    const { code } = named[0] ?? { code: "object_missing" };
    const message = `${unnamed} more chunks are missing or damaged`;
    return [...named, { object: "chunks", code, message, backups: [] }];
  }
}

async function readDamage(report: VerifyReport, results: Results): Promise<Damage> {
  const damage = new Damage();
  type Found = Omit<FoundChunks, "found"> & { found: number };
  for await (const chunks of resultsOf<Found>(results, PARTS.chunks)) {
    const { found, missing, refused } = chunks;
    report.objectsChecked += found + missing.length + refused.length;
    damage.count += missing.length + refused.length;
    for (const { name, ...what } of refused) damage.what.set(name, what);
  }
  for await (const { bytes, problems } of resultsOf<ReadChunks>(results, PARTS.read)) {
    report.bytesRead += bytes;
    damage.count += problems.length;
    for (const { name, ...what } of problems) damage.what.set(name, what);
  }
  type Named = { list: string; names: string[] }[];
  for await (const named of resultsOf<Named>(results, PARTS.name)) {
    for (const { list, names } of named) damage.namesOfLists.set(list, names);
  }
  return damage;
}

async function* resultsOf<T>(results: Results, name: string): AsyncIterable<T> {
  for await (const { result } of results(name)) yield result as unknown as T;
}
