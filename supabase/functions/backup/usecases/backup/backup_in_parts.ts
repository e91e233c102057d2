/**
 * A backup as a job in parts: one moment for all of them, rows copied by whoever is free, definitions read
 * beside them, at once or slice by slice, and a manifest at the end that makes it exist. Read {@linkcode BackupInParts.run} first. It is
 * longer than usual, because a backup is told in one place, from the first lock to the manifest.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import { BackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import type { SourceFacts, TableData } from "../../core/model.ts";
import type { Lease, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import {
  CatalogReading,
  type CatalogSlice,
  cutCatalog,
  type DataLimits,
  describeWaiters,
  type DumpOptions,
  type HeldSnapshot,
  KeeperMissing,
  lockAllJoined,
  planLargeObjects,
  planUnits,
  recheck,
  type RowsEntry,
  type RowVersions,
  type SnapshotHolder,
  type Waiter,
  waiterRemarks,
} from "../../dump/mod.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import type { Session } from "../../postgres/session.ts";
import {
  type BackupTotals,
  type DatabaseManifest,
  type DatabaseRecord,
  type Repository,
  writtenSince,
  type WrittenTotals,
} from "../../repository/mod.ts";
import {
  copyPart,
  copyPayloads,
  type CopyRowsPayload,
  type CopyRowsResult,
  type RowCopier,
  splitPayload,
  storedParts,
} from "./copy_rows.ts";
import { criticalFirst, isCritical } from "./critical_first.ts";
import {
  BEHIND_DEFINITIONS,
  DefinitionsInParts,
  type Noted,
  partsOfSlices,
  type ReadDefinitions,
  SLICED_ROWS,
  sqlBytesOf,
} from "./definitions_in_parts.ts";
import { cancelling, JoinedSessions } from "./joined_sessions.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import { SharedCheck } from "./shared_check.ts";
import { outcomeOf } from "../service/stored_backups.ts";

/** What is saved and how; the same for every worker. Survives JSON. */
export interface BackupPlan {
  backupId: string;
  reason: string | null;
  origin: DatabaseRecord["origin"];
  /** Ref of the Supabase project. */
  projectRef: string | null;
  limits: DataLimits;
  lockTimeoutMs: number;
  /** Whoever waits longer than this behind the backup's locks makes it begin again; null for never. */
  yieldAfterMs: number | null;
  /** After this time nobody holds the backup's moment any more, if it is held in the database. */
  maxKeeperSeconds: number;
  onDamage: "fail" | "skip";
  /**
   * Relations whose definitions one part reads, which has to fit into a worker; null where no limits end
   * one: all are read at once.
   */
  relationsAPart: number | null;
  /** Patterns of tables whose rows are copied before others. */
  criticalTables: readonly string[];
  /** Release that writes. */
  writtenBy: string;
}

/** What a worker does its parts with. */
export interface BackupInPartsOptions {
  plan: BackupPlan;
  /** Which objects are saved; asked once, at the beginning. */
  dump: () => Promise<DumpOptions>;
  /** Opens a connection to the database that is saved. */
  connect: () => Promise<Session>;
  repository: Repository;
  /** Holds the moment; the same for all backups of the process. */
  holder: SnapshotHolder;
  clock: Clock;
  /** Threads that copy rows. @default sessions of this one */
  copier?: RowCopier | undefined;
}

/** What the first part has learnt. */
interface OpenPayload {
  /** Why pg_cron holds no moment for this backup. */
  withoutKeeper?: string;
}

/** What the first part gives to all others. */
interface Opened {
  held: HeldSnapshot;
  dump: DumpOptions;
  createdAt: string;
}

/** What is known of the rows before the definitions are read. */
interface Listed {
  /** Estimate of all rows. */
  bytes: number;
}

/** A reading of the catalog that has begun, in a session of its own. */
interface Reading {
  heldId: string;
  catalog: CatalogReading;
}

/** Rows to copy in one part. */
interface CopyWork {
  payload: CopyRowsPayload;
  bytes: number;
}

/** What the copying of some rows came to. */
interface Copied {
  result: CopyRowsResult;
  bytes: number;
}

/** The parts that a backup begins with. */
export const FIRST_OF_BACKUP: readonly NewPart[] = [
  { step: 0, name: "locking-tables", payload: null, bytes: 0 },
];

/** Names of the parts, which are what users see of them. */
const OPEN = FIRST_OF_BACKUP[0]!.name;
const LIST = "listing-tables";
const READ = "reading-definitions";
const COPY = "copying-rows";
const FINISH = "writing-the-manifest";

/** A table has about seven: itself, a sequence and its value, rows, a key, indexes. */
const ENTRIES_A_RELATION = 4;

/** The definition of one backup; an instance may do any number of its parts. */
export function backupInParts(options: BackupInPartsOptions): JobDefinition {
  const backup = new BackupInParts(options);
  return {
    first: () => [...FIRST_OF_BACKUP],
    run: (lease, context) => backup.run(lease, context),
    end: (_how, context) => backup.end(context),
    leave: () => backup.leave(),
  };
}

class BackupInParts {
  readonly #options: BackupInPartsOptions;
  readonly #sessions: JoinedSessions;
  readonly #definitions: DefinitionsInParts;
  /** Begun by the list of tables, for the definitions. */
  #reading: Reading | undefined;
  #check: { heldId: string; shared: SharedCheck<Waiter[]> } | undefined;
  #parent: Promise<string | null> | undefined;
  /** What the first parts of a round gave; no later worker can change it. */
  readonly #known = new Map<string, Promise<unknown>>();

  constructor(options: BackupInPartsOptions) {
    this.#options = options;
    this.#sessions = new JoinedSessions(options.connect);
    this.#definitions = new DefinitionsInParts({
      repository: options.repository,
      entriesAPart: ENTRIES_A_RELATION * (options.plan.relationsAPart ?? 0),
      read: ({ lease, ...how }, work) => this.#readSome(lease, { ...how, work }),
      cutRows: (session, rows, part) => this.#sliceRows(session, rows, part),
      claim: (source, signal) => this.#claimOwner(source, signal),
      parent: (signal) => this.#rememberParent(signal),
    });
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    switch (lease.name) {
      case OPEN:
        return await this.#open(lease, context);
      case LIST:
        return await this.#list(lease, context);
      case READ:
        return await this.#read(lease, context);
      case COPY:
        return await this.#copy(lease, context);
      case FINISH:
        return await this.#finish(lease, context);
      default:
        if (!DefinitionsInParts.has(lease.name)) throw unknownPart(lease.name);
        return await this.#definitions.run(lease, context);
    }
  }

  /** The moment was needed to here. */
  async end(context: Pick<PartContext, "results">): Promise<void> {
    await this.leave();
    for await (const { result } of context.results(OPEN)) {
      await this.#options.holder.close((result as unknown as Opened).held);
    }
  }

  async leave(): Promise<void> {
    await this.#endReading();
    // A check that nobody waits for any more leaves a connection behind.
    await this.#check?.shared.settled();
    await this.#sessions.close();
  }

  /** Locks the tables and takes the moment that everything is read at. */
  async #open({ jobId, payload }: Lease, { signal }: PartContext): Promise<PartOutcome> {
    const { holder, clock, plan } = this.#options;
    const { lockTimeoutMs, yieldAfterMs, maxKeeperSeconds } = plan;
    const { withoutKeeper } = (payload ?? {}) as OpenPayload;
    const createdAt = clock.now().toISOString();
    const dump = await this.#options.dump();
    const opening = holder.open({
      ...{ jobId, dump, lockTimeoutMs, yieldAfterMs, maxKeeperSeconds, withoutKeeper, signal },
    });
    try {
      const held = await unlessAborted(opening, signal, (late) => holder.close(late));
      const opened: Opened = { held, dump, createdAt };
      return { result: toJson(opened), add: [{ step: 1, name: LIST, payload: null, bytes: 0 }] };
    } catch (error) {
      if (!(error instanceof KeeperMissing)) throw error;
      // A worker with time left holds it; whoever begins again does so without this wait.
      const learnt: OpenPayload = { withoutKeeper: error.why };
      return { result: null, again: { afterMs: 0, payload: toJson(learnt), forGood: true } };
    }
  }

  /** Finds the tables and cuts their rows into parts: they can be copied before all else is read. */
  async #list(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { copier } = this.#options;
    const { signal } = context;
    const { held, dump } = await this.#opened(lease, context);
    refuseManyTables(lease, held);
    const last: NewPart = { step: BEHIND_DEFINITIONS, name: FINISH, payload: null, bytes: 0 };
    const slices = await this.#cutCatalog(held, { dump, signal });
    if (slices.length > 0) {
      const listed: Listed = { bytes: 0 };
      return { result: toJson(listed), add: [...partsOfSlices(slices), last] };
    }
    const work = await this.#withCatalog(held, { dump, signal, keep: true }, async (catalog) => {
      const entries = await catalog.rows();
      const tableData = await catalog.describe(entries);
      // Whether the moment is still held is asked after this: by whoever copies, and by whoever reads on.
      return await this.#cutRows(catalog.session, { entries, tableData }, held);
    });
    // Threads copy while this one reads on. Without them the two would only share one core and its memory.
    const copyStep = copier === undefined ? 3 : 2;
    const listed: Listed = { bytes: work.reduce((sum, { bytes }) => sum + bytes, 0) };
    return {
      result: toJson(listed),
      add: [
        { step: 2, name: READ, payload: null, bytes: 0 },
        ...work.map((each) => copyPartOf(each, copyStep)),
        last,
      ],
    };
  }

  /** How the definitions are cut; no slices when one part may read all of them. */
  async #cutCatalog(
    held: HeldSnapshot,
    { dump, signal }: { dump: DumpOptions; signal: AbortSignal },
  ): Promise<CatalogSlice[]> {
    const { relationsAPart } = this.#options.plan;
    if (relationsAPart === null) return [];
    const cut = (session: Session) => cutCatalog(session, dump, relationsAPart);
    return await this.#sessions.with(held, cut, { signal });
  }

  /** Work that copies the rows of these entries. */
  async #cutRows(
    session: Session,
    { entries, tableData }: { entries: readonly RowsEntry[]; tableData: TableData[] },
    held: HeldSnapshot,
  ): Promise<CopyWork[]> {
    const { limits, onDamage, criticalTables } = this.#options.plan;
    requireReadable(entries, held);
    const hasObjects = entries.some(({ kind }) => kind === "large-object-data");
    const largeObjects = hasObjects ? await planLargeObjects(session, limits) : [];
    const model = { entries: [...entries], tableData };
    const units = planUnits(model, limits);
    const payloads = copyPayloads(model, units, { limits, onDamage, largeObjects });
    return criticalFirst(payloads, criticalTables);
  }

  /** The same as parts of a backup whose definitions are read slice by slice. */
  async #sliceRows(
    session: Session,
    { number, ...rows }: { entries: readonly RowsEntry[]; tableData: TableData[]; number: number },
    { lease, context }: { lease: Lease; context: PartContext },
  ): Promise<NewPart[]> {
    const { criticalTables } = this.#options.plan;
    const { held } = await this.#opened(lease, context);
    const work = await this.#cutRows(session, rows, held);
    return work.map(({ payload, bytes }) => {
      const own = { ...payload, order: [number, ...payload.order] };
      const step = isCritical(own, criticalTables) ? SLICED_ROWS.critical : SLICED_ROWS.other;
      return copyPartOf({ payload: own, bytes }, step);
    });
  }

  /** Reads and stores all definitions at once. */
  async #read(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { repository } = this.#options;
    const { signal } = context;
    const { held, dump } = await this.#opened(lease, context);
    refuseManyTables(lease, held);
    const model = await this.#withCatalog(held, { dump, signal, keep: false }, async (catalog) => {
      const model = await catalog.database();
      await this.#recheck(model.rowVersions);
      model.tableData = await catalog.describe(model.entries);
      const [read, listed] = [model.tableData, await catalog.rows()];
      requireListed(read, listed);
      await this.#options.holder.check(catalog.session, held);
      return model;
    });
    signal.throwIfAborted();
    await this.#claimOwner(model.source, signal);
    const before = repository.written;
    const parent = await this.#rememberParent(signal);
    const entries = await repository.writeLines(model.entries, { signal });
    const tableData = await repository.writeLines(model.tableData, { signal });
    const read: ReadDefinitions = {
      ...{ parent, source: model.source, entries, tableData, remarks: model.remarks },
      counts: {
        entries: model.entries.length,
        tables: model.tableData.length,
        sqlBytes: model.entries.reduce((sum, entry) => sum + sqlBytesOf(entry), 0),
      },
      written: writtenSince(before, repository.written),
    };
    return { result: toJson(read) };
  }

  /** Copies some rows; they count only if the moment was held until they were read. */
  async #copy(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const payload = lease.payload as unknown as CopyRowsPayload;
    const smaller = wasTooLarge(lease) ? splitPayload(payload) : null;
    if (smaller !== null) {
      const bytes = Math.round(lease.bytes / smaller.length);
      const { step, name } = lease;
      const split = smaller.map((each) => ({ step, name, payload: toJson(each), bytes }));
      return { result: null, split };
    }
    refuseLargeRows(lease, payload);
    const { held } = await this.#opened(lease, context);
    await this.#rememberParent(context.signal);
    let bytesDone = 0;
    const onBytes = (bytes: number) => context.onProgress({ bytesDone: bytesDone += bytes });
    const copied = await this.#copyRows(payload, { lease, held, onBytes, context });
    return { result: toJson(copied.result), bytes: copied.bytes };
  }

  async #copyRows(
    payload: CopyRowsPayload,
    { lease, held, onBytes, context }: {
      lease: Lease;
      held: HeldSnapshot;
      onBytes: (bytes: number) => void;
      context: PartContext;
    },
  ): Promise<Copied> {
    const { repository, copier } = this.#options;
    const { signal } = context;
    const { bytes } = await this.#knownResult<Listed>(lease, context, LIST);
    const { result: copied, checked } = await this.#checkOf(held).after(async () => {
      if (copier !== undefined && bytes >= copier.leastBytes) {
        return await copier.copy(payload, { snapshotId: held.id, onBytes, signal });
      }
      return await this.#sessions.with(
        held,
        (session) => copyPart(payload, { session, repository, onBytes, signal }),
        { signal },
      );
    });
    const waiters = await unlessAborted(checked, signal);
    const waiting = describeWaiters(waiters);
    if (waiting !== null) context.onProgress({ phase: `${COPY}; ${waiting}` });
    const remarks = [...copied.result.remarks, ...waiterRemarks(waiters)];
    return { ...copied, result: { ...copied.result, remarks } };
  }

  /** Puts together what all parts gave. Nothing is read any more, so the moment need not be held. */
  async #finish(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { repository, clock, plan } = this.#options;
    const before = await this.#committedBefore();
    if (before !== null) return finished(before, repository);
    const { held, createdAt } = await this.#opened(lease, context);
    const read = await this.#definitions.found(context) ??
      await this.#knownResult<ReadDefinitions>(lease, context, READ);
    const results: CopyRowsResult[] = [];
    for await (const { result } of context.results(COPY)) {
      results.push(result as unknown as CopyRowsResult);
    }
    const parts = storedParts(results);
    const writtenBefore = repository.written;
    const dataParts = await repository.writeLines(parts, { signal: context.signal });
    const remarks = new Set([...read.remarks, ...results.flatMap((result) => result.remarks)]);
    if (held.remark !== undefined) remarks.add(held.remark);
    const manifest: DatabaseManifest = {
      format: 1,
      backupId: plan.backupId,
      type: "database",
      createdAt,
      parent: read.parent,
      source: read.source,
      consistency: {
        level: "one-moment",
        strategy: held.strategy,
        snapshotAt: held.takenAt,
        lsn: held.lsn,
        remarks: [...remarks].sort(),
      },
      entries: read.entries,
      tableData: read.tableData,
      dataParts,
      totals: totalsOf(read, results, writtenSince(writtenBefore, repository.written)),
    };
    context.signal.throwIfAborted();
    const record = await repository.commitBackup(manifest, {
      reason: plan.reason,
      origin: plan.origin,
      completedAt: clock.now().toISOString(),
      writtenBy: plan.writtenBy,
    });
    return finished(record, repository);
  }

  /**
   * The backup, when a worker before this one has committed it and could not report it. The number of
   * tries does not tell: a server that crashed may have forgotten one.
   */
  async #committedBefore(): Promise<DatabaseRecord | null> {
    const { repository, plan } = this.#options;
    try {
      return (await repository.readBackup(plan.backupId)).record;
    } catch (error) {
      if (error instanceof BackupError && error.code === "backup_not_found") return null;
      throw error;
    }
  }

  /** Reads some of the definitions, in any session of the moment. */
  async #readSome<T>(
    lease: Lease,
    { context, locks, work }: {
      context: PartContext;
      locks: boolean;
      work: (session: Session, dump: DumpOptions) => Promise<Noted<T>>;
    },
  ): Promise<T> {
    const { held, dump } = await this.#opened(lease, context);
    return await this.#sessions.with(held, async (session) => {
      if (locks) await lockAllJoined(session, held);
      const { value, rowVersions } = await work(session, dump);
      if (rowVersions.length > 0) await this.#recheck(rowVersions);
      await this.#options.holder.check(session, held);
      return value;
    }, { signal: context.signal });
  }

  /** Compares what was read with the present, in a session outside of the moment. */
  async #recheck(noted: readonly RowVersions[]): Promise<void> {
    const observer = await this.#sessions.connect();
    try {
      await recheck(observer, noted);
    } finally {
      await observer.close();
    }
  }

  async #claimOwner(
    { systemIdentifier, database }: SourceFacts,
    signal: AbortSignal,
  ): Promise<void> {
    const { repository, plan: { projectRef } } = this.#options;
    await repository.claimOwner({ projectRef, systemIdentifier, database }, { signal });
  }

  /** Chunks of the newest backup are not looked for in storage again. */
  async #rememberParent(signal: AbortSignal): Promise<string | null> {
    if (this.#parent === undefined) {
      this.#parent = this.#options.repository.rememberBackup("latest");
      this.#parent.catch(() => this.#parent = undefined);
    }
    // Other parts wait for the same answer: it is not this one's to cancel.
    return await unlessAborted(this.#parent, signal);
  }

  #opened(lease: Lease, context: PartContext): Promise<Opened> {
    return this.#knownResult(lease, context, OPEN);
  }

  #knownResult<T>({ round }: Lease, { results }: PartContext, name: string): Promise<T> {
    const key = `${round} ${name}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = Array.fromAsync(results(name)).then(([part]) => part!.result);
      known.catch(() => this.#known.delete(key));
      this.#known.set(key, known);
    }
    return known as Promise<T>;
  }

  /**
   * Reads the catalog in a session of its own, which goes on with what another part has begun. What is kept
   * waits for the next part that asks.
   */
  async #withCatalog<T>(
    held: HeldSnapshot,
    { dump, signal, keep }: { dump: DumpOptions; signal: AbortSignal; keep: boolean },
    read: (catalog: CatalogReading) => Promise<T>,
  ): Promise<T> {
    const begun = this.#reading?.heldId === held.id ? this.#reading.catalog : undefined;
    if (begun === undefined) await this.#endReading();
    this.#reading = undefined;
    const session = begun?.session ?? await this.#sessions.take(held, { signal });
    let isKept = false;
    try {
      return await cancelling(session, signal, async () => {
        if (begun === undefined) await lockAllJoined(session, held);
        const catalog = begun ?? await CatalogReading.begin(session, dump);
        const result = await read(catalog);
        isKept = keep && !signal.aborted;
        if (isKept) this.#reading = { heldId: held.id, catalog };
        return result;
      });
    } finally {
      if (!isKept) await session.close();
    }
  }

  async #endReading(): Promise<void> {
    const reading = this.#reading;
    this.#reading = undefined;
    await reading?.catalog.session.close();
  }

  /** Whether the moment is still held; whoever waits for the same answer shares it. */
  #checkOf(held: HeldSnapshot): SharedCheck<Waiter[]> {
    if (this.#check?.heldId !== held.id) {
      const { signal } = new AbortController(); // a part that is aborted does not end the check of others
      const check = (session: Session) => this.#options.holder.check(session, held);
      const shared = new SharedCheck(() => this.#sessions.with(held, check, { signal }));
      this.#check = { heldId: held.id, shared };
    }
    return this.#check.shared;
  }
}

/** Gives up waiting when the signal is aborted; what comes after that is undone. */
async function unlessAborted<T>(
  coming: Promise<T>,
  signal: AbortSignal,
  undo: (late: T) => Promise<void> = () => Promise.resolve(),
): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([coming, aborted.promise]);
  } catch (error) {
    // Nobody is left to hear of a failure of either.
    if (signal.aborted) coming.then(undo).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Whether the tries before say that no worker has room for so much. */
function wasTooLarge({ attempt, previous }: Lease): boolean {
  return previous === "over_budget" || (previous === "interrupted" && attempt > 2);
}

/** @throws `over_budget` when worker after worker was ended at the definitions, which nothing can cut */
function refuseManyTables(lease: Lease, { locked }: HeldSnapshot): void {
  refuseWithoutRoom(lease, {
    doing: `read the definitions of ${locked.length} tables`,
    hint: "Make the backup where no limits end a worker: deno task backup, on any computer. " +
      "Or save chosen schemas, each in a backup of its own.",
    details: { tables: locked.length },
  });
}

/** @throws `over_budget` when worker after worker was ended at rows that nothing can cut any further */
function refuseLargeRows(lease: Lease, { tables }: CopyRowsPayload): void {
  const names = Object.values(tables).map(({ table }) => table?.sqlName ?? "large objects");
  refuseWithoutRoom(lease, {
    doing: `copy rows of ${names.join(", ")} that cannot be cut any further`,
    hint: "Make the backup where no limits end a worker: deno task backup, on any computer. " +
      "Or leave out the rows of the table.",
    details: { tables: names },
  });
}

/** @throws `insufficient_privilege` naming tables whose rows this role may not read */
function requireReadable(entries: readonly RowsEntry[], { locked }: HeldSnapshot): void {
  const held = new Set(locked);
  const tables = entries.flatMap(({ table }) =>
    table === undefined || held.has(table.oid) ? [] : [table.sqlName]
  );
  if (tables.length === 0) return;
  const names = tables.slice(0, 10).join(", ") + (tables.length > 10 ? ", …" : "");
  throw new BackupError(
    "insufficient_privilege",
    `Cannot save the rows of ${tables.length} tables: the role has no right to read ${names}`,
    {
      hint: "Grant SELECT on them (or pg_read_all_data), or leave out their data.",
      details: { tables },
    },
  );
}

/** @throws `internal` when other rows are in the model than those that are being copied */
function requireListed(tableData: readonly TableData[], listed: readonly RowsEntry[]): void {
  const keys = new Set(listed.map(({ key }) => key));
  const other = tableData.find(({ entry }) => !keys.delete(entry))?.entry ?? [...keys][0];
  if (other === undefined) return;
  throw new BackupError("internal", `Cannot save the rows: ${other} was not expected`);
}

function copyPartOf({ payload, bytes }: CopyWork, step: number): NewPart {
  return { step, name: COPY, payload: toJson(payload), bytes };
}

function finished(record: DatabaseRecord, { location }: Repository): PartOutcome {
  return { result: null, finish: outcomeOf(record, location) };
}

function totalsOf(
  { counts, written }: ReadDefinitions,
  results: readonly CopyRowsResult[],
  last: WrittenTotals,
): BackupTotals {
  const parts = results.flatMap((result) => result.parts);
  const all = [written, ...results.map((result) => result.written), last];
  const sumOf = (pick: (totals: WrittenTotals) => number) =>
    all.reduce((sum, totals) => sum + pick(totals), 0);
  return {
    entries: counts.entries,
    tables: counts.tables,
    rows: parts.reduce((sum, part) => sum + part.rows, 0),
    rawBytes: counts.sqlBytes + parts.reduce((sum, part) => sum + part.rawBytes, 0),
    newStoredBytes: sumOf((totals) => totals.newStoredBytes),
    chunks: sumOf((totals) => totals.chunks),
    newChunks: sumOf((totals) => totals.newChunks),
  };
}
