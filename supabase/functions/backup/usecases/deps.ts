/**
 * What every use-case of the service is given. `create_deps.ts` makes it.
 *
 * @module
 */
import type { Clock } from "../core/clock.ts";
import type { Environment } from "../core/environment.ts";
import type { BackupError } from "../core/errors.ts";
import type { ItemSource, ItemTarget, ItemType, OpenContent } from "../core/items.ts";
import type { NotifyEvent, NotifyReport } from "../core/notify_event.ts";
import type { Execution, RecoveryPlan } from "../core/recovery.ts";
import type { Secret } from "../core/secret.ts";
import type { Settings } from "../core/settings.ts";
import type { SettingsInForce } from "../core/settings_in_force.ts";
import type { Budget } from "../jobs/budget.ts";
import type { Drive } from "../jobs/drive.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { SnapshotHolder } from "../dump/mod.ts";
import type { ManagementAccess } from "../project/mod.ts";
import type { Repository } from "../repository/mod.ts";
import type { State } from "../state/state.ts";
import type { Storage } from "../storage/storage.ts";
import type { RowCopier } from "./backup/copy_rows.ts";
import type { ItemSaver } from "./items/save_task.ts";
import type { RowReader } from "./restore/read_rows.ts";

/** The clock in the database that calls `tick`. */
export interface ScheduleState {
  installed: boolean;
  /** In words. */
  found: string;
  /** A line to copy that brings it further; null when there is nothing to do. */
  next: string | null;
}

/** Opens sources and targets of items; `leave` frees their connections. */
export interface ProjectAccess {
  /** @throws `invalid_config` when nothing of the type can be read here, and why */
  source(
    type: ItemType,
    settings: Settings,
  ): Promise<{ source: ItemSource; leave(): Promise<void> }>;
  /**
   * @param options `replace`: whether what is there already is replaced; `open` reads saved contents
   * @throws as `source`
   */
  target(
    type: ItemType,
    settings: Settings,
    options: { replace: boolean; open: OpenContent },
  ): Promise<{ target: ItemTarget; leave(): Promise<void> }>;
  /** The Management API, or why it cannot be used. @throws `invalid_config` for a token that is none */
  management(): ManagementAccess;
}

/** Threads that save files, and how they are ended. */
export interface OpenedSaver {
  saver: ItemSaver;
  leave(): Promise<void>;
}

/** Threads that copy rows, and how they are ended. */
export interface OpenedCopier {
  copier: RowCopier;
  leave(): Promise<void>;
}

/** Threads that read rows, and how they are ended. */
export interface OpenedReader {
  reader: RowReader;
  leave(): Promise<void>;
}

/** See the module. */
export interface Deps {
  clock: Clock;
  environment: Environment;
  /** The service's own tables. */
  state: State;
  /** Starts jobs, and knows those that run in the memory of this process. */
  jobs: Jobs;
  /** Holds the moments of backups; those on connections of this process live as long as it. */
  snapshotHolder: SnapshotHolder;
  /** A keeper of a moment that is younger may belong to a job that nobody knows yet: it is no stray. */
  strayGraceSeconds: number;
  /** Works on parts that wait; woken by whoever starts a job, and by ticks. */
  drive: Drive;
  /** Keeps the process alive for work that the answer does not wait for. It must not fail. */
  inBackground(work: Promise<unknown>): void;
  /** For an orderly end of the process: waits for what goes on in it, and begins no more parts. */
  idle(): Promise<void>;
  /** What this process may use. */
  budget: Budget;
  /**
   * The clock in the database. All of it is safe to repeat; `remove` says what was there, and which jobs of
   * users are `left`, each as an argument of `cron.unschedule`.
   */
  schedule: {
    install(): Promise<ScheduleState>;
    read(): Promise<ScheduleState>;
    remove(): Promise<{ removed: string[]; left: string[] }>;
    /** Forgets old records of the clock's runs; says which. */
    prune(): Promise<string[]>;
  };
  /** The project around the database, as far as tokens and settings reach. */
  project: ProjectAccess;
  /**
   * Settings in force; `fromTables` is false when the rows could not be read, `problems` are rows that are
   * wrong and not followed: nothing may be deleted by such settings.
   *
   * @throws `invalid_config` for a wrong environment, or a wrong row that says where backups are
   */
  settings(): Promise<SettingsInForce & { fromTables: boolean }>;
  /**
   * The place where backups are kept.
   *
   * @param options `destination`: the place of the copies that the settings call so
   * @throws `invalid_config` when none is set up, `invalid_request` for a destination that there is not
   */
  openStorage(settings: Settings, options?: { destination?: string | undefined }): Promise<Storage>;
  /**
   * The repository at that place.
   *
   * @throws as `openStorage`; `repository_missing` unless `create` is set, `key_missing`, `key_wrong`, `storage_*`
   */
  openRepository(
    settings: Settings,
    options?: { create?: boolean; destination?: string | undefined },
  ): Promise<Repository>;
  /** Threads that copy the rows of a backup, each of which opens what it needs; a function has none. */
  openCopier?(settings: Settings): Promise<OpenedCopier>;
  /** Threads that read the rows of a restore, in the same way. */
  openReader?(settings: Settings): Promise<OpenedReader>;
  /** Threads that save files, in the same way. */
  openSaver?(settings: Settings): Promise<OpenedSaver>;
  /** Recovery plans and their executions. */
  recovery: {
    /** Executions of this process that the tables do not have, by id. */
    executions: Map<string, { execution: Execution; plan: RecoveryPlan }>;
    /**
     * Brings what storage and the software have into the tables; says which. Safe to repeat.
     *
     * @param options `days`: executions of so many days; 0: only what this process knows, which costs no
     * look at storage
     */
    sync(options: { days: number }): Promise<{ plans: string[]; executions: string[] }>;
    /** Takes journals of old executions out of storage, but for the newest; says how many. */
    prune(options: { before: Date }): Promise<number>;
  };
  /** What a reference (`env:NAME`, `vault://name`) stands for. @throws `invalid_config` */
  secret(reference: string): Promise<Secret>;
  /**
   * Tells people of an event; never throws. What belongs to an incident is recorded when this settles and
   * sent in the background; a `message` has been sent or refused by then.
   */
  notify(event: NotifyEvent): Promise<NotifyReport>;
  /** Writes to the log what no answer can carry. */
  reportError(error: BackupError, about: string): void;
}

/** Who asks. */
export interface Caller {
  /** Name of the key. */
  name: string;
  requestId: string;
}
