/**
 * The definitions of a backup, read by one part. The reading begins with the list of tables, so that their rows
 * can be copied while it goes on.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import type { SourceFacts, TableData } from "../../core/model.ts";
import type { Lease, PartOutcome } from "../../core/part.ts";
import {
  CatalogReading,
  type DumpOptions,
  type HeldSnapshot,
  lockAllJoined,
  type RowsEntry,
  type RowVersions,
} from "../../dump/mod.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import type { Session } from "../../postgres/session.ts";
import { type Repository, writtenSince } from "../../repository/mod.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import { type ReadDefinitions, sqlBytesOf } from "./definitions_in_parts.ts";
import { cancelling, type JoinedSessions } from "./joined_sessions.ts";

/** What the backup lends to its definitions. */
export interface DefinitionsAtOnceAccess {
  repository: Repository;
  sessions: JoinedSessions;
  /** The backup's moment, and what is saved. */
  opened(
    lease: Lease,
    context: PartContext,
  ): Promise<{ held: HeldSnapshot; dump: DumpOptions }>;
  /** Finds out that what was read is so in the present. */
  recheck(noted: readonly RowVersions[]): Promise<void>;
  /** Finds out that the moment was held all the time. */
  check(session: Session, held: HeldSnapshot): Promise<unknown>;
  /** Becomes the repository's owner, or is refused. */
  claim(source: SourceFacts, signal: AbortSignal): Promise<void>;
  /** The newest backup, whose chunks need not be looked for. */
  parent(signal: AbortSignal): Promise<string | null>;
}

/** A reading of the catalog that has begun, in a session of its own. */
interface Reading {
  heldId: string;
  catalog: CatalogReading;
}

/** Reads them; in one worker list and definitions share what they read. */
export class DefinitionsAtOnce {
  readonly #access: DefinitionsAtOnceAccess;
  /** Begun by the list of tables, for the definitions. */
  #reading: Reading | undefined;

  constructor(access: DefinitionsAtOnceAccess) {
    this.#access = access;
  }

  /** Works on the entries that have rows, in a session of the moment. The reading waits for the definitions. */
  async list<T>(
    { held, dump }: { held: HeldSnapshot; dump: DumpOptions },
    work: (
      session: Session,
      rows: { entries: readonly RowsEntry[]; tableData: TableData[] },
    ) => Promise<T>,
    { signal }: { signal: AbortSignal },
  ): Promise<T> {
    return await this.#withCatalog(held, { dump, signal, keep: true }, async (catalog) => {
      const entries = await catalog.rows();
      const tableData = await catalog.describe(entries);
      const result = await work(catalog.session, { entries, tableData });
      await this.#access.check(catalog.session, held);
      return result;
    });
  }

  /** Reads and stores all definitions. */
  async read(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const { repository, recheck, check, claim } = this.#access;
    const { signal } = context;
    const { held, dump } = await this.#access.opened(lease, context);
    refuseManyTables(lease, held);
    const model = await this.#withCatalog(held, { dump, signal, keep: false }, async (catalog) => {
      const model = await catalog.database();
      await recheck(model.rowVersions);
      model.tableData = await catalog.describe(model.entries);
      const [read, listed] = [model.tableData, await catalog.rows()];
      requireListed(read, listed);
      await check(catalog.session, held);
      return model;
    });
    signal.throwIfAborted();
    await claim(model.source, signal);
    const before = repository.written;
    const parent = await this.#access.parent(signal);
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

  /** Ends a reading that nobody went on with. */
  async leave(): Promise<void> {
    const reading = this.#reading;
    this.#reading = undefined;
    await reading?.catalog.session.close();
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
    if (begun === undefined) await this.leave();
    this.#reading = undefined;
    const session = begun?.session ?? await this.#access.sessions.take(held, { signal });
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
}

/** @throws `over_budget` when worker after worker was ended at the definitions, which nothing can cut */
export function refuseManyTables(lease: Lease, { locked }: HeldSnapshot): void {
  refuseWithoutRoom(lease, {
    doing: `read the definitions of ${locked.length} tables`,
    hint: "Make the backup where no limits end a worker: deno task backup, on any computer. " +
      "Or save chosen schemas, each in a backup of its own.",
    details: { tables: locked.length },
  });
}

/** @throws `internal` when other rows are in the model than those that are being copied */
function requireListed(tableData: readonly TableData[], listed: readonly RowsEntry[]): void {
  const keys = new Set(listed.map(({ key }) => key));
  const other = tableData.find(({ entry }) => !keys.delete(entry))?.entry ?? [...keys][0];
  if (other === undefined) return;
  throw new BackupError("internal", `Cannot save the rows: ${other} was not expected`);
}
