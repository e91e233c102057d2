/**
 * Looks whether a restore over a live database has to replace anything: if it only fills what is empty and
 * makes what is missing, it may be done in parts, however large it is.
 *
 * @module
 */
import type { DataPart, Entry } from "../../core/model.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import type { Session } from "../../postgres/session.ts";
import {
  type BrokenOff,
  type LeftOut,
  lookAtRows,
  type LookOptions,
  nothingFound,
  type PlanInput,
  planRestore,
  type RestorePlan,
  type StandingRows,
} from "../../restore/mod.ts";
import { asOwners } from "./restore_facts.ts";

/** What was found. */
export interface PlannedFilling {
  /** Null when the restore has to be planned as one transaction. */
  plan: RestorePlan | null;
  /** What stands and is not as the backup has it. */
  inTheWay: string[];
  /** Names of marks of the restore before whose rows somebody has taken away since. */
  gone: string[];
}

/** When and how it is filled. */
export interface HowToFill {
  /** Whether so many bytes take too long for one transaction. */
  isTooLong: (bytes: number) => boolean;
  /** The restore that was broken off and is gone on with. @default null */
  brokenOff?: BrokenOff | null;
  /** Whether it is filled or not restored at all, however small it is. @default false */
  only?: boolean;
  /** See {@linkcode LookOptions}. */
  whole?: LookOptions["whole"];
}

/**
 * Plans to fill what one transaction would take too long for, or what is half filled. An empty database needs
 * no look: its plan is as it would be anyhow.
 */
export async function planToFill(
  session: Session,
  input: PlanInput,
  { isTooLong, brokenOff = null, only = false, whole }: HowToFill,
): Promise<PlannedFilling> {
  const none: PlannedFilling = { plan: null, inTheWay: [], gone: [] };
  if (!only && !isTooLong(bytesOf(input.backup.dataParts))) return none;
  const goesOn = brokenOff === null ? {} : { goesOn: brokenOff };
  const plan = planRestore({ ...input, fills: true, ...goesOn });
  const { filling } = plan;
  const before = [...brokenOff?.filled.keys() ?? []];
  if (filling === null) return { ...none, plan, gone: before };
  if (!only && !isTooLong(bytesOf(plan.load.flatMap((load) => load.parts)))) return none;
  if (filling.inTheWay.length > 0) return { ...none, inTheWay: filling.inTheWay };
  const found = await looked(session, plan, { filled: brokenOff?.filled, whole });
  if (found.other.length > 0) return { ...none, inTheWay: found.other };
  const known = new Set([...found.same, ...found.written.map(({ entry }) => entry.key)]);
  const load = plan.load.filter(({ entry }) => !known.has(entry.key));
  const leftOut = [...plan.leftOut, ...found.written.map(({ entry }) => leftToUsers(entry))];
  const gone = before.filter((name) => !found.marks.has(name));
  return { ...none, plan: { ...plan, load, leftOut, loaded: found.loaded }, gone };
}

/** Why rows are left out that a restore before has loaded. */
export const LEFT_TO_USERS =
  "it was loaded when the restore was broken off, and others have written to it since";

function leftToUsers({ identity }: Entry): LeftOut {
  return { identity, reason: LEFT_TO_USERS };
}

/** A table that cannot be read cannot be known to be empty. */
async function looked(
  session: Session,
  plan: RestorePlan,
  options: LookOptions,
): Promise<StandingRows> {
  try {
    return await asOwners(session, () => lookAtRows(session, plan, options));
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState !== "42501") throw error;
    return { ...nothingFound(), other: [error.facts.serverMessage] };
  }
}

/** Raw bytes of rows. */
export function bytesOf(parts: readonly DataPart[]): number {
  return parts.reduce((sum, part) => sum + part.rawBytes, 0);
}
