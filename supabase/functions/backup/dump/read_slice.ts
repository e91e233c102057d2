/**
 * Reads one slice of the catalog: its entries as far as they can be told without the others, and what the
 * order of all entries is made from.
 *
 * @module
 */
import type { Entry, EntryKind, Section, SourceFacts, TableData } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import { beginReading, quotingAll } from "./begin_reading.ts";
import { type CatalogSlice, type Draft, Drafts, type DumpOptions } from "./context.ts";
import { describeTableData } from "./data/table_data.ts";
import { readTypes } from "./data/types.ts";
import { decorate, moveToHosts, statementsOf } from "./decorate.ts";
import { Dependencies } from "./dependencies.ts";
import { extensionDependenciesFamily } from "./families/extension_dependencies.ts";
import { FAMILIES } from "./families/index.ts";
import { relationFamilies } from "./families/relations_index.ts";
import { markManaged } from "./managed.ts";
import { identityOf, removeIdleRights, toEntry } from "./read_database.ts";
import { noteRowVersions, type RowVersions } from "./recheck.ts";
import { sideBySide } from "./side_by_side.ts";
import { compareDrafts, rankOf } from "./sort_priorities.ts";

/** An entry that does not know yet what it depends on, and how its rows are stored if it has some. */
export type SliceLine = [entry: Entry, data: TableData | null];

/** What the order needs to know of a draft. Survives JSON, and is short, because there are very many. */
export type SliceNode = [
  catalog: string,
  oid: number,
  part: string | null,
  kind: EntryKind,
  section: Section,
  schema: string | null,
  name: string,
  address: string,
  inlineIn: string | null,
  dependsOn: string[],
];

/** One slice. */
export interface SliceReading {
  source: SourceFacts;
  /** The slice's entries, in the order before dependencies: those of {@linkcode isEntry}. */
  lines: SliceLine[];
  /** All drafts in the same order, also those that stand in others' definitions. */
  nodes: SliceNode[];
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
    const families = slice.isRest ? FAMILIES : relationFamilies;
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
    const apart = new Set(separate);
    for (const [key, draft] of standAlone.size > 0 ? context.drafts.entries() : []) {
      if (draft.inlineIn !== undefined && standAlone.has(identityOf(draft))) apart.add(key);
    }
    takeApart(context.drafts, apart);
    moveToHosts(context, decorations, apart);
    const sorted = sortDrafts(context.drafts);
    const entries = sorted
      .filter(([key, draft]) => isEntry(context.drafts, key, { draft, apart }))
      .map(([key, draft]) =>
        toEntry({ key, draft, dependsOn: [] }, statementsOf(key, draft, decorations))
      );
    const { copyFormat } = options;
    const described = await describeTableData(session, entries, { copyFormat, types });
    const data = new Map(described.map((each) => [each.entry, each]));
    return {
      source,
      lines: entries.map((entry): SliceLine => [entry, data.get(entry.key) ?? null]),
      nodes: sorted.map(([, draft]) => nodeOf(draft)),
      rowVersions,
      leftOut: [...context.leftOut],
      remarks: context.remarks,
    };
  });
}

/** Whether a draft is an entry of its own: it stands in no other, or was taken out. */
export function isEntry(
  drafts: Drafts,
  key: string,
  { draft, apart }: { draft: Draft; apart: ReadonlySet<string> },
): boolean {
  return draft.inlineIn === undefined || apart.has(key) ||
    drafts.byKey(draft.inlineIn) === undefined;
}

function takeApart(drafts: Drafts, apart: ReadonlySet<string>): void {
  const hosts = new Set<string>();
  for (const key of apart) {
    const host = drafts.byKey(key)?.inlineIn;
    if (host !== undefined) hosts.add(host);
  }
  for (const key of hosts) {
    const host = drafts.byKey(key);
    if (host?.withoutInline !== undefined) Object.assign(host, host.withoutInline(apart));
  }
}

/** With their ranks beside them, which would be looked up again for each comparison. */
function sortDrafts(drafts: Drafts): [key: string, draft: Draft][] {
  const ranked = [...drafts.entries()].map(([key, draft]) => ({ key, draft, rank: rankOf(draft) }));
  ranked.sort((a, b) => a.rank - b.rank || compareDrafts(a.draft, b.draft));
  return ranked.map(({ key, draft }) => [key, draft]);
}

function nodeOf(draft: Draft): SliceNode {
  const { catalog, oid, part, kind, section, schema, name, address, inlineIn, dependsOn } = draft;
  return [
    ...[catalog, oid, part, kind, section] as const,
    ...[schema, name, address, inlineIn ?? null, dependsOn] as const,
  ];
}
