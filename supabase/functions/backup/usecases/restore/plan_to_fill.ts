/**
 * Looks whether a restore over a live database has to replace anything: if it only fills what is empty and
 * makes what is missing, it may be done in parts, however large it is.
 *
 * @module
 */
import type { DataPart } from "../../core/model.ts";
import { DatabaseError } from "../../postgres/database_error.ts";
import type { Session } from "../../postgres/session.ts";
import {
  lookAtRows,
  type LookOptions,
  type PlanInput,
  planRestore,
  type RestorePlan,
} from "../../restore/mod.ts";
import { asOwners } from "./restore_facts.ts";

/** What was found. */
export interface PlannedFilling {
  /** Null when the restore has to be planned as one transaction. */
  plan: RestorePlan | null;
  /** What stands and is not as the backup has it. */
  inTheWay: string[];
}

/** When and how it is filled. */
export interface HowToFill {
  /** Whether so many bytes take too long for one transaction. */
  isTooLong: (bytes: number) => boolean;
  /** See {@linkcode LookOptions}. */
  whole?: LookOptions["whole"];
}

/**
 * Plans to fill what one transaction would take too long for. An empty database needs no look: its plan is
 * as it would be anyhow.
 */
export async function planToFill(
  session: Session,
  input: PlanInput,
  { isTooLong, whole }: HowToFill,
): Promise<PlannedFilling> {
  const none: PlannedFilling = { plan: null, inTheWay: [] };
  if (!isTooLong(bytesOf(input.backup.dataParts))) return none;
  const plan = planRestore({ ...input, fills: true });
  const { filling } = plan;
  if (filling === null) return { plan, inTheWay: [] };
  if (!isTooLong(bytesOf(plan.load.flatMap((load) => load.parts)))) return none;
  if (filling.inTheWay.length > 0) return { plan: null, inTheWay: filling.inTheWay };
  const { same, other } = await looked(session, plan, { whole });
  const known = new Set(same);
  const load = plan.load.filter(({ entry }) => !known.has(entry.key));
  return other.length > 0
    ? { plan: null, inTheWay: other }
    : { plan: { ...plan, load }, inTheWay: [] };
}

/** A table that cannot be read cannot be known to be empty. */
async function looked(session: Session, plan: RestorePlan, options: LookOptions) {
  try {
    return await asOwners(session, () => lookAtRows(session, plan, options));
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState !== "42501") throw error;
    return { same: [], other: [error.facts.serverMessage] };
  }
}

/** Raw bytes of rows. */
export function bytesOf(parts: readonly DataPart[]): number {
  return parts.reduce((sum, part) => sum + part.rawBytes, 0);
}
