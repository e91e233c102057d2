/**
 * A backup as a job in parts: one moment for all of them, definitions read once, rows copied by whoever is
 * free, and a manifest at the end that makes it exist. Read {@linkcode BackupInParts.run} first. It is
 * longer than usual, because a backup is told in one place, from the first lock to the manifest.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import { BackupError } from "../core/errors.ts";
import { toJson } from "../core/json.ts";
import type { SourceFacts } from "../core/model.ts";
import type { Lease, NewPart, PartOutcome } from "../core/part.ts";
import { unknownPart } from "../core/part_errors.ts";
import {
  type DatabaseReading,
  type DataLimits,
  describeTableData,
  describeWaiters,
  type DumpOptions,
  type HeldSnapshot,
  joinSnapshot,
  type LargeObjectGroup,
  lockAllJoined,
  numberParts,
  planLargeObjects,
  planUnits,
  readDatabase,
  recheck,
  type SnapshotHolder,
  waiterRemarks,
} from "../dump/mod.ts";
import type { JobDefinition, PartContext } from "../jobs/job_definition.ts";
import { pinSettings, refuseViewsOfUsers } from "../postgres/pinned_settings.ts";
import type { Session } from "../postgres/session.ts";
import {
  type BackupTotals,
  type DatabaseManifest,
  type DatabaseRecord,
  type LinesRef,
  type Repository,
  writtenSince,
  type WrittenTotals,
} from "../repository/mod.ts";
import {
  copyPart,
  copyPayloads,
  type CopyRowsPayload,
  type CopyRowsResult,
  type RowCopier,
  splitPayload,
} from "./copy_rows.ts";
import { refuseWithoutRoom } from "./refuse_without_room.ts";
import { outcomeOf } from "./stored_backups.ts";

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

/** What the first part gives to all others. */
interface Opened {
  held: HeldSnapshot;
  dump: DumpOptions;
  createdAt: string;
}

/** What the definitions came to. */
interface Read {
  parent: string | null;
  source: SourceFacts;
  entries: LinesRef;
  tableData: LinesRef;
  remarks: string[];
  counts: { entries: number; tables: number; sqlBytes: number };
  /** Estimate of all rows. */
  bytes: number;
  written: WrittenTotals;
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
const READ = "reading-definitions";
const COPY = "copying-rows";
const FINISH = "writing-the-manifest";

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
  /** Sessions that have joined a moment and are free. */
  readonly #joined: { session: Session; held: string }[] = [];
  #parent: Promise<string | null> | undefined;
  /** What the first parts of a round gave; no later worker can change it. */
  readonly #known = new Map<string, Promise<unknown>>();

  constructor(options: BackupInPartsOptions) {
    this.#options = options;
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    switch (lease.name) {
      case OPEN:
        return await this.#open(lease, context);
      case READ:
        return await this.#read(lease, context);
      case COPY:
        return await this.#copy(lease, context);
      case FINISH:
        return await this.#finish(lease, context);
      default:
        throw unknownPart(lease.name);
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
    await Promise.all(this.#joined.splice(0).map(({ session }) => session.close()));
  }

  /** Locks the tables and takes the moment that everything is read at. */
  async #open({ jobId }: Lease, { signal }: PartContext): Promise<PartOutcome> {
    const { holder, clock, plan } = this.#options;
    const { lockTimeoutMs, yieldAfterMs, maxKeeperSeconds } = plan;
    const createdAt = clock.now().toISOString();
    const dump = await this.#options.dump();
    const opening = holder.open({
      ...{ jobId, dump, lockTimeoutMs, yieldAfterMs, maxKeeperSeconds, signal },
    });
    const held = await unlessAborted(opening, signal, (late) => holder.close(late));
    const opened: Opened = { held, dump, createdAt };
    return { result: toJson(opened), add: [{ step: 1, name: READ, payload: null, bytes: 0 }] };
  }

  /** Reads and stores the definitions, and cuts the rows into parts. */
  async #read(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { repository, plan } = this.#options;
    const { limits, onDamage } = plan;
    const { held, dump } = await this.#opened(lease, context);
    refuseWithoutRoom(lease, {
      doing: `read the definitions of ${held.locked.length} tables`,
      hint: "Make the backup where no limits end a worker: deno task backup, on any computer. " +
        "Or save chosen schemas, each in a backup of its own.",
      details: { tables: held.locked.length },
    });
    let largeObjects: LargeObjectGroup[] = [];
    const model = await this.#withJoined(held, async (session) => {
      await lockAllJoined(session, held);
      const model = await readDatabase(session, dump);
      await this.#recheck(model);
      model.tableData = await describeTableData(session, model.entries, dump);
      if (model.entries.some(({ kind }) => kind === "large-object-data")) {
        largeObjects = await planLargeObjects(session, limits);
      }
      requireReadable(model, held);
      await this.#options.holder.check(session, held);
      return model;
    }, { keep: false, signal: context.signal });

    const { signal } = context;
    signal.throwIfAborted();
    await repository.claimOwner({
      projectRef: plan.projectRef,
      systemIdentifier: model.source.systemIdentifier,
      database: model.source.database,
    }, { signal });
    const before = repository.written;
    const parent = await this.#rememberParent(signal);
    const entries = await repository.writeLines(model.entries, { signal });
    const tableData = await repository.writeLines(model.tableData, { signal });
    const units = planUnits(model, limits);
    const read: Read = {
      ...{ parent, source: model.source, entries, tableData, remarks: model.remarks },
      counts: {
        entries: model.entries.length,
        tables: model.tableData.length,
        sqlBytes: sqlBytesOf(model),
      },
      bytes: [...units, ...largeObjects].reduce((sum, { bytes }) => sum + bytes, 0),
      written: writtenSince(before, repository.written),
    };
    const copies = copyPayloads(model, units, { limits, onDamage, largeObjects }).map(
      ({ payload, bytes }): NewPart => ({ step: 2, name: COPY, payload: toJson(payload), bytes }),
    );
    return {
      result: toJson(read),
      add: [...copies, { step: 3, name: FINISH, payload: null, bytes: 0 }],
    };
  }

  /** Copies some rows; they count only if the moment was held until they were read. */
  async #copy(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const payload = lease.payload as unknown as CopyRowsPayload;
    const smaller = wasTooLarge(lease) ? splitPayload(payload) : null;
    if (smaller !== null) {
      const bytes = Math.round(lease.bytes / smaller.length);
      const split = smaller.map((each) => ({ step: 2, name: COPY, payload: toJson(each), bytes }));
      return { result: null, split };
    }
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
    const { repository, holder, copier } = this.#options;
    const { signal } = context;
    const { bytes } = await this.#readResult(lease, context);
    const checked = async (session: Session, copied: Copied): Promise<Copied> => {
      const waiters = await holder.check(session, held);
      const waiting = describeWaiters(waiters);
      if (waiting !== null) context.onProgress({ phase: `${COPY}; ${waiting}` });
      const remarks = [...copied.result.remarks, ...waiterRemarks(waiters)];
      return { ...copied, result: { ...copied.result, remarks } };
    };
    if (copier !== undefined && bytes >= copier.leastBytes) {
      const copied = await copier.copy(payload, { snapshotId: held.id, onBytes, signal });
      return await this.#withJoined(held, (session) => checked(session, copied), { signal });
    }
    return await this.#withJoined(held, async (session) => {
      return await checked(
        session,
        await copyPart(payload, { session, repository, onBytes, signal }),
      );
    }, { signal });
  }

  /** Puts together what all parts gave. Nothing is read any more, so the moment need not be held. */
  async #finish(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { repository, clock, plan } = this.#options;
    const before = await this.#committedBefore();
    if (before !== null) return finished(before, repository);
    const { held, createdAt } = await this.#opened(lease, context);
    const read = await this.#readResult(lease, context);
    const results: CopyRowsResult[] = [];
    for await (const { result } of context.results(COPY)) {
      results.push(result as unknown as CopyRowsResult);
    }
    const parts = numberParts(results.flatMap((result) => result.parts));
    const writtenBefore = repository.written;
    const dataParts = await repository.writeLines(parts, { signal: context.signal });
    const remarks = new Set([...read.remarks, ...results.flatMap((result) => result.remarks)]);
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

  /** Compares what was read with the present, in a session outside of the moment. */
  async #recheck(model: DatabaseReading): Promise<void> {
    const observer = await this.#connect();
    try {
      await recheck(observer, model.rowVersions);
    } finally {
      await observer.close();
    }
  }

  /** Chunks of the newest backup are not looked for in storage again. */
  async #rememberParent(signal: AbortSignal): Promise<string | null> {
    if (this.#parent === undefined) {
      this.#parent = this.#options.repository.rememberBackup("latest");
      this.#parent.catch(() => this.#parent = undefined);
    }
    // Other parts wait for the same answer: it is not this one's to cancel.
    return await unlessAborted(this.#parent, signal, () => Promise.resolve());
  }

  #opened(lease: Lease, context: PartContext): Promise<Opened> {
    return this.#knownResult(lease, context, OPEN) as Promise<Opened>;
  }

  #readResult(lease: Lease, context: PartContext): Promise<Read> {
    return this.#knownResult(lease, context, READ) as Promise<Read>;
  }

  #knownResult({ round }: Lease, { results }: PartContext, name: string): Promise<unknown> {
    const key = `${round} ${name}`;
    let known = this.#known.get(key);
    if (known === undefined) {
      known = Array.fromAsync(results(name)).then(([part]) => part!.result);
      known.catch(() => this.#known.delete(key));
      this.#known.set(key, known);
    }
    return known;
  }

  /** Works in a session that has joined the moment; it is kept for the next part if all went well. */
  async #withJoined<T>(
    held: HeldSnapshot,
    work: (session: Session) => Promise<T>,
    { signal, keep = true }: { signal: AbortSignal; keep?: boolean },
  ): Promise<T> {
    signal.throwIfAborted();
    const index = this.#joined.findIndex((each) => each.held === held.id);
    const session = index < 0 ? await this.#connect() : this.#joined.splice(index, 1)[0]!.session;
    let free = false;
    // The server may have nothing to say for long: it is told.
    const cancel = () => void session.cancel().catch(() => {});
    signal.addEventListener("abort", cancel, { once: true });
    try {
      if (index < 0) await joinSnapshot(session, held.id);
      const result = await work(session);
      free = keep && !signal.aborted;
      return result;
    } finally {
      signal.removeEventListener("abort", cancel);
      if (free) this.#joined.push({ session, held: held.id });
      else await session.close();
    }
  }

  async #connect(): Promise<Session> {
    const session = await this.#options.connect();
    try {
      await pinSettings(session);
      await refuseViewsOfUsers(session);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }
}

/** Gives up waiting when the signal is aborted; what comes after that is undone. */
async function unlessAborted<T>(
  coming: Promise<T>,
  signal: AbortSignal,
  undo: (late: T) => Promise<void>,
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

/** @throws `insufficient_privilege` naming tables whose rows this role may not read */
function requireReadable(model: DatabaseReading, { locked }: HeldSnapshot): void {
  const held = new Set(locked);
  const tables = model.entries.filter((entry) =>
    entry.kind === "table-data" && entry.table !== undefined && !held.has(entry.table.oid)
  ).map((entry) => entry.table!.sqlName);
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

function finished(record: DatabaseRecord, { location }: Repository): PartOutcome {
  return { result: null, finish: outcomeOf(record, location) };
}

function sqlBytesOf(model: DatabaseReading): number {
  const statements = model.entries.flatMap((entry) => Object.values(entry.statements).flat());
  return statements.reduce((sum: number, sql: string) => sum + sql.length, 0);
}

function totalsOf(
  { counts, written }: Read,
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
