/**
 * Compares the definitions of a restored target with those of the backup: at once, or slice by slice where
 * no worker could hold all of them. Rows were compared by their own units.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Entry } from "../../core/model.ts";
import { type CatalogSlice, cutCatalog } from "../../dump/mod.ts";
import type { Session } from "../../postgres/session.ts";
import {
  type ComparedSlice,
  compareResult,
  compareSlice,
  type Comparison,
  HashedNames,
  joinSlices,
  type KeptPlan,
  type LeftOut,
  linesOf,
  linesToRead,
  plannedEntries,
  together,
  type UnitReport,
  unseenLines,
} from "../../restore/mod.ts";
import type { OpenedLines } from "./backup_lines.ts";
import { readLive, readLiveSlice, wholeDatabase } from "./restore_facts.ts";

/** Times that the target is read when definitions change meanwhile. */
const READ_ATTEMPTS = 3;

/** What a comparison works with. */
export interface CompareInput {
  plan: KeptPlan;
  lines: OpenedLines;
  /** Of all units. */
  reports: readonly UnitReport[];
}

/** How the target is read; no slices when one worker can hold all that it has, of the backup or not. */
export async function cutComparison(
  session: Session,
  { lines }: { lines: Pick<OpenedLines, "source"> },
  relationsAPart: number | null,
): Promise<CatalogSlice[]> {
  if (relationsAPart === null) return [];
  return await cutCatalog(session, wholeDatabase(lines), relationsAPart);
}

/** Compares all of the target. */
export async function compareAll(session: Session, input: CompareInput): Promise<Comparison> {
  const { plan, lines } = input;
  const all = await lines.entries(Array.from({ length: lines.count }, (_, line) => line));
  const entries = [...all.values()];
  const found = await readStill(plan, () => readLive(session, { source: lines.source, entries }));
  const expect = plannedEntries(plan.expect.entries, all);
  return compareResult({ ...plan, expect }, found, knownOf(input));
}

/** Compares a slice of the target; of the backup it reads what may be in it. */
export async function compareSome(
  session: Session,
  input: CompareInput,
  slice: CatalogSlice,
): Promise<ComparedSlice> {
  const { plan, lines } = input;
  const expected = new ExpectedLines(plan, lines);
  return await readStill(plan, async () => {
    const standAlone = await lines.entries(linesOf(plan.expect.standAlone));
    const read = await readLiveSlice(session, {
      ...{ source: lines.source, slice },
      standAlone: [...standAlone.values()],
      inBackup: (entries) => expected.among(entries, slice),
      neededBy: (entries) => expected.neededBy(entries),
    });
    const found = { expected: read.inBackup, actual: read.entries, isRest: slice.isRest };
    return compareSlice(plan, found, knownOf(input));
  });
}

/** What all comparisons together have found. */
export async function joinComparisons(
  input: CompareInput,
  compared: readonly (Comparison | ComparedSlice)[],
): Promise<Comparison> {
  const slices = compared.filter((one) => "seen" in one);
  if (slices.length === 0) return compared[0]!;
  const { plan, lines } = input;
  const unseen = unseenLines(slices, linesToRead(plan.expect.entries));
  const entries = [...(await lines.entries(unseen)).values()];
  return joinSlices(plan, { slices, unseen: entries }, knownOf(input));
}

/** What the comparison need not find. */
function knownOf({ plan, reports }: CompareInput) {
  const { failed, skipped, leftOut } = together(reports);
  const known: LeftOut[] = failed.map(({ identity, message }) => ({ identity, reason: message }));
  return { leftOut: [...leftOut, ...known, ...skipped], otherGrantors: !plan.role.superuser };
}

/** Finds entries of the backup without reading all of them. */
class ExpectedLines {
  readonly #plan: KeptPlan;
  readonly #lines: OpenedLines;
  readonly #expected: ReadonlySet<number>;

  constructor(plan: KeptPlan, lines: OpenedLines) {
    this.#plan = plan;
    this.#lines = lines;
    this.#expected = new Set(linesToRead(plan.expect.entries));
  }

  /** Expected entries, by their lines, that have the identity of one of these. */
  async among(entries: readonly Entry[], { isRest }: CatalogSlice): Promise<Map<number, Entry>> {
    const { expect } = this.#plan;
    const identities = new Set(entries.map(({ identity }) => identity));
    const memberships = isRest ? linesOf(expect.memberships) : [];
    const candidates = [...HashedNames.from(expect.identities).find(identities), ...memberships];
    const lines = new Set(candidates.filter((line) => this.#expected.has(line)));
    const stored = await this.#lines.entries([...lines]);
    const changed = expect.entries.filter((each) => "line" in each && lines.has(each.line));
    const planned = plannedEntries(changed, stored);
    changed.forEach((each, at) => "line" in each && stored.set(each.line, planned[at]!));
    const own = new Set(linesOf(expect.memberships));
    return new Map(
      [...stored].filter(([line, { identity }]) => identities.has(identity) || own.has(line))
        .sort(([a], [b]) => a - b),
    );
  }

  /** What these entries name in `dependsOn`. */
  async neededBy(entries: readonly Entry[]): Promise<Entry[]> {
    const keys = new Set(entries.flatMap(({ dependsOn }) => dependsOn));
    const candidates = HashedNames.from(this.#plan.expect.keys).find(keys);
    const found = await this.#lines.entries(candidates);
    return [...found.values()].filter(({ key }) => keys.has(key));
  }
}

/** Others may work in the target already; to begin again is not possible any more. */
async function readStill<T>({ backupId }: KeptPlan, read: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== "concurrent_ddl") throw error;
      if (attempt < READ_ATTEMPTS) continue;
      throw new BackupError(
        "restore_mismatch",
        `Cannot compare the restore of ${backupId} with the backup: ${error.message}`,
        {
          hint: "Everything was restored. Somebody changes definitions in the target: compare it " +
            "when nobody does.",
          cause: error,
        },
      );
    }
  }
}
