/**
 * The definitions of very many relations, read in parts: each slice of the catalog by whoever is free, then
 * the order of all entries from what little that needs, then the entries in that order. What the slices give
 * waits in the repository, in chunks that no backup refers to. Read {@linkcode DefinitionsInParts.run} first.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import type { Entry, SourceFacts, TableData } from "../../core/model.ts";
import type { DonePart, Json, Lease, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import { Turns } from "../../core/turns.ts";
import {
  type CatalogSlice,
  type DumpOptions,
  type EntryPlace,
  type NodePack,
  orderSlices,
  readSlice,
  type RowsEntry,
  type RowVersions,
  type SliceLine,
} from "../../dump/mod.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import type { Session } from "../../postgres/session.ts";
import {
  type LinesRef,
  noTotals,
  pickLines,
  type Repository,
  sumOfWritten,
  type WrittenTotals,
} from "../../repository/mod.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import type { LinesStore } from "./lines_in_memory.ts";

/** What the definitions came to, in one part or in many. */
export interface ReadDefinitions {
  parent: string | null;
  source: SourceFacts;
  entries: LinesRef;
  tableData: LinesRef;
  remarks: string[];
  counts: { entries: number; tables: number; sqlBytes: number };
  written: WrittenTotals;
}

/** What was read in the moment, and what has to be the same still. */
export interface Noted<T> {
  value: T;
  rowVersions: RowVersions[];
}

/** What the backup lends to its definitions. */
export interface DefinitionsAccess {
  repository: Repository;
  /**
   * Where what parts give each other waits, for the one process that does all of them, one after the other:
   * side by side they would need as much memory as all at once. Undefined for many workers: in the repository.
   */
  shelf: LinesStore | undefined;
  /** Entries that one part stores. */
  entriesAPart: number;
  /**
   * Works in a session that has joined the moment; afterwards what was read is still so, and the moment was
   * held all the time.
   *
   * @param part `locks` where the server will look at tables: past everybody who waits for them
   */
  read<T>(
    part: { lease: Lease; context: PartContext; locks: boolean },
    work: (session: Session, dump: DumpOptions) => Promise<Noted<T>>,
  ): Promise<T>;
  /** The rows of some entries as parts of the backup, whose numbers begin with this one. */
  cutRows(
    session: Session,
    rows: { entries: readonly RowsEntry[]; tableData: TableData[]; number: number },
    part: { lease: Lease; context: PartContext },
  ): Promise<NewPart[]>;
  /** Becomes the repository's owner, or is refused. */
  claim(source: SourceFacts, signal: AbortSignal): Promise<void>;
  /** The newest backup, whose chunks need not be looked for. */
  parent(signal: AbortSignal): Promise<string | null>;
}

/** Names of the parts, which are what users see of them. */
const SLICE = "reading-some-definitions";
const ORDER = "ordering-definitions";
const AGAIN = "reading-circular-definitions";
const STORE = "storing-definitions";

/** Rungs of the backup's ladder that these parts stand on. */
const STEPS = { [SLICE]: 2, [ORDER]: 3, [AGAIN]: 4, [STORE]: 5 };

/** Rungs of the rows that such slices have: beside what needs less memory than the order, critical ones first. */
export const SLICED_ROWS = { critical: 4, other: 5 };

/** The rung above all of them. */
export const BEHIND_DEFINITIONS = 6;

/**
 * Workers judge by its bytes of rows what a part costs and what fits beside it. In a worker whose code has not run
 * before, definitions cost as much CPU time as so many bytes: reading and keeping those of a relation, putting
 * them into the order, storing an entry.
 */
const WORTH = { reading: 12_000, ordering: 2400, storing: 3000 };

/** What such a part says at its end: it has moved no rows. */
const NO_ROWS = { bytes: 0 };

/** What a slice gave. */
interface SliceResult {
  source: SourceFacts;
  parent: string | null;
  lines: LinesRef;
  nodes: LinesRef | null;
  leftOut: string[];
  remarks: string[];
  written: WrittenTotals;
}

/** What the order gave. */
interface OrderResult {
  /** A line for each part that stores some: its entries' places. */
  places: LinesRef;
  remarks: string[];
  written: WrittenTotals;
}

/** Some entries, as the manifest has them. */
interface StoreResult {
  entries: LinesRef;
  tableData: LinesRef;
  sqlBytes: number;
  written: WrittenTotals;
}

/** The parts that read and order these slices; those of rows come with each slice. */
export function partsOfSlices(slices: readonly CatalogSlice[]): NewPart[] {
  const relations = slices.reduce((sum, slice) => sum + relationsOf(slice), 0);
  return [
    ...slices.map((slice) => newPart(SLICE, { slice }, WORTH.reading * relationsOf(slice))),
    newPart(ORDER, null, WORTH.ordering * relations),
  ];
}

/** Bytes of SQL in an entry. */
export function sqlBytesOf({ statements }: Entry): number {
  const { create, drop, owner, comment, label, acl } = statements;
  return [create, drop, owner, comment, label, acl].flat()
    .reduce((sum, sql) => sum + sql.length, 0);
}

/** Does the parts; any number of them, in any worker. */
export class DefinitionsInParts {
  readonly #access: DefinitionsAccess;
  readonly #shelf: LinesStore;
  readonly #turns = new Turns();

  constructor(access: DefinitionsAccess) {
    this.#access = access;
    this.#shelf = access.shelf ?? access.repository;
  }

  /** Whether a part is one of these. */
  static has(name: string): boolean {
    return name in STEPS;
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    if (this.#access.shelf === undefined) return await this.#do(lease, context);
    const turn = await this.#turns.take();
    try {
      context.signal.throwIfAborted();
      return await this.#do(lease, context);
    } finally {
      turn.end();
    }
  }

  async #do(lease: Lease, context: PartContext): Promise<PartOutcome> {
    refuseWithoutRoom(lease, {
      doing: "read the definitions in parts",
      hint: "Make the backup where no limits end a worker: deno task backup, on any computer. " +
        "Or save chosen schemas, each in a backup of its own.",
    });
    switch (lease.name) {
      case SLICE:
      case AGAIN:
        return await this.#slice(lease, context);
      case ORDER:
        return await this.#order(lease, context);
      case STORE:
        return await this.#store(lease, context);
      default:
        throw unknownPart(lease.name);
    }
  }

  /** All of it put together; null when the definitions were read at once. */
  async found(context: Pick<PartContext, "results">): Promise<ReadDefinitions | null> {
    const [order] = await resultsOf<OrderResult>(context, ORDER);
    if (order === undefined) return null;
    const slices = await resultsOf<SliceResult>(context, SLICE);
    const again = await resultsOf<SliceResult>(context, AGAIN);
    const stored = await resultsOf<StoreResult>(context, STORE);
    const { source, parent } = slices[0]!.result;
    const entries = joined(stored.map(({ result }) => result.entries));
    const tableData = joined(stored.map(({ result }) => result.tableData));
    const all = [...slices, ...again, order, ...stored].map(({ result }) => result.written);
    return {
      ...{ source, parent, entries, tableData },
      remarks: [...order.result.remarks, ...slices.flatMap(({ result }) => result.remarks)],
      counts: {
        entries: entries.lines,
        tables: tableData.lines,
        sqlBytes: stored.reduce((sum, { result }) => sum + result.sqlBytes, 0),
      },
      written: sumOfWritten(all),
    };
  }

  /** Reads a slice; for the second time when the order has taken parts of it out of their hosts. */
  async #slice(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { signal } = context;
    const { slice, separate } = lease.payload as unknown as Again;
    const read = await this.#access.read(
      { lease, context, locks: true },
      async (session, dump) => {
        const value = await readSlice(session, dump, { slice, separate: separate ?? [] });
        const entries = value.lines.flatMap(([entry, data]) => data === null ? [] : [entry]);
        const tableData = value.lines.flatMap(([, data]) => data === null ? [] : [data]);
        const part = { lease, context };
        const copies = separate === undefined
          ? await this.#access.cutRows(session, { entries, tableData, number: lease.part }, part)
          : [];
        return { value: { ...value, copies }, rowVersions: value.rowVersions };
      },
    );
    if (slice.isRest) await this.#access.claim(read.source, signal);
    const parent = slice.isRest ? await this.#access.parent(signal) : null;
    const counted = { signal, written: noTotals() };
    const result: SliceResult = {
      ...{ source: read.source, parent, leftOut: read.leftOut, remarks: read.remarks },
      lines: await this.#shelf.writeLines(read.lines, counted),
      nodes: separate === undefined ? await this.#shelf.writeLines(read.nodes, counted) : null,
      written: counted.written,
    };
    return { result: toJson(result), add: read.copies, ...NO_ROWS };
  }

  /** Puts all entries into their order, and finds out whether every object has one. */
  async #order(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { signal } = context;
    const { entriesAPart } = this.#access;
    const shelf = this.#shelf;
    const slices = await resultsOf<SliceResult>(context, SLICE);
    const nodes = slices.map(({ result }) => ({
      [Symbol.asyncIterator]: () => keptLines(shelf.readLines<NodePack>(result.nodes!, { signal })),
    }));
    const leftOut = slices.flatMap(({ result }) => result.leftOut);
    const order = await this.#access.read(
      { lease, context, locks: false },
      async (session, dump) => {
        const value = await orderSlices(session, dump, { nodes, leftOut });
        return { value, rowVersions: [] };
      },
    );
    const counted = { signal, written: noTotals() };
    const result: OrderResult = {
      places: await shelf.writeLines(sharesOf(order.places, entriesAPart), counted),
      remarks: order.remarks,
      written: counted.written,
    };
    const again = order.separate.flatMap((separate, at) => {
      const { slice } = slices[at]!.payload as unknown as Again;
      const bytes = WORTH.reading * relationsOf(slice);
      return separate.length === 0 ? [] : [newPart(AGAIN, { slice, at, separate }, bytes)];
    });
    const shares = result.places.lines;
    const bytes = WORTH.storing * entriesAPart;
    const store = Array.from({ length: shares }, (_, share) => newPart(STORE, { share }, bytes));
    return { result: toJson(result), add: [...again, ...store], ...NO_ROWS };
  }

  /** Stores some of the entries in their order, as the manifest lists them. */
  async #store(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { signal } = context;
    const { repository } = this.#access;
    const { share } = lease.payload as { share: number };
    const [order] = await resultsOf<OrderResult>(context, ORDER);
    const { places: ref } = order!.result;
    const numbers = new Set([share]);
    const found = await kept(pickLines<EntryPlace[]>(this.#shelf, { ref, numbers, signal }));
    const places = found.get(share)!;
    const lines = await this.#linesOf(places, context);
    const entries: Entry[] = [];
    const tableData: TableData[] = [];
    for (const [slice, line, dependsOn, section] of places) {
      const [entry, data] = lines[slice]!.get(line)!;
      entries.push({ ...entry, dependsOn, section: section ?? entry.section });
      if (data !== null) tableData.push(data);
    }
    await this.#access.parent(signal);
    const counted = { signal, written: noTotals() }; // of these lines only: rows are stored meanwhile
    const result: StoreResult = {
      entries: await repository.writeLines(entries, counted),
      tableData: await repository.writeLines(tableData, counted),
      sqlBytes: entries.reduce((sum, entry) => sum + sqlBytesOf(entry), 0),
      written: counted.written,
    };
    return { result: toJson(result), ...NO_ROWS };
  }

  /** By slice, its lines that these places name. */
  async #linesOf(
    places: readonly EntryPlace[],
    context: PartContext,
  ): Promise<Map<number, SliceLine>[]> {
    const slices = await resultsOf<SliceResult>(context, SLICE);
    for (const { payload, result } of await resultsOf<SliceResult>(context, AGAIN)) {
      slices[(payload as unknown as Again).at!]!.result = result;
    }
    const lines: Map<number, SliceLine>[] = [];
    for (const [at, { result: { lines: ref } }] of slices.entries()) {
      const numbers = new Set(places.flatMap(([slice, line]) => slice === at ? [line] : []));
      lines.push(
        await kept(pickLines<SliceLine>(this.#shelf, { ref, numbers, signal: context.signal })),
      );
    }
    return lines;
  }
}

/** What a slice is read by; `at` and `separate` for one that is read again. */
interface Again {
  slice: CatalogSlice;
  /** Its place among the slices. */
  at?: number;
  separate?: string[];
}

/** Relations that it is for; the rest of the catalog is little beside them. */
function relationsOf({ isRest, relations }: CatalogSlice): number {
  return isRest ? 0 : relations.length;
}

function newPart(name: keyof typeof STEPS, payload: unknown, bytes: number): NewPart {
  return { step: STEPS[name], name, payload: payload as Json, bytes };
}

async function resultsOf<T>(
  { results }: Pick<PartContext, "results">,
  name: string,
): Promise<(Omit<DonePart, "result"> & { result: T })[]> {
  return await Array.fromAsync(results(name)) as unknown as (DonePart & { result: T })[];
}

/** Lists one after the other as one list. */
function joined(refs: readonly LinesRef[]): LinesRef {
  return {
    lines: refs.reduce((sum, { lines }) => sum + lines, 0),
    chunks: refs.flatMap(({ chunks }) => chunks),
  };
}

/** So many at a time. */
function* sharesOf<T>(all: Iterable<T>, most: number): Generator<T[]> {
  let share: T[] = [];
  for (const one of all) {
    share.push(one);
    if (share.length < most) continue;
    yield share;
    share = [];
  }
  if (share.length > 0) yield share;
}

/** Lines that an earlier part has kept. @throws as {@linkcode kept} */
async function* keptLines<T>(lines: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* lines;
  } catch (error) {
    throw lostOr(error);
  }
}

/**
 * What was read of what an earlier part has kept.
 *
 * @throws `chunks_lost` when it is gone: no backup refers to it, and somebody may have given the space back
 */
async function kept<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    throw lostOr(error);
  }
}

function lostOr(error: unknown): unknown {
  if (!(error instanceof BackupError) || error.code !== "object_missing") return error;
  return new BackupError(
    "chunks_lost",
    "Cannot store the definitions: the storage has lost what an earlier part had stored",
    { hint: "Keep others from deleting in the storage while a backup runs.", cause: error },
  );
}
