/**
 * The moment of a backup held inside the database by pg_cron: it outlives the worker that opened it.
 *
 * pg_cron is asked to start the keeper, and to forget it as soon as it is there: a keeper that was
 * ended must not come back, because it would have another moment. The keeper locks nothing before it
 * sees that it was forgotten, so neither its job nor a second keeper is in the snapshot.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import { pinSettings } from "../postgres/pinned_settings.ts";
import type { Session } from "../postgres/session.ts";
import { DISARMED, keeperCommand } from "./keeper_command.ts";
import { endHolders, endHoldersOf, listKeepers } from "./keeper_list.ts";
import { keeperMissing } from "./keeper_missing.ts";
import { lockError, moved } from "./snapshot.ts";
import {
  checkHeld,
  type HeldSnapshot,
  identify,
  type OpenHeldOptions,
  type SnapshotHolder,
} from "./snapshot_holder.ts";
import { joinSnapshot } from "./snapshot_join.ts";
import { jobMark, newHolderName } from "./snapshot_names.ts";
import { findDifference, findTables, type FoundTable } from "./snapshot_tables.ts";

/** What {@linkcode keeperHolder} works with. */
export interface KeeperHolderOptions {
  /** Opens a connection to the database that is saved, which is also pg_cron's. */
  connect: () => Promise<Session>;
  /** How long pg_cron may take to start it. @default 20000, and a minute more where it starts by the minute */
  startTimeoutMs?: number;
}

/** How often pg_cron looks whether to start a keeper, and how long a start may then take. */
interface Schedule {
  schedule: string;
  usualMs: number;
}

const EVERY_SECOND: Schedule = { schedule: "1 seconds", usualMs: 20_000 };
/** What versions before 1.5 can. */
const EVERY_MINUTE: Schedule = { schedule: "* * * * *", usualMs: 80_000 };
/** Once a year: for a keeper's job that has done what it was for. */
const RARELY = "0 0 1 1 *";

/** Pauses between looks at a keeper that is coming up; each is a bit longer, because looking costs CPU. */
const FIRST_POLL_MS = 40;
const LONGEST_POLL_MS = 500;

/** A holder whose transactions live in jobs of pg_cron. */
export function keeperHolder(options: KeeperHolderOptions): SnapshotHolder {
  const withSession = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    const session = await options.connect();
    try {
      await pinSettings(session);
      // pg_cron shows each role its own jobs by row level security.
      await session.execute("SET row_security = on");
      return await work(session);
    } finally {
      await session.close();
    }
  };
  const close = (held: HeldSnapshot) => withSession((session) => endKeeper(session, held.name));
  return {
    open: (moment) => withSession((control) => new Opening(control, { ...options, moment }).open()),
    check: (session, held) => checkHeld(session, held, close),
    close,
  };
}

/** Ends whatever has this name: job, keeper, both or nothing. */
export async function endKeeper(session: Session, name: string): Promise<void> {
  await forget(session, name);
  await endHolders(session, name);
}

/** Takes a keeper's job off pg_cron; nothing happens when it is not there. */
async function forget(session: Session, name: string): Promise<void> {
  await session.query(
    `select cron.unschedule(j.jobid) from cron.job j
      where j.jobname = $1 and j.username = current_user`,
    [name],
  );
}

/** What a keeper is to lock. */
interface WantedKeeper {
  wanted: readonly FoundTable[];
  lockTimeoutMs: number;
}

/** One keeper on its way. */
class Opening {
  readonly #control: Session;
  readonly #options: KeeperHolderOptions & { moment: OpenHeldOptions };

  constructor(control: Session, options: KeeperHolderOptions & { moment: OpenHeldOptions }) {
    this.#control = control;
    this.#options = options;
  }

  async open(): Promise<HeldSnapshot> {
    const { jobId, attempts = 5, signal } = this.#options.moment;
    await this.#endEarlier(jobId);
    let reason = "";
    for (let attempt = 0; attempt < attempts; attempt++) {
      signal?.throwIfAborted();
      const name = newHolderName(jobId);
      try {
        const outcome = await this.#attempt(name);
        if (typeof outcome !== "string") return outcome;
        reason = outcome;
      } catch (error) {
        await this.#leave(name);
        throw error;
      }
      await endKeeper(this.#control, name);
    }
    throw moved(reason, attempts);
  }

  /** Takes what an earlier opening of this job has left off pg_cron, and ends it. */
  async #endEarlier(jobId: string): Promise<void> {
    const names = await this.#control.query(
      `select j.jobname from cron.job j
        where pg_catalog.starts_with(j.jobname, $1) and j.username = current_user`,
      [`backup/${jobMark(jobId)}`],
    );
    for (const { jobname } of names) await forget(this.#control, jobname);
    await endHoldersOf(this.#control, jobId);
  }

  async #leave(name: string): Promise<void> {
    try {
      await endKeeper(this.#control, name);
    } catch (error) {
      // The first error is what the caller is told; the clean-up finds what is left.
      if (!(error instanceof BackupError)) throw error;
    }
  }

  /** The moment, or in words why to begin anew. */
  async #attempt(name: string): Promise<HeldSnapshot | string> {
    const { dump, lockTimeoutMs = 60_000 } = this.#options.moment;
    const wanted = (await findTables(this.#control, dump)).filter((table) => table.readable);
    const waitMs = await this.#schedule(name, { wanted, lockTimeoutMs });
    const pid = await this.#started(name, waitMs);
    const told = await this.#told(name, pid);
    if (told.kind === "failed") return explainFailure(told, { wanted, lockTimeoutMs });
    return await this.#prove(name, { pid, told });
  }

  /** Asks pg_cron for the keeper, every second where it can; milliseconds that it may take to come. */
  async #schedule(name: string, keeper: WantedKeeper): Promise<number> {
    try {
      return await this.#ask(name, { ...keeper, ...EVERY_SECOND });
    } catch (error) {
      if (!(error instanceof DatabaseError) || error.sqlState !== "22023") throw error;
      return await this.#ask(name, { ...keeper, ...EVERY_MINUTE });
    }
  }

  async #ask(
    name: string,
    { wanted, lockTimeoutMs, schedule, usualMs }: WantedKeeper & Schedule,
  ): Promise<number> {
    const { startTimeoutMs = usualMs, moment } = this.#options;
    const [clock] = await this.#control.query(
      `select pg_catalog.to_char((pg_catalog.clock_timestamp() + $1::text::interval)
                at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as start_before`,
      [`${startTimeoutMs} milliseconds`],
    );
    const command = keeperCommand({
      name,
      tables: wanted.map((table) => table.oid),
      lockTimeoutMs,
      maxKeeperSeconds: moment.maxKeeperSeconds ?? 43_200,
      startBefore: clock?.start_before,
    });
    await this.#control.query("select cron.schedule($1, $2, $3)", [name, schedule, command]);
    return startTimeoutMs;
  }

  /** Waits for the keeper and makes pg_cron forget it. */
  async #started(name: string, waitMs: number): Promise<number> {
    const until = performance.now() + waitMs;
    for (let pauseMs = FIRST_POLL_MS;; pauseMs = Math.min(pauseMs * 1.2, LONGEST_POLL_MS)) {
      const [keeper] = await listKeepers(this.#control, name);
      if (keeper !== undefined) {
        // pg_cron ends a background worker whose job is gone; a connection it only leaves alone.
        if (keeper.backendType === "client backend") {
          await forget(this.#control, name);
        } else {
          await this.#control.query("select cron.schedule($1, $2, $3)", [name, RARELY, DISARMED]);
        }
        return keeper.pid;
      }
      if (performance.now() > until) {
        throw await keeperMissing(this.#control, { name, waitedMs: waitMs });
      }
      await this.#pause(pauseMs);
    }
  }

  /** Waits for what the keeper has to say. */
  async #told(name: string, pid: number): Promise<Told> {
    for (let pauseMs = FIRST_POLL_MS;; pauseMs = Math.min(pauseMs * 1.2, LONGEST_POLL_MS)) {
      const keeper = (await listKeepers(this.#control, name)).find((found) => found.pid === pid);
      if (keeper === undefined) {
        throw new BackupError(
          "snapshot_lost",
          "Cannot hold the moment of the backup: its keeper was ended",
          {
            hint: "See the server's log for who ended it.",
          },
        );
      }
      const told = read(keeper.mark.slice(name.length + 1));
      if (told !== null) return told;
      await this.#pause(pauseMs);
    }
  }

  async #pause(pauseMs: number): Promise<void> {
    this.#options.moment.signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    this.#options.moment.signal?.throwIfAborted();
  }

  /** Compares what the keeper has locked with what its snapshot shows. */
  async #prove(
    name: string,
    { pid, told }: { pid: number; told: Told & { kind: "moment" } },
  ): Promise<HeldSnapshot | string> {
    await joinSnapshot(this.#control, told.id);
    const seen = await findTables(this.#control, this.#options.moment.dump);
    const difference = await findDifference(this.#control, { seen, holder: pid });
    await this.#control.execute("ROLLBACK");
    if (difference !== null) return difference;
    const locked = seen.filter((table) => table.readable).map((table) => table.oid);
    const found = await identify(this.#control, pid);
    if (found === null || found.held < locked.length) return "its keeper was ended";
    return {
      strategy: "keeper",
      id: told.id,
      takenAt: new Date(Date.parse(found.backend.transactionAt) + told.afterMs).toISOString(),
      lsn: told.lsn,
      locked,
      unreadable: seen.filter((table) => !table.readable).map((table) => table.sqlName),
      backend: found.backend,
      name,
      yieldAfterMs: this.#options.moment.yieldAfterMs ?? null,
    };
  }
}

type Told =
  | { kind: "moment"; id: string; afterMs: number; lsn: string }
  | { kind: "failed"; sqlState: string; table: number };

/** What stands behind a keeper's name; null while it is not done. */
function read(text: string): Told | null {
  const failed = /^failed\/([0-9A-Z]{5})\/(\d+)$/.exec(text);
  if (failed !== null) {
    return { kind: "failed", sqlState: failed[1]!, table: Number(failed[2]) };
  }
  const moment = /^([0-9A-F]+-[0-9A-F]+-\d+)\/([0-9a-f]+)\/([0-9A-F]+\/[0-9A-F]+)$/.exec(text);
  if (moment === null) return null;
  return { kind: "moment", id: moment[1]!, afterMs: parseInt(moment[2]!, 16), lsn: moment[3]! };
}

/** In words why to begin anew, for what may be over by then. @throws what will not */
function explainFailure(
  told: Told & { kind: "failed" },
  { wanted, lockTimeoutMs }: WantedKeeper,
): string {
  const table = wanted.find(({ oid }) => oid === told.table)?.sqlName ?? null;
  // No such row, table or schema; something else of that name; the right to read it taken away.
  if (["P0002", "42P01", "3F000", "42809", "42501"].includes(told.sqlState)) {
    return `${table ?? "a table"} was dropped, renamed or closed to this role`;
  }
  throw lockError(told.sqlState, { table, timeoutMs: lockTimeoutMs }) ??
    new BackupError(
      "database_error",
      `Cannot lock the tables: the keeper failed with ${told.sqlState}`,
      {
        hint: "See the server's log.",
        details: { table, sqlState: told.sqlState },
      },
    );
}
