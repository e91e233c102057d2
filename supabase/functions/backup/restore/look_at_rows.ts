/**
 * Looks at tables that a restore would fill: which are empty, and which hold the backup's rows already.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import { type ComparedLoads, compareFound, expectedRows, rowsQuery } from "./compare_rows.ts";
import { filledName, filledRows } from "./fill_table.ts";
import { bytesOf } from "./plan_loads.ts";
import type { RestorePlan, TableLoad } from "./plan_types.ts";

/** Stored bytes of tables with rows, up to which their rows are compared: the server reads them in seconds. */
const COMPARED_BYTES = 256 << 20;

/** Tables that one query asks about. */
const ASKED_TABLES = 200;

/** What stands in the tables. */
export interface StandingRows {
  /** Keys of entries whose rows are there as the backup has them. */
  same: string[];
  /** Identities or names of tables with other rows. */
  other: string[];
}

/** How to look. */
export interface LookOptions {
  /** Completes loads, where the plan does not say what only comparing needs. @default they say all */
  whole?: ((loads: readonly TableLoad[]) => Promise<readonly TableLoad[]>) | undefined;
}

/** Looks without a lock: whoever loads looks again under one. */
export async function lookAtRows(
  session: Session,
  plan: RestorePlan,
  { whole = (loads) => Promise.resolve(loads) }: LookOptions,
): Promise<StandingRows> {
  const found: StandingRows = { same: [], other: [] };
  const groups = Map.groupBy(
    plan.load.filter((load) => load.fill !== undefined),
    filledName,
  );
  const { mustBeEmpty } = plan.filling!;
  const sources = [
    ...[...groups].map(([name, loads]) => ({ name, from: filledRows(loads[0]!) })),
    ...mustBeEmpty.map((name) => ({ name, from: `ONLY ${name} t` })),
  ];
  const full = await withRows(session, sources);
  found.other.push(...mustBeEmpty.filter((name) => full.has(name)));
  let bytes = 0;
  const compared: TableLoad[] = [];
  for (const [name, loads] of groups) {
    if (!full.has(name)) continue;
    bytes += loads.reduce((sum, load) => sum + bytesOf(load), 0);
    if (bytes <= COMPARED_BYTES) compared.push(...loads);
    else found.other.push(loads[0]!.entry.identity);
  }
  for (const loads of Map.groupBy(await whole(compared), filledName).values()) {
    if (await isSame(session, loads)) found.same.push(...loads.map(({ entry }) => entry.key));
    else found.other.push(loads[0]!.entry.identity);
  }
  return found;
}

/** Names of those that have a row. */
async function withRows(
  session: Session,
  sources: readonly { name: string; from: string }[],
): Promise<Set<string>> {
  const full = new Set<string>();
  for (let at = 0; at < sources.length; at += ASKED_TABLES) {
    const asked = sources.slice(at, at + ASKED_TABLES);
    const queries = asked.map(({ from }, which) =>
      `SELECT ${which} AS which WHERE EXISTS (SELECT FROM ${from})`
    );
    for (const { which } of await session.query(queries.join(" UNION ALL "))) {
      full.add(asked[which]!.name);
    }
  }
  return full;
}

/** Whether rows are proved to be those of the backup; by their number alone they are not. */
async function isSame(session: Session, loads: readonly TableLoad[]): Promise<boolean> {
  const compared = loads as ComparedLoads;
  if (expectedRows(compared).sum === null) return false;
  const [row] = await session.query(`SELECT (${rowsQuery(compared)}) AS found`);
  return compareFound(compared, row!.found) === null;
}
