/**
 * Reads one slice of the catalog: its entries as far as they can be told without the others, and what the
 * order of all entries is made from.
 *
 * @module
 */
import type { Entry, SourceFacts, TableData } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import { beginReading, quotingAll } from "./begin_reading.ts";
import {
  type CatalogFamily,
  type CatalogSlice,
  type Draft,
  Drafts,
  type DumpOptions,
} from "./context.ts";
import { describeTableData } from "./data/table_data.ts";
import { readTypes } from "./data/types.ts";
import { decorate, moveToHosts, statementsOf } from "./decorate.ts";
import { Dependencies } from "./dependencies.ts";
import { extensionDependenciesFamily } from "./families/extension_dependencies.ts";
import { functionsFamily } from "./families/functions.ts";
import { FAMILIES } from "./families/index.ts";
import { relationFamilies } from "./families/relations_index.ts";
import { markManaged } from "./managed.ts";
import { identityOf, removeIdleRights, toEntry } from "./read_database.ts";
import { noteRowVersions, type RowVersions } from "./recheck.ts";
import { sideBySide } from "./side_by_side.ts";
import { type NodePack, packNodes } from "./slice_nodes.ts";
import { compareDrafts, rankOf } from "./sort_priorities.ts";

/** An entry that does not know yet what it depends on, and how its rows are stored if it has some. */
export type SliceLine = [entry: Entry, data: TableData | null];

/** One slice. */
export interface SliceReading {
  source: SourceFacts;
  /** The slice's entries, in the order before dependencies: those of {@linkcode isEntry}. */
  lines: SliceLine[];
  /** All drafts in the same order, also those that stand in others' definitions. */
  nodes: NodePack[];
  /** For `recheck`, after the reading. */
  rowVersions: RowVersions[];
  /** Keys of what the options leave out, for the census. */
  leftOut: string[];
  remarks: string[];
}

/**
 * Reads it as the session's transaction sees it.
 *
 * @param what `separate` has the keys of parts that the order takes out of their hosts, once it is known;
 * `standAlone` has identities of parts that stand by themselves in a backup that this is compared with
 * @throws {BackupError} as `readDatabase`, but for the census, which needs all slices
 */
export async function readSlice(
  session: Session,
  options: DumpOptions,
  what: {
    slice: CatalogSlice;
    separate?: readonly string[];
    standAlone?: ReadonlySet<string>;
  },
): Promise<SliceReading> {
  const { slice, separate = [], standAlone = new Set() } = what;
  const { context, source } = await beginReading(session, options);
  context.slice = slice;
  // Schemas are the rest's.
  if (!slice.isRest) context.drafts = new Drafts();
  return await quotingAll(session, async () => {
    const families = familiesOf(slice);
    const [dependencies, types] = await sideBySide([
      Dependencies.read(context),
      readTypes(session),
      ...families.map((family) => family.read(context)),
    ]);
    await extensionDependenciesFamily.read(context);
    removeIdleRights(context);
    const [decorations, rowVersions] = await sideBySide([
      decorate(context, dependencies),
      noteRowVersions(context),
      markManaged(context),
    ]);
    const { drafts } = context;
    const apart = numbersOf(drafts, { separate, standAlone });
    takeApart(drafts, apart);
    moveToHosts(context, decorations, apart);
    const sorted = sortDrafts(drafts);
    const entries = sorted
      .filter(([number]) => isEntry(drafts, number, apart))
      .map(([number, draft]) => {
        const key = drafts.numbers.keyOf(number);
        return toEntry({ key, draft, dependsOn: [] }, statementsOf(key, draft, decorations));
      });
    const { copyFormat } = options;
    const described = await describeTableData(session, entries, { copyFormat, types });
    const data = new Map(described.map((each) => [each.entry, each]));
    return {
      source,
      lines: entries.map((entry): SliceLine => [entry, data.get(entry.key) ?? null]),
      nodes: packNodes(sorted.map(([, draft]) => draft)),
      rowVersions,
      leftOut: [...context.leftOut],
      remarks: context.remarks,
    };
  });
}

function familiesOf({ isRest, functions }: CatalogSlice): readonly CatalogFamily[] {
  if (isRest) return FAMILIES;
  return functions.length > 0 ? [functionsFamily] : relationFamilies;
}

/** Whether a draft is an entry of its own: it stands in no other, or was taken out. */
export function isEntry(drafts: Drafts, number: number, apart: ReadonlySet<number>): boolean {
  const { inlineIn } = drafts.at(number)!;
  return inlineIn === undefined || apart.has(number) || drafts.byKey(inlineIn) === undefined;
}

/** The drafts that stand by themselves, by key or by what they are. */
function numbersOf(
  drafts: Drafts,
  { separate, standAlone }: { separate: readonly string[]; standAlone: ReadonlySet<string> },
): Set<number> {
  const apart = new Set(separate.flatMap((key) => drafts.numbers.ofKey(key) ?? []));
  for (const [number, draft] of standAlone.size > 0 ? drafts.numbered() : []) {
    if (draft.inlineIn !== undefined && standAlone.has(identityOf(draft))) apart.add(number);
  }
  return apart;
}

function takeApart(drafts: Drafts, apart: ReadonlySet<number>): void {
  const hosts = new Set<string>();
  for (const number of apart) {
    const host = drafts.at(number)?.inlineIn;
    if (host !== undefined) hosts.add(host);
  }
  const keys = new Set([...apart].map((number) => drafts.numbers.keyOf(number)));
  for (const key of hosts) {
    const host = drafts.byKey(key);
    if (host?.withoutInline !== undefined) Object.assign(host, host.withoutInline(keys));
  }
}

/** With their ranks beside them, which would be looked up again for each comparison. */
function sortDrafts(drafts: Drafts): [number: number, draft: Draft][] {
  const ranked = [...drafts.numbered()].map((one) => ({ one, rank: rankOf(one[1]) }));
  ranked.sort((a, b) => a.rank - b.rank || compareDrafts(a.one[1], b.one[1]));
  return ranked.map(({ one }) => one);
}
