/**
 * A plan that is cut into units, in the form in which it waits for its workers: what all of them need to
 * know, and what each unit is about. Entries and rows are named by their lines in the backup.
 *
 * @module
 */
import {
  type DataPart,
  type Entry,
  type EntryKind,
  PARTS_THAT_STAND_ALONE,
  type TableData,
} from "../core/model.ts";
import {
  cutRestore,
  type RestoreLimits,
  type RestoreStepName,
  type RestoreUnit,
} from "./cut_restore.ts";
import { EntryIndex } from "./entry_index.ts";
import { HashedNames } from "./hashed_names.ts";
import {
  keepEntries,
  type KeptEntries,
  linesOf,
  linesToRead,
  plannedEntries,
  type Run,
  runsOf,
} from "./kept_entries.ts";
import type {
  Adjustment,
  BackupFacts,
  RestorePlan,
  RestoringRole,
  TableLoad,
  TargetFacts,
} from "./plan_types.ts";
import type { LineHashes } from "./slim_lines.ts";

/** What every worker needs of a plan. Survives JSON. */
export interface KeptPlan extends
  Pick<
    RestorePlan,
    "backupId" | "mode" | "borrowRoles" | "unusableRoles" | "sameMajor" | "leftOut" | "filling"
  > {
  /** The restoring role. */
  role: RestoringRole;
  /** Names of the steps, in order. */
  steps: RestoreStepName[];
  expect: KeptExpectations;
  /** Of the lease that it was made under, as its mark in the target says; older releases made plans without. */
  token?: string;
}

/** What the target must hold afterwards, and how to find it among the lines. */
export interface KeptExpectations {
  entries: KeptEntries;
  /** Lines of memberships among them, which may have another grantor in the target. */
  memberships: Run[];
  /** Lines of the backup's parts of tables, views and domains that stand alone. */
  standAlone: Run[];
  /** By line, as {@linkcode HashedNames.toString} writes them: identities, and keys. */
  identities: string;
  keys: string;
}

/** What one unit is about. Survives JSON. */
export interface KeptUnit {
  bytes: number;
  isLong: boolean;
  /** Of units without loads. */
  entries: KeptEntries;
  loads: KeptLoads | null;
  adjust: Adjustment[];
}

/** Loads side by side: list by list, not one by one. */
export interface KeptLoads {
  entries: KeptEntries;
  /** Lines of their table data; -1 for none. */
  data: Run[];
  /** For each load, lines of its parts. */
  parts: Run[][];
  /** All else that the plan says of a load, for it and those behind it. */
  more: { from: number; fields: Omit<TableLoad, "entry" | "data" | "parts"> }[];
}

/** What one unit works with, as {@linkcode runUnit} takes it. */
export interface UnitMaterial {
  bytes: number;
  isLong: boolean;
  /** In order; of units with loads, theirs. */
  entries: Entry[];
  /** With the parts that this unit loads or compares. */
  loads: TableLoad[];
  adjust: Adjustment[];
}

/** A plan with its units, of which each can be done by somebody who knows nothing but it and the plan's head. */
export interface CutPlan {
  head: KeptPlan;
  steps: { name: RestoreStepName; units: KeptUnit[] }[];
}

/** Lines of a backup, by their numbers. */
export interface BackupLines {
  entries(lines: readonly number[]): Promise<Map<number, Entry>>;
  tableData(lines: readonly number[]): Promise<Map<number, TableData>>;
  dataParts(lines: readonly number[]): Promise<Map<number, DataPart>>;
}

/** Cuts a plan and keeps it. */
export function keepPlan(
  plan: RestorePlan,
  { backup, target, limits, hashes }: {
    backup: BackupFacts;
    target: TargetFacts;
    limits?: RestoreLimits;
    /** Of all lines; null when nobody has made them. */
    hashes: Pick<LineHashes, "identities" | "keys"> | null;
  },
): CutPlan {
  const index = plannedIndex(plan, backup);
  const steps = cutRestore(plan, index, limits);
  const { backupId, mode, borrowRoles, unusableRoles, sameMajor, leftOut, filling } = plan;
  const numbered = new NumberedBackup(backup, index);
  const head: KeptPlan = {
    ...{ backupId, mode, borrowRoles, unusableRoles, sameMajor, leftOut, filling },
    role: target.role,
    steps: steps.map(({ name }) => name),
    expect: keepExpectations(plan, { backup, numbered, hashes }),
  };
  const from = {
    ...{ plan, index, numbered },
    loads: new Map(plan.load.map((load) => [load.entry.key, load])),
    parts: new Map(
      plan.load.map((
        { entry, parts },
      ) => [entry.key, new Map(parts.map((each) => [each.part, each]))]),
    ),
    drop: new Map(plan.drop.map((entry) => [entry.key, entry])),
  };
  const kept = steps.map(({ name, units }) => ({
    name,
    units: units.map((unit) => keepUnit(name, unit, from)),
  }));
  return { head, steps: kept };
}

/** All entries, as the plan says them. */
function plannedIndex(plan: RestorePlan, backup: BackupFacts): EntryIndex {
  const planned = [...plan.create, ...plan.cluster, ...plan.refresh];
  return new EntryIndex(backup.entries).replacing(planned);
}

/** Knows the lines. */
class NumberedBackup {
  readonly #backup: BackupFacts;
  readonly #index: EntryIndex;
  readonly #tableData: ReadonlyMap<TableData, number>;
  readonly #dataParts: ReadonlyMap<DataPart, number>;

  constructor(backup: BackupFacts, index: EntryIndex) {
    this.#backup = backup;
    this.#index = index;
    this.#tableData = new Map(backup.tableData.map((each, line) => [each, line]));
    this.#dataParts = new Map(backup.dataParts.map((each, line) => [each, line]));
  }

  keep(entries: Iterable<Entry>): KeptEntries {
    return keepEntries(entries, (entry) => {
      const line = this.#index.position(entry);
      const stored = this.#backup.entries[line];
      return stored === undefined ? undefined : { line, entry: stored };
    });
  }

  keepLoads(loads: readonly TableLoad[]): KeptLoads {
    const more: KeptLoads["more"] = [];
    let last = "";
    for (const [from, { entry: _, data: __, parts: ___, ...fields }] of loads.entries()) {
      const words = JSON.stringify(fields);
      if (words !== last) more.push({ from, fields });
      last = words;
    }
    return {
      entries: this.keep(loads.map(({ entry }) => entry)),
      data: runsOf(loads.map(({ data }) => data === null ? -1 : this.#tableData.get(data)!)),
      parts: loads.map(({ parts }) => runsOf(parts.map((part) => this.#dataParts.get(part)!))),
      more,
    };
  }
}

function keepExpectations(
  { expect }: RestorePlan,
  { backup, numbered, hashes }: {
    backup: BackupFacts;
    numbered: NumberedBackup;
    hashes: Pick<LineHashes, "identities" | "keys"> | null;
  },
): KeptExpectations {
  const lines = (entries: readonly Entry[], kinds: readonly EntryKind[]) =>
    runsOf(linesToRead(numbered.keep(entries.filter(({ kind }) => kinds.includes(kind)))));
  return {
    entries: numbered.keep(expect),
    memberships: lines(expect, ["role-membership"]),
    standAlone: lines(backup.entries, PARTS_THAT_STAND_ALONE),
    identities: hashed(hashes?.identities, () => backup.entries.map(({ identity }) => identity)),
    keys: hashed(hashes?.keys, () => backup.entries.map(({ key }) => key)),
  };
}

/** Names as all workers find them again. */
function hashed(hashes: Uint32Array | undefined, names: () => string[]): string {
  return String(hashes === undefined ? HashedNames.of(names()) : HashedNames.ofHashes(hashes));
}

interface Numbered {
  plan: RestorePlan;
  index: EntryIndex;
  numbered: NumberedBackup;
  /** By the key of their entry. */
  loads: ReadonlyMap<string, TableLoad>;
  /** By the key of their entry and their number: a large table has thousands, and each unit some of them. */
  parts: ReadonlyMap<string, ReadonlyMap<number, DataPart>>;
  drop: ReadonlyMap<string, Entry>;
}

/** Units whose work is rows. */
const OF_LOADS: readonly RestoreStepName[] = ["clear", "rows", "check-keys", "compare-rows"];

function keepUnit(step: RestoreStepName, unit: RestoreUnit, from: Numbered): KeptUnit {
  const { plan, index, numbered } = from;
  const { bytes, isLong, keys } = unit;
  const kept: KeptUnit = { bytes, isLong, entries: [], loads: null, adjust: [] };
  if (OF_LOADS.includes(step)) {
    const loads = keys.flatMap((key) => from.loads.get(key) ?? []);
    return {
      ...kept,
      loads: numbered.keepLoads(step === "compare-rows" ? loads : withPartsOf(unit, loads, from)),
    };
  }
  if (step === "drop") {
    // Live ones, whose keys say nothing of the backup.
    return { ...kept, entries: keys.map((key) => ({ entry: from.drop.get(key)! })) };
  }
  if (step === "adjust") {
    const wanted = new Set(keys);
    return { ...kept, adjust: plan.adjust.filter(({ identity }) => wanted.has(identity)) };
  }
  return { ...kept, entries: numbered.keep(keys.flatMap((key) => index.byKey(key) ?? [])) };
}

/** Only what the unit is about: some parts of a large table, or none where rows are removed. */
function withPartsOf(
  { parts = [] }: RestoreUnit,
  loads: readonly TableLoad[],
  from: Numbered,
): TableLoad[] {
  const wanted = Map.groupBy(parts, ({ key }) => key);
  return loads.map((load) => {
    const { key } = load.entry;
    const own = wanted.get(key) ?? [];
    return { ...load, parts: own.map(({ part }) => from.parts.get(key)!.get(part)!) };
  });
}

/** Reads what a unit is about. */
export async function readUnit(unit: KeptUnit, lines: BackupLines): Promise<UnitMaterial> {
  const { bytes, isLong, adjust } = unit;
  const kept = unit.loads?.entries ?? unit.entries;
  const entries = plannedEntries(kept, await lines.entries(linesToRead(kept)));
  const loads = unit.loads === null ? [] : await readLoads(unit.loads, { entries, lines });
  return { bytes, isLong, adjust, entries, loads };
}

/** Loads of a plan with all that the backup says of them. */
export async function wholeLoads(
  loads: readonly TableLoad[],
  { backup, lines }: { backup: BackupFacts; lines: BackupLines },
): Promise<TableLoad[]> {
  if (loads.length === 0) return [];
  const kept = new NumberedBackup(backup, new EntryIndex(backup.entries)).keepLoads(loads);
  const stored = await lines.entries(linesToRead(kept.entries));
  return await readLoads(kept, { entries: plannedEntries(kept.entries, stored), lines });
}

async function readLoads(
  { data, parts, more }: KeptLoads,
  { entries, lines }: { entries: readonly Entry[]; lines: BackupLines },
): Promise<TableLoad[]> {
  const dataLines = linesOf(data);
  const tableData = await lines.tableData(dataLines.filter((line) => line >= 0));
  const dataParts = await lines.dataParts(parts.flatMap(linesOf));
  let fields = more[0]?.fields;
  return entries.map((entry, at) => {
    fields = more.find(({ from }) => from === at)?.fields ?? fields;
    const line = dataLines[at]!;
    return {
      ...fields!,
      entry,
      data: line < 0 ? null : tableData.get(line)!,
      parts: linesOf(parts[at]!).map((each) => dataParts.get(each)!),
    };
  });
}
