/**
 * The report of a replication, put together from what its parts have found.
 *
 * @module
 */
import type { PartContext } from "../../jobs/job_definition.ts";
import type { Adopted, CopiedObjects, Problem } from "../../repository/mod.ts";

/** Names of the parts. */
export const PARTS = {
  prepare: "preparing-the-copy",
  compare: "comparing",
  copy: "copying-objects",
  copyPoints: "copying-points",
  check: "reading-back",
  adopt: "listing-backups",
  points: "comparing-points",
  conclude: "concluding",
} as const;

/** Problems that a report names. */
const MOST_PROBLEMS = 100;

/** Objects and their stored bytes. */
interface Sum {
  count: number;
  bytes: number;
}

/** What {@linkcode PARTS.prepare} gives. */
export interface Prepared {
  /** Ids of keys that open the copy and no longer the original. */
  keysOnlyInCopy: string[];
  /** Backups that the copy lacks. */
  wanted: string[];
  /** Backups that the copy lacks because its own cleanup has let them go. */
  leftOut: string[];
  /** How many backups it had. */
  there: number;
  /** Records of backups that the original does not have. */
  onlyInCopy: Sum;
}

/** What {@linkcode PARTS.compare} and {@linkcode PARTS.points} give. */
export interface Compared {
  missing: Sum;
  differing: Sum;
  same: Sum;
  onlyInCopy: Sum;
}

/** What {@linkcode PARTS.check} gives. */
export interface CheckedPart {
  objects: number;
  bytes: number;
  copied: CopiedObjects;
}

/** What a replication did, or with `dryRun` would do. */
export interface ReplicateReport {
  destination: string;
  location: string;
  level: "quick" | "full";
  dryRun: boolean;
  /** Backups that the copy had and that came to it, by id. */
  backups: { there: number; added: string[]; leftOut: string[] };
  /** Objects that both have, that the copy lacked, that were of another length there, and that only it has. */
  compared: Compared;
  copied: Sum & { replaced: number };
  readBack: Sum;
  /** Ids of keys that open the copy and no longer the original: nothing here takes them away. */
  keysOnlyInCopy: string[];
  /** The first of them. */
  problems: Problem[];
  problemsInAll: number;
}

/** See the module. */
export async function writeReport(
  head: Pick<ReplicateReport, "destination" | "location" | "level" | "dryRun">,
  results: PartContext["results"],
): Promise<ReplicateReport> {
  const report: ReplicateReport = {
    ...head,
    backups: { there: 0, added: [], leftOut: [] },
    compared: { missing: noSum(), differing: noSum(), same: noSum(), onlyInCopy: noSum() },
    copied: { ...noSum(), replaced: 0 },
    readBack: noSum(),
    keysOnlyInCopy: [],
    problems: [],
    problemsInAll: 0,
  };
  const { backups, compared, readBack } = report;
  for await (const prepared of resultsOf<Prepared>(results, PARTS.prepare)) {
    backups.there = prepared.there;
    backups.leftOut = prepared.leftOut;
    report.keysOnlyInCopy = prepared.keysOnlyInCopy;
    if (head.dryRun) backups.added = prepared.wanted;
    add(compared.onlyInCopy, prepared.onlyInCopy);
  }
  for (const name of [PARTS.compare, PARTS.points]) {
    for await (const found of resultsOf<Compared | null>(results, name)) {
      if (found === null) continue; // others have done its work
      for (const what of ["missing", "differing", "same", "onlyInCopy"] as const) {
        add(compared[what], found[what]);
      }
    }
  }
  for (const name of [PARTS.copy, PARTS.copyPoints]) {
    for await (const copied of resultsOf<CopiedObjects>(results, name)) count(report, copied);
  }
  for await (const checked of resultsOf<CheckedPart>(results, PARTS.check)) {
    add(readBack, { count: checked.objects, bytes: checked.bytes });
    count(report, checked.copied);
  }
  for await (const done of resultsOf<Adopted | null>(results, PARTS.adopt)) {
    backups.added.push(...done?.adopted ?? []);
    name(report, done?.problems ?? []);
  }
  return report;
}

function count(report: ReplicateReport, { problems, ...copied }: CopiedObjects): void {
  add(report.copied, copied);
  report.copied.replaced += copied.replaced;
  name(report, problems);
}

/** All are counted, and some are named: there may be one for every object. */
function name(report: ReplicateReport, problems: readonly Problem[]): void {
  report.problemsInAll += problems.length;
  report.problems.push(...problems.slice(0, MOST_PROBLEMS - report.problems.length));
}

function add(sum: Sum, more: Sum): void {
  sum.count += more.count;
  sum.bytes += more.bytes;
}

function noSum(): Sum {
  return { count: 0, bytes: 0 };
}

async function* resultsOf<T>(results: PartContext["results"], name: string): AsyncIterable<T> {
  for await (const { result } of results(name)) yield result as unknown as T;
}
