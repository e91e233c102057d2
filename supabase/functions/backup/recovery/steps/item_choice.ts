/**
 * What of a backup of items a step restores, by what the steps before it found.
 *
 * @module
 */
import type { ItemType } from "../../core/items.ts";
import type { StepEnd } from "../step.ts";
import { earlierDetails, type RestoreWork } from "./restore_work.ts";

export function typeOf({ parameters }: RestoreWork): ItemType {
  return parameters.backupType as ItemType; // the database has steps of its own
}

/** What a step before has found; undefined when none has looked. */
export function lookBefore(work: RestoreWork): StepEnd["details"] | undefined {
  return earlierDetails(work).find(({ assessed }) => assessed === true);
}

/** Why nothing is to be done, by what the steps before found; null when something is, or nobody looked. */
export function whyNeedless(work: RestoreWork): string | null {
  const { parameters, execution } = work;
  const before = earlierDetails(work);
  if (parameters.mustMatch) {
    const isRestored = before.some(({ restored }) => restored === true);
    // Rotated secrets are looked at, also where none was missing.
    if (isRestored || parameters.backupType === "secrets") return null;
    return "nothing was restored, so that there is nothing to verify";
  }
  if (parameters.checkOnly || execution.mode === "drill" || execution.force) return null;
  const look = lookBefore(work);
  if (look === undefined || look.toRestore !== 0 || hazardsOf(look).length > 0) return null;
  if (parameters.backupType === "secrets") return null; // tells what must be supplied
  return `nothing to restore: all is as in backup ${look.backupId}`;
}

/**
 * What is restored of what an assessment found to differ: items with hazards that nobody accepted are left
 * to a person, and do not stand against the others.
 */
export function choice(
  work: RestoreWork,
): { only: string[]; acceptHazards: string[]; left: Hazardous[] } {
  const { items = [], acceptHazards } = work.parameters;
  const look = lookBefore(work);
  const hazards = look === undefined ? [] : hazardsOf(look);
  const left = hazards.filter(({ key }) => !acceptHazards.includes(key));
  const differing = look?.differing as string[] | undefined;
  if (differing === undefined || differing.length === 0) {
    return { only: items, acceptHazards, left: [] };
  }
  const leave = new Set(left.map(({ key }) => key));
  return { only: differing.filter((key) => !leave.has(key)), acceptHazards, left };
}

/** An item whose restore could do harm. */
export type Hazardous = { key: string; hazards: string[] };

function hazardsOf(look: StepEnd["details"]): Hazardous[] {
  return (look.hazards ?? []) as unknown as Hazardous[];
}

/** For people: what was left, and how to restore it all the same. */
export function linesOf(left: readonly Hazardous[]): string[] {
  return left.map(({ key, hazards }) =>
    `${key} is left as it is (${hazards.join("; ")}): restore it with action=restore, ` +
    `items and acceptHazards [${JSON.stringify(key)}]`
  );
}
