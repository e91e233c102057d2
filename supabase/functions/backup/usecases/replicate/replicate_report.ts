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
  check: "reading-back",
  adopt: "listing-backups",
  points: "comparing-points",
  conclude: "concluding",
} as const;

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
}

/** What {@linkcode PARTS.compare} and {@linkcode PARTS.points} give. */
export interface Compared {
  missing: Sum;
  differing: Sum;
  same: Sum;
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
  /** Objects that both have, that the copy lacked, and that were of another length there. */
  compared: Compared;
  copied: Sum & { replaced: number };
  readBack: Sum;
  /** Ids of keys that open the copy and no longer the original: nothing here takes them away. */
  keysOnlyInCopy: string[];
  problems: Problem[];
}

/** See the module. */
export async function writeReport(
  head: Pick<ReplicateReport, "destination" | "location" | "level" | "dryRun">,
  results: PartContext["results"],
): Promise<ReplicateReport> {
  const report: ReplicateReport = {
    ...head,
    backups: { there: 0, added: [], leftOut: [] },
    compared: { missing: noSum(), differing: noSum(), same: noSum() },
    copied: { ...noSum(), replaced: 0 },
    readBack: noSum(),
    keysOnlyInCopy: [],
    problems: [],
  };
  const { backups, compared, readBack } = report;
  for await (const prepared of resultsOf<Prepared>(results, PARTS.prepare)) {
    backups.there = prepared.there;
    backups.leftOut = prepared.leftOut;
    report.keysOnlyInCopy = prepared.keysOnlyInCopy;
    if (head.dryRun) backups.added = prepared.wanted;
  }
  for (const name of [PARTS.compare, PARTS.points]) {
    for await (const found of resultsOf<Compared>(results, name)) {
      for (const what of ["missing", "differing", "same"] as const) {
        add(compared[what], found[what]);
      }
    }
  }
  for await (const copied of resultsOf<CopiedObjects>(results, PARTS.copy)) count(report, copied);
  for await (const checked of resultsOf<CheckedPart>(results, PARTS.check)) {
    add(readBack, { count: checked.objects, bytes: checked.bytes });
    count(report, checked.copied);
  }
  for await (const { adopted, problems } of resultsOf<Adopted>(results, PARTS.adopt)) {
    backups.added.push(...adopted);
    report.problems.push(...problems);
  }
  return report;
}

function count(report: ReplicateReport, { problems, ...copied }: CopiedObjects): void {
  add(report.copied, copied);
  report.copied.replaced += copied.replaced;
  report.problems.push(...problems);
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
