/**
 * A backup as a job in parts: one moment for all of them, rows copied by whoever is free, definitions read
 * beside them, at once or slice by slice, and a manifest at the end that makes it exist. Read
 * {@linkcode BackupInParts.run} first. One long file, because all of its parts share the moment that is held.
 *
 * @module
 */
import type { Clock } from "../../core/clock.ts";
import { BackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import type { SourceFacts } from "../../core/model.ts";
import type { Lease, NewPart, PartOutcome } from "../../core/part.ts";
import { unknownPart } from "../../core/part_errors.ts";
import { unlessAborted } from "../../core/unless_aborted.ts";
import {
  type CatalogSlice,
  cutCatalog,
  type DataLimits,
  type DumpOptions,
  estimateStoredBytes,
  type HeldSnapshot,
  KeeperMissing,
  lockAllJoined,
  recheck,
  type RowVersions,
  type SnapshotHolder,
} from "../../dump/mod.ts";
import type { JobDefinition, PartContext } from "../../jobs/job_definition.ts";
import type { RestoreTrace } from "../../postgres/restore_traces.ts";
import type { Session } from "../../postgres/session.ts";
import {
  type DatabaseManifest,
  type DatabaseRecord,
  type Repository,
  writtenSince,
} from "../../repository/mod.ts";
import { outcomeOf } from "../service/stored_backups.ts";
import { type CopyRowsResult, type RowCopier, storedParts } from "./copy_rows.ts";
import { DefinitionsAtOnce, refuseManyTables } from "./definitions_at_once.ts";
import {
  BEHIND_DEFINITIONS,
  DefinitionsInParts,
  type Noted,
  partsOfSlices,
  type ReadDefinitions,
  SLICED_ROWS,
} from "./definitions_in_parts.ts";
import { findUnfinished, halfRestored } from "./half_restored.ts";
import { JoinedSessions } from "./joined_sessions.ts";
import type { LinesStore } from "./lines_in_memory.ts";
import { KnownResults } from "./known_results.ts";
import { COPY, copyPartOf, RowsInParts } from "./rows_in_parts.ts";
import { totalsOf } from "./totals_of.ts";

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
  /** Up to so many are read at once all the same. @default relationsAPart */
  relationsAtOnce?: number;
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
  /** See `DefinitionsAccess`; for a process that does all parts. */
  shelf?: LinesStore | undefined;
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
  /** A restore that is not complete in what is saved. */
  unfinished: RestoreTrace | null;
}

/** The parts that a backup begins with. */
export const FIRST_OF_BACKUP: readonly NewPart[] = [
  { step: 0, name: "locking-tables", payload: null, bytes: 0 },
];

/** Names of the parts, which are what users see of them. */
const OPEN = FIRST_OF_BACKUP[0]!.name;
const LIST = "listing-tables";
const READ = "reading-definitions";
const FINISH = "writing-the-manifest";

/** A table has about seven: itself, a sequence and its value, rows, a key, indexes. */
const ENTRIES_A_RELATION = 4;

/** The definition of one backup; an instance may do any number of its parts. */
export function backupInParts(options: BackupInPartsOptions): JobDefinition {
  const backup = new BackupInParts(options);
  return {
    first: () => [...FIRST_OF_BACKUP],
    beginsAnew: true,
    run: (lease, context) => backup.run(lease, context),
    end: (_how, context) => backup.end(context),
    leave: () => backup.leave(),
  };
}

class BackupInParts {
  readonly #options: BackupInPartsOptions;
  readonly #sessions: JoinedSessions;
  readonly #rows: RowsInParts;
  readonly #atOnce: DefinitionsAtOnce;
  readonly #inParts: DefinitionsInParts;
  readonly #known = new KnownResults();
  #parent: Promise<string | null> | undefined;

  constructor(options: BackupInPartsOptions) {
    this.#options = options;
    const { repository, holder, copier, shelf } = options;
    const { limits, onDamage, criticalTables, relationsAPart } = options.plan;
    const sessions = this.#sessions = new JoinedSessions(options.connect);
    const claim = (source: SourceFacts, signal: AbortSignal) => this.#claimOwner(source, signal);
    const parent = (signal: AbortSignal) => this.#rememberParent(signal);
    this.#rows = new RowsInParts({
      ...{ limits, onDamage, criticalTables, repository, holder, sessions, copier, parent },
      moment: async (lease, context) => {
        const { held } = await this.#opened(lease, context);
        const { bytes } = await this.#known.of<Listed>(lease, context, LIST);
        return { held, bytes };
      },
    });
    this.#atOnce = new DefinitionsAtOnce({
      ...{ repository, sessions, claim, parent },
      opened: (lease, context) => this.#opened(lease, context),
      recheck: (noted) => this.#recheck(noted),
      check: (session, held) => holder.check(session, held),
    });
    this.#inParts = new DefinitionsInParts({
      ...{ repository, shelf, claim, parent },
      entriesAPart: ENTRIES_A_RELATION * (relationsAPart ?? 0),
      read: ({ lease, ...how }, work) => this.#readSome(lease, { ...how, work }),
      cutRows: async (session, rows, { lease, context }) => {
        const { held } = await this.#opened(lease, context);
        return await this.#rows.cutSlice(session, rows, { held, steps: SLICED_ROWS });
      },
    });
  }

  async run(lease: Lease, context: PartContext): Promise<PartOutcome> {
    switch (lease.name) {
      case OPEN:
        return await this.#open(lease, context);
      case LIST:
        return await this.#list(lease, context);
      case READ:
        return await this.#atOnce.read(lease, context);
      case COPY:
        return await this.#rows.copy(lease, context);
      case FINISH:
        return await this.#finish(lease, context);
      default:
        if (!DefinitionsInParts.has(lease.name)) throw unknownPart(lease.name);
        return await this.#inParts.run(lease, context);
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
    await this.#atOnce.leave();
    await this.#rows.leave();
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
    const unfinished = await findUnfinished(this.#sessions, { held, signal });
    if (slices.length > 0) {
      const estimate = async (session: Session) => {
        const bytes = await estimateStoredBytes(session);
        await this.#options.holder.check(session, held);
        return bytes;
      };
      const bytes = await this.#sessions.with(held, estimate, { signal });
      const listed: Listed = { bytes, unfinished };
      return { result: toJson(listed), add: [...partsOfSlices(slices), last] };
    }
    const work = await this.#atOnce.list(
      { held, dump },
      (session, rows) => this.#rows.cut(session, rows, held),
      { signal },
    );
    // Threads copy while this one reads on. Without them the two would only share one core and its memory.
    const copyStep = copier === undefined ? 3 : 2;
    const listed: Listed = { bytes: work.reduce((sum, { bytes }) => sum + bytes, 0), unfinished };
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
    const { relationsAPart, relationsAtOnce } = this.#options.plan;
    if (relationsAPart === null) return [];
    const cut = async (session: Session) => {
      const fits = relationsAtOnce !== undefined &&
        (await cutCatalog(session, dump, relationsAtOnce)).length === 0;
      return fits ? [] : await cutCatalog(session, dump, relationsAPart);
    };
    return await this.#sessions.with(held, cut, { signal });
  }

  /** Puts together what all parts gave. Nothing is read any more, so the moment need not be held. */
  async #finish(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { repository, clock, plan } = this.#options;
    const before = await this.#committedBefore();
    if (before !== null) return finished(before, repository);
    const { held, createdAt } = await this.#opened(lease, context);
    const read = await this.#inParts.found(context) ??
      await this.#known.of<ReadDefinitions>(lease, context, READ);
    const results: CopyRowsResult[] = [];
    for await (const { result } of context.results(COPY)) {
      results.push(result as unknown as CopyRowsResult);
    }
    const parts = storedParts(results);
    const writtenBefore = repository.written;
    const dataParts = await repository.writeLines(parts, { signal: context.signal });
    const remarks = new Set([...read.remarks, ...results.flatMap((result) => result.remarks)]);
    if (held.remark !== undefined) remarks.add(held.remark);
    const { unfinished } = await this.#known.of<Listed>(lease, context, LIST);
    const half = halfRestored(unfinished);
    for (const remark of half.remarks) remarks.add(remark);
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
        ...half.facts,
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
    return this.#known.of(lease, context, OPEN);
  }
}

function finished(record: DatabaseRecord, { location }: Repository): PartOutcome {
  return { result: null, finish: outcomeOf(record, location) };
}
