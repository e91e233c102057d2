/**
 * Compares what a target holds with what a backup says, object by object.
 *
 * @module
 */
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

/** Compares the result of an executed plan. */
export function compareResult(
  plan: RestorePlan,
  actual: readonly Entry[],
  options: Pick<CompareOptions, "leftOut" | "otherGrantors">,
): Comparison {
  return compareModels(plan.expect, actual, {
    ...options,
    sameMajor: plan.sameMajor,
    leftOut: [...plan.leftOut, ...options.leftOut],
  });
}
