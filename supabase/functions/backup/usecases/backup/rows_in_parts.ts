/**
 * The rows of a backup: cut into parts, and copied by whoever is free. They count only if the moment was held
 * until they were read.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { toJson } from "../../core/json.ts";
import type { TableData } from "../../core/model.ts";
import type { Lease, NewPart, PartOutcome } from "../../core/part.ts";
import { unlessAborted } from "../../core/unless_aborted.ts";
import {
  type DataLimits,
  describeWaiters,
  type HeldSnapshot,
  planLargeObjects,
  planUnits,
  type RowsEntry,
  type SnapshotHolder,
  type Waiter,
  waiterRemarks,
} from "../../dump/mod.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import type { Session } from "../../postgres/session.ts";
import type { Repository } from "../../repository/mod.ts";
import { refuseWithoutRoom } from "../jobs/refuse_without_room.ts";
import { wasTooLarge } from "../jobs/was_too_large.ts";
import {
  copyPart,
  copyPayloads,
  type CopyRowsPayload,
  type CopyRowsResult,
  type RowCopier,
  splitPayload,
} from "./copy_rows.ts";
import { criticalFirst, isCritical } from "./critical_first.ts";
import type { JoinedSessions } from "./joined_sessions.ts";
import { SharedCheck } from "./shared_check.ts";

/** What the backup lends to the copying of its rows. */
export interface RowsAccess {
  limits: DataLimits;
  onDamage: "fail" | "skip";
  /** Patterns of tables whose rows are copied before others. */
  criticalTables: readonly string[];
  repository: Repository;
  holder: SnapshotHolder;
  sessions: JoinedSessions;
  /** Threads that copy rows; without them sessions of this one do. */
  copier: RowCopier | undefined;
  /** The backup's moment, and an estimate of the bytes of all rows, 0 when it is not known. */
  moment(lease: Lease, context: PartContext): Promise<{ held: HeldSnapshot; bytes: number }>;
  /** The newest backup, whose chunks need not be looked for. */
  parent(signal: AbortSignal): Promise<unknown>;
}

/** Name of the parts, which is what users see of them. */
export const COPY = "copying-rows";

/** Rows to copy in one part. */
export interface CopyWork {
  payload: CopyRowsPayload;
  bytes: number;
}

/** What the copying of some rows came to. */
interface Copied {
  result: CopyRowsResult;
  bytes: number;
}

/** A part of the backup on this rung. */
export function copyPartOf({ payload, bytes }: CopyWork, step: number): NewPart {
  return { step, name: COPY, payload: toJson(payload), bytes };
}

/** Cuts and copies them; any number of parts, in any worker. */
export class RowsInParts {
  readonly #access: RowsAccess;
  #check: { heldId: string; shared: SharedCheck<Waiter[]> } | undefined;

  constructor(access: RowsAccess) {
    this.#access = access;
  }

  /** Work that copies the rows of these entries. @throws `insufficient_privilege` */
  async cut(
    session: Session,
    { entries, tableData }: { entries: readonly RowsEntry[]; tableData: TableData[] },
    held: HeldSnapshot,
  ): Promise<CopyWork[]> {
    const { limits, onDamage, criticalTables } = this.#access;
    requireReadable(entries, held);
    const hasObjects = entries.some(({ kind }) => kind === "large-object-data");
    const largeObjects = hasObjects ? await planLargeObjects(session, limits) : [];
    const model = { entries: [...entries], tableData };
    const units = planUnits(model, limits);
    const payloads = copyPayloads(model, units, { limits, onDamage, largeObjects });
    return criticalFirst(payloads, criticalTables);
  }

  /** The same as parts of a backup whose definitions are read slice by slice, on one of two rungs. */
  async cutSlice(
    session: Session,
    { number, ...rows }: { entries: readonly RowsEntry[]; tableData: TableData[]; number: number },
    { held, steps }: { held: HeldSnapshot; steps: { critical: number; other: number } },
  ): Promise<NewPart[]> {
    const { criticalTables } = this.#access;
    const work = await this.cut(session, rows, held);
    return work.map(({ payload, bytes }) => {
      const own = { ...payload, order: [number, ...payload.order] };
      const step = isCritical(own, criticalTables) ? steps.critical : steps.other;
      return copyPartOf({ payload: own, bytes }, step);
    });
  }

  /** Copies some rows, or cuts them further when workers had no room for them. */
  async copy(lease: Lease, context: PartContext): Promise<PartOutcome> {
    const payload = lease.payload as unknown as CopyRowsPayload;
    const smaller = wasTooLarge(lease) ? splitPayload(payload) : null;
    if (smaller !== null) {
      const bytes = Math.round(lease.bytes / smaller.length);
      return {
        result: null,
        split: smaller.map((each) => copyPartOf({ payload: each, bytes }, lease.step)),
      };
    }
    refuseLargeRows(lease, payload);
    const moment = await this.#access.moment(lease, context);
    await this.#access.parent(context.signal);
    let bytesDone = 0;
    const onBytes = (bytes: number) => context.onProgress({ bytesDone: bytesDone += bytes });
    const copied = await this.#copyRows(payload, { ...moment, onBytes, context });
    return { result: toJson(copied.result), bytes: copied.bytes };
  }

  /** A check that nobody waits for any more leaves a connection behind. */
  async leave(): Promise<void> {
    await this.#check?.shared.settled();
  }

  async #copyRows(
    payload: CopyRowsPayload,
    { held, bytes, onBytes, context }: {
      held: HeldSnapshot;
      bytes: number;
      onBytes: (bytes: number) => void;
      context: PartContext;
    },
  ): Promise<Copied> {
    const { repository, copier, sessions } = this.#access;
    const { signal } = context;
    const { result: copied, checked } = await this.#checkOf(held).after(async () => {
      if (copier !== undefined && bytes >= copier.leastBytes) {
        const done = await copier.copy(payload, { snapshotId: held.id, onBytes, signal });
        if (done !== null) return done;
      }
      return await sessions.with(
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

  /** Whether the moment is still held; whoever waits for the same answer shares it. */
  #checkOf(held: HeldSnapshot): SharedCheck<Waiter[]> {
    if (this.#check?.heldId !== held.id) {
      const { holder, sessions } = this.#access;
      const { signal } = new AbortController(); // a part that is aborted does not end the check of others
      const check = (session: Session) => holder.check(session, held);
      const shared = new SharedCheck(() => sessions.with(held, check, { signal }));
      this.#check = { heldId: held.id, shared };
    }
    return this.#check.shared;
  }
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
