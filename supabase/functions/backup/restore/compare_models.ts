/**
 * Compares what a target holds with what a backup says, object by object.
 *
 * @module
 */
import { fromBase64, toBase64 } from "../core/bytes.ts";
import type { Entry } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import type { LeftOut, RestorePlan } from "./plan_types.ts";
import { differingStatements, sameList } from "./statements.ts";

/** One object that is not as it should be. */
export interface Difference {
  identity: string;
  /** What is wrong: it is missing, or these statements read otherwise. */
  what: string;
}

/** What was found. */
export interface Comparison {
  objects: number;
  differences: Difference[];
  /** Differences that another major version explains: PostgreSQL prints some definitions otherwise. */
  remarks: Difference[];
}

/** How to compare. */
export interface CompareOptions {
  /** Whether both servers have one major version, so that definitions read the same. */
  sameMajor: boolean;
  /** What was knowingly not restored, or only in part. */
  leftOut: readonly LeftOut[];
  /**
   * Whether rights may have come from another grantor: a role that is a member of several possible
   * grantors does not choose among them, the server does.
   */
  otherGrantors?: boolean;
}

/** Compares entries by identity and statements. Objects that only the target has are no difference. */
export function compareModels(
  expected: readonly Entry[],
  actual: readonly Entry[],
  options: CompareOptions,
): Comparison {
  const there = new EntryIndex(actual);
  const excused = new Set(options.leftOut.map((each) => each.identity));
  const comparison: Comparison = { objects: 0, differences: [], remarks: [] };
  for (const entry of expected) {
    comparison.objects++;
    const found = there.byIdentity(entry.identity);
    if (found === undefined) {
      // A membership may have another grantor: the role that restored.
      const isMember = entry.kind === "role-membership" &&
        actual.some((each) => each.kind === entry.kind && each.name === entry.name);
      if (!isMember && !excused.has(entry.identity)) {
        comparison.differences.push({ identity: entry.identity, what: "missing" });
      }
      continue;
    }
    const parts = differingStatements(entry, found).filter((part) =>
      // Owner and rights that the restoring role could not give were reported already.
      (part === "create" && entry.kind !== "sequence-set") || !excused.has(entry.identity)
    );
    if (parts.length === 0) continue;
    const difference = { identity: entry.identity, what: `other ${parts.join(", ")}` };
    const explained = !options.sameMajor &&
      parts.every((part) => part === "create" || part === "acl");
    const regranted = options.otherGrantors === true && parts.every((part) => part === "acl") &&
      sameList(grantsOf(entry), grantsOf(found));
    if (regranted) difference.what = "the same rights, granted by another role";
    const isRemark = explained || regranted || isOfServer(entry);
    (isRemark ? comparison.remarks : comparison.differences).push(difference);
  }
  return comparison;
}

/** Who gets which rights, whoever grants them. */
function grantsOf(entry: Entry): string[] {
  return entry.statements.acl.filter((sql) => !/^(SET|RESET) ROLE/.test(sql)).sort();
}

/** Entries whose definition depends on the server as well: the installed extension, the database. */
function isOfServer(entry: Entry): boolean {
  return ["extension", "database", "database-setting", "role", "role-setting", "role-membership"]
    .includes(entry.kind);
}

/** What was found out of a plan's execution. */
type ResultOptions = Pick<CompareOptions, "leftOut" | "otherGrantors">;

/** What a comparison must know of a plan. */
type ComparedPlan = Pick<RestorePlan, "sameMajor" | "leftOut">;

/** Compares the result of an executed plan. */
export function compareResult(
  plan: ComparedPlan & Pick<RestorePlan, "expect">,
  actual: readonly Entry[],
  options: ResultOptions,
): Comparison {
  return compareModels(plan.expect, actual, optionsOf(plan, options));
}

/** A comparison with some of what the target holds. Survives JSON. */
export interface ComparedSlice extends Comparison {
  /** Which lines of the backup were compared: a bit for each, in base64. */
  seen: string;
}

/** Some of the target, of which every object is in one slice. */
export interface LiveEntries {
  actual: readonly Entry[];
  /** It has all but relations, so it has all memberships. */
  isRest: boolean;
}

/** The same, and what may be expected of it. */
export interface SliceToCompare extends LiveEntries {
  /** Expected entries by their lines in the backup: all that the slice has, and any others. */
  expected: Iterable<[line: number, entry: Entry]>;
}

/** Compares what is expected of a slice. */
export function compareSlice(
  plan: ComparedPlan,
  { expected, actual, isRest }: SliceToCompare,
  options: ResultOptions,
): ComparedSlice {
  const there = new Set(actual.map(({ identity }) => identity));
  const lines: number[] = [];
  const entries: Entry[] = [];
  for (const [line, entry] of expected) {
    if (!there.has(entry.identity) && !(isRest && entry.kind === "role-membership")) continue;
    lines.push(line);
    entries.push(entry);
  }
  const seen = new Uint8Array(lines.reduce((most, line) => Math.max(most, (line >> 3) + 1), 0));
  for (const line of lines) seen[line >> 3]! |= 1 << (line & 7);
  const comparison = compareModels(entries, actual, optionsOf(plan, options));
  return { ...comparison, seen: toBase64(seen) };
}

/** Those of the lines that no slice had. */
export function unseenLines(slices: readonly ComparedSlice[], lines: readonly number[]): number[] {
  const seen = slices.map((slice) => fromBase64(slice.seen));
  return lines.filter((line) =>
    !seen.some((bits) => ((bits[line >> 3] ?? 0) & (1 << (line & 7))) !== 0)
  );
}

/** Puts slices together; what none of them had is missing. */
export function joinSlices(
  plan: ComparedPlan,
  { slices, unseen }: { slices: readonly ComparedSlice[]; unseen: readonly Entry[] },
  options: ResultOptions,
): Comparison {
  const all = [...slices, compareModels(unseen, [], optionsOf(plan, options))];
  return {
    objects: all.reduce((sum, { objects }) => sum + objects, 0),
    differences: all.flatMap(({ differences }) => differences),
    remarks: all.flatMap(({ remarks }) => remarks),
  };
}

/** Compares the result of an executed plan with a target that is read slice by slice: no two are held at a time. */
export async function compareInSlices(
  plan: ComparedPlan & Pick<RestorePlan, "expect">,
  slices: AsyncIterable<LiveEntries>,
  options: ResultOptions,
): Promise<Comparison> {
  const compared: ComparedSlice[] = [];
  for await (const slice of slices) {
    compared.push(compareSlice(plan, { expected: plan.expect.entries(), ...slice }, options));
  }
  const unseen = unseenLines(compared, [...plan.expect.keys()]).map((line) => plan.expect[line]!);
  return joinSlices(plan, { slices: compared, unseen }, options);
}

function optionsOf(plan: ComparedPlan, options: ResultOptions): CompareOptions {
  return {
    ...options,
    sameMajor: plan.sameMajor,
    leftOut: [...plan.leftOut, ...options.leftOut],
  };
}
