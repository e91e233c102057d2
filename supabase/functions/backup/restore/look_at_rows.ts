/**
 * Looks at tables that a restore would fill: which are empty, and which hold the backup's rows already.
 *
 * @module
 */
import type { Session } from "../postgres/session.ts";
import { batchGroups, type ComparedLoads, compareGroups, expectedRows } from "./compare_rows.ts";
import { filledMark, filledName } from "./broken_off.ts";
import { filledRows } from "./fill_table.ts";
import { bytesOf } from "./plan_loads.ts";
import type { RestorePlan, TableLoad } from "./plan_types.ts";

/** Stored bytes of tables with rows, up to which their rows are compared: the server reads them in seconds. */
const COMPARED_BYTES = 256 << 20;

/** Tables with other rows that are told; further ones are not looked for. */
const MOST_OTHER = 50;

/** Tables that one query asks about. */
const ASKED_TABLES = 200;

/** What stands in the tables. */
export interface StandingRows {
  /** Keys of entries whose rows are there as the backup has them. */
  same: string[];
  /** Identities or names of tables with other rows. */
  other: string[];
  /** Numbers of parts that a restore before has loaded, and which are there, by key of their entry. */
  loaded: Map<string, Set<number>>;
  /** Names of their marks. Rows of other marks are not there any more: somebody has emptied the table since. */
  marks: Set<string>;
  /** Loads of tables that a restore before has loaded whole and others have written to since: they are theirs. */
  written: TableLoad[];
}

/** How to look. */
export interface LookOptions {
  /** Rows of the parts that a restore before has loaded, by the names of their marks. @default none */
  filled?: ReadonlyMap<string, number> | undefined;
  /** Completes loads, where the plan does not say what only comparing needs. @default they say all */
  whole?: ((loads: readonly TableLoad[]) => Promise<readonly TableLoad[]>) | undefined;
}

/** Looks without a lock: whoever loads looks again under one. */
export async function lookAtRows(
  session: Session,
  plan: RestorePlan,
  { filled = new Map(), whole = (loads) => Promise.resolve(loads) }: LookOptions,
): Promise<StandingRows> {
  const found = nothingFound();
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
    const marked = markedParts(loads, filled);
    if (!full.has(name)) continue;
    bytes += loads.reduce((sum, load) => sum + bytesOf(load), 0);
    const isSmall = bytes <= COMPARED_BYTES;
    const isWhole = marked.length === loads.reduce((sum, { parts }) => sum + parts.length, 0);
    // What is too large to be counted is found by the comparison at the end.
    if (marked.length > 0 && (!isSmall || await areAll(session, loads[0]!, marked))) {
      for (const { key, part, mark } of marked) {
        found.marks.add(mark);
        found.loaded.set(key, (found.loaded.get(key) ?? new Set()).add(part));
      }
      if (isSmall && isWhole) compared.push(...loads);
    } else if (marked.length > 0 && isWhole) {
      for (const { mark } of marked) found.marks.add(mark);
      found.written.push(...loads);
    } else if (isSmall) compared.push(...loads);
    else found.other.push(loads[0]!.entry.identity);
  }
  // With one of these nothing is filled, and so many are told.
  if (found.other.length < MOST_OTHER) await compareRows(session, await whole(compared), found);
  return found;
}

/** Of tables at which nobody has looked. */
export function nothingFound(): StandingRows {
  return { same: [], other: [], loaded: new Map(), marks: new Set(), written: [] };
}

/** A part that a restore before has loaded. */
interface MarkedPart {
  key: string;
  part: number;
  mark: string;
  rows: number;
}

function markedParts(
  loads: readonly TableLoad[],
  filled: ReadonlyMap<string, number>,
): MarkedPart[] {
  if (filled.size === 0) return [];
  return loads.flatMap((load) =>
    load.parts.flatMap((each) => {
      const mark = filledMark(load, each);
      const rows = filled.get(mark);
      return rows === undefined ? [] : [{ key: load.entry.key, part: each.part, mark, rows }];
    })
  );
}

/** Whether the table holds as many rows as were loaded: neither more nor fewer. */
async function areAll(
  session: Session,
  load: TableLoad,
  marked: readonly MarkedPart[],
): Promise<boolean> {
  const rows = BigInt(marked.reduce((sum, each) => sum + each.rows, 0));
  const [found] = await session.query(
    `SELECT count(*)::text AS rows FROM (SELECT FROM ${filledRows(load)} LIMIT ${rows + 1n}) r`,
  );
  return found!.rows === String(rows);
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

/** Which rows are proved to be those of the backup; by their number alone they are not. */
async function compareRows(
  session: Session,
  compared: readonly TableLoad[],
  found: StandingRows,
): Promise<void> {
  const groups = Map.groupBy(compared, filledName).values()
    .flatMap(([first, ...others]): ComparedLoads[] =>
      first === undefined ? [] : [[first, ...others]]
    )
    .toArray();
  const [summed, counted] = [true, false].map((isSummed) =>
    groups.filter((loads) => (expectedRows(loads).sum !== null) === isSummed)
  );
  const isLoaded = ([{ entry }]: ComparedLoads) => found.loaded.has(entry.key);
  const unknown = counted!.filter((loads) => !isLoaded(loads));
  found.other.push(...unknown.map(([load]) => load.entry.identity));
  for (const batch of batchGroups(summed!)) {
    if (found.other.length >= MOST_OTHER) return;
    const differences = await compareGroups(session, batch);
    const unlike = new Set(differences.map(({ identity }) => identity));
    for (const loads of batch) {
      const [{ entry }] = loads;
      const isSame = !unlike.has(entry.identity);
      if (isLoaded(loads)) {
        // What is as it was loaded stays among the loads: its foreign keys are still to be checked.
        if (!isSame) found.written.push(...loads);
      } else if (isSame) found.same.push(...loads.map((load) => load.entry.key));
      else found.other.push(entry.identity);
    }
  }
}
