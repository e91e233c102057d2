/**
 * A plan in a form to show and to keep with the job: counts, names and sizes, no statements.
 *
 * @module
 */
import { bytesOf } from "./plan_loads.ts";
import type { Hazard, LeftOut, Missing, RestoreMode, RestorePlan } from "./plan_types.ts";

/** What `dryRun` answers. */
export interface PlanSummary {
  mode: RestoreMode;
  backupId: string;
  target: "supabase" | "plain";
  /** The tables asked for, where only what is lost of them is restored. */
  onlyLost?: readonly string[];
  steps: PlanStep[];
  hazards: Hazard[];
  missing: Missing[];
  leftOut: LeftOut[];
  rows: number;
  bytes: number;
  locksNeeded: number;
}

/** One step, in the order of execution. */
export interface PlanStep {
  name: string;
  /** Objects that it touches, by identity or quoted name. */
  objects: string[];
}

/** Shows a plan. */
export function summarizePlan(plan: RestorePlan): PlanSummary {
  const identities = (entries: readonly { identity: string }[]) =>
    entries.map((entry) => entry.identity);
  const of = (section: string) => plan.create.filter((entry) => entry.section === section);
  const steps: PlanStep[] = [
    { name: "lock", objects: plan.lock },
    { name: "roles", objects: identities(plan.cluster) },
    { name: "drop", objects: identities(plan.drop) },
    { name: "create", objects: identities(of("pre-data")) },
    { name: "adjust", objects: identities(plan.adjust) },
    {
      name: "clear",
      objects: [
        ...identities(plan.load.filter((load) => load.clear !== "none").map((load) => load.entry)),
        ...plan.clearOnly,
      ],
    },
    { name: "load", objects: identities(plan.load.map((load) => load.entry)) },
    { name: "sequences", objects: identities(of("data")) },
    { name: "build", objects: identities(of("post-data")) },
    { name: "refresh", objects: identities(plan.refresh) },
    { name: "compare", objects: [] },
  ];
  return {
    mode: plan.mode,
    backupId: plan.backupId,
    target: plan.target,
    ...(plan.onlyLost === undefined ? {} : { onlyLost: plan.onlyLost }),
    steps: steps.filter((step) => step.objects.length > 0 || step.name === "compare"),
    hazards: plan.hazards,
    missing: plan.missing,
    leftOut: plan.leftOut,
    rows: plan.load.reduce(
      (sum, load) => sum + load.parts.reduce((rows, part) => rows + part.rows, 0),
      0,
    ),
    bytes: plan.load.reduce((sum, load) => sum + bytesOf(load), 0),
    locksNeeded: plan.locksNeeded,
  };
}
