/**
 * Turns the plan of a restore over a live database into one that only fills: tables that stand and are
 * empty get their rows, what is missing is made, and nothing that is there is dropped or replaced. So it
 * may be done in parts: wherever it stops, nobody has lost anything.
 *
 * What would act on rows or definitions meanwhile is set aside and put back within each transaction.
 * Indexes and foreign keys stay: the former grow with the rows, the latter are checked at the end.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { filledName } from "./broken_off.ts";
import type { EntryIndex } from "./entry_index.ts";
import type { Filling, RestorePlan, SetAside, TableLoad, TargetFacts } from "./plan_types.ts";
import {
  firesInReplicaMode,
  suspendedEntries,
  withPartitionedTables,
} from "./suspended_entries.ts";

/** Input of {@linkcode fillPlan}. */
export interface FillInput {
  plan: RestorePlan;
  /** Entries that are restored. */
  restored: readonly Entry[];
  live: EntryIndex;
  target: TargetFacts;
  /** Identities of live objects that the difference would replace or drop for good. */
  replaced: readonly string[];
  /** Of what a restore that was broken off was going to make; null for everything. */
  made: ReadonlySet<string> | null;
}

/** What definitions that are made would react to; put back in the transaction that dropped it. */
const ASIDE = ["default-acl", "event-trigger"];

/**
 * Changes the plan, whose difference was made as if no rows were replaced.
 *
 * @returns what the plan then knows of itself; with anything `inTheWay` it must not be executed
 */
export function fillPlan(input: FillInput): Filling {
  const { plan, live } = input;
  const aside = plan.drop.filter(({ kind }) => ASIDE.includes(kind));
  const inTheWay = new Set([...input.replaced, ...standingPages(input)]);
  for (const { kind, identity } of plan.drop) {
    if (!ASIDE.includes(kind)) inTheWay.add(identity);
  }
  for (const { identity } of plan.adjust) {
    // Whoever made schema public anew lost its rights with it; a restore gives rights when all is made.
    const isNew = input.made === null || input.made.has(identity);
    if (!isNew && live.byIdentity(identity)?.kind !== "schema") inTheWay.add(identity);
  }
  const listening = aside.filter(({ kind }) => kind === "event-trigger");
  for (const identity of fillLoads(input, listening)) inTheWay.add(identity);
  const putBack = new Set(aside.map(({ identity }) => identity));
  plan.create = plan.create.filter(({ identity }) => !putBack.has(identity));
  const made = new Set(plan.create.map(({ key }) => key));
  plan.optional = plan.optional.filter((key) => made.has(key));
  plan.drop = [];
  const mustBeEmpty = plan.clearOnly;
  plan.clearOnly = [];
  return {
    inTheWay: [...inTheWay],
    mustBeEmpty,
    definitions: setAside(live, aside),
    statements: setAside(live, listening),
  };
}

/** Large objects whose pages would be written over. */
function standingPages({ plan, restored, live }: FillInput): string[] {
  if (!plan.load.some(({ entry }) => entry.kind === "large-object-data")) return [];
  const objects = restored.filter(({ kind }) => kind === "large-object");
  return objects.flatMap(({ identity }) => live.byIdentity(identity)?.identity ?? []);
}

/**
 * Marks the loads into tables that stand.
 *
 * @param listening what would hear that something is set aside
 * @returns what acts on rows and cannot be kept from it
 */
function fillLoads(
  { plan, restored, live, target }: FillInput,
  listening: readonly Entry[],
): string[] {
  const groups = new Map<string, TableLoad[]>();
  for (const load of plan.load) {
    if (load.clear === "none") continue;
    const name = filledName(load);
    groups.set(name, [...groups.get(name) ?? [], load]);
  }
  const tables = new Map(
    [...groups].map(([name, loads]) => [
      name,
      new Set(loads.flatMap(({ entry }) => tableOf(live, entry)?.identity ?? [])),
    ]),
  );
  const acting = actingOnRows(live, {
    ...{ backup: restored, live, role: target.role },
    replacedRows: new Set([...tables.values()].flatMap((each) => [...each])),
  });
  for (const [name, loads] of groups) {
    const around = acting.aside.length === 0
      ? new Set<string>()
      : withPartitionedTables(live, tables.get(name)!);
    const aside = acting.aside.filter((entry) => around.has(live.tableOf(entry)!.identity));
    const all = aside.length === 0 ? [] : [...aside, ...listening];
    for (const load of loads) {
      load.clear = "none";
      load.checkForeignKeys = false;
      load.fill = { aside: setAside(live, all) };
    }
  }
  return acting.unstoppable.map(({ identity }) => identity);
}

/** The live table of an entry of rows, which both sides know by the name of its table. */
function tableOf(live: EntryIndex, rows: Entry): Entry | undefined {
  const there = live.byIdentity(rows.identity);
  return there === undefined ? undefined : live.tableOf(there);
}

/** Of what a replacing restore would drop first: what has to go here too, and what nothing can stop. */
function actingOnRows(
  live: EntryIndex,
  input: Parameters<typeof suspendedEntries>[0],
): { aside: Entry[]; unstoppable: Entry[] } {
  const aside: Entry[] = [];
  const unstoppable: Entry[] = [];
  if (input.replacedRows.size === 0) return { aside, unstoppable };
  for (const entry of suspendedEntries(input)) {
    const isOrdinary = entry.kind === "foreign-key" ||
      entry.kind === "trigger" && !firesInReplicaMode(entry);
    if (isOrdinary) {
      if (!input.role.replicaMode) unstoppable.push(entry);
    } else if (entry.kind === "trigger" || entry.kind === "check-constraint") {
      // A copy that a partition has of its parent's cannot go alone.
      const canGo = entry.statements.drop.length > 0 && live.tableOf(entry) !== undefined;
      (canGo ? aside : unstoppable).push(entry);
    }
  }
  return { aside, unstoppable };
}

/** Statements that remove entries, and those that make them again as they were. */
function setAside(live: EntryIndex, entries: readonly Entry[]): SetAside {
  const ordered = entries.toSorted((a, b) => live.position(a) - live.position(b));
  return {
    drop: ordered.toReversed().flatMap(({ statements }) => statements.drop),
    make: ordered.flatMap(({ statements: each }) => [
      ...[...each.create, ...each.owner, ...each.comment, ...each.label, ...each.acl],
    ]),
  };
}
