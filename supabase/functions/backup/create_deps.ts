/**
 * Wires everything into one `Deps` value.
 *
 * @module
 */
import { readEnvironment } from "./config.ts";
import { systemClock } from "./core/clock.ts";
import type { Environment } from "./core/environment.ts";
import { BackupError, toBackupError } from "./core/errors.ts";
import { schedulerKeys } from "./core/scheduler_key.ts";
import { createProject } from "./create_project.ts";
import {
  filesThreadAccess,
  openSettingsRepository,
  openSettingsStorage,
  type ThreadAccess,
  threadAccess,
} from "./open_settings.ts";
import { Secret } from "./core/secret.ts";
import { type SettingsInForce, settingsInForce } from "./core/settings_in_force.ts";
import type { SnapshotHolder } from "./dump/mod.ts";
import { type Budget, createBudget, stopBeforeUnload, workerLimits } from "./jobs/budget.ts";
import type { JobDefinition } from "./jobs/job_definition.ts";
import { Jobs } from "./jobs/jobs.ts";
import { pruneJournals } from "./recovery/prune_journals.ts";
import { recordRemembered, syncRecovery } from "./recovery/sync_recovery.ts";
import {
  installSchedule,
  pruneRuns,
  readSchedule,
  removeSchedule,
  type ScheduleReport,
} from "./schedule/cron_schedule.ts";
import { openDrive } from "./schedule/open_drive.ts";
import { State } from "./state/state.ts";
import { isStateUnavailable } from "./state/state_error.ts";
import { connector, databaseUrl } from "./usecases/database_access.ts";
import type { Deps, OpenedCopier, OpenedReader, OpenedSaver } from "./usecases/deps.ts";
import { getJob } from "./usecases/jobs/get_job.ts";
import { createNotify } from "./usecases/people/notify_people.ts";

/** What the platform's runtime offers besides Deno's. */
interface EdgeRuntime {
  waitUntil(work: Promise<unknown>): void;
}

/** What a program may set. */
export interface CreateDepsOptions {
  /** @default the process's */
  environment?: Environment;
  /** What a job is made of. @default the product's jobs */
  definitionOf?: (jobId: string) => Promise<JobDefinition>;
  /** The process lives on and ticks by itself: no clock is needed in the database. */
  ticks?: boolean;
  /** See {@linkcode Deps.strayGraceSeconds}. @default 60 */
  strayGraceSeconds?: number;
  /** Makes threads that save files. A function has none. */
  openSaver?: (access: ThreadAccess) => OpenedSaver;
  /** Threads that copy rows. @default none */
  openCopier?: (access: ThreadAccess) => OpenedCopier;
  /** Threads that read rows. @default none */
  openReader?: (access: ThreadAccess) => OpenedReader;
}

/** Makes the service's dependencies; connections open on first use. */
export function createDeps(options: CreateDepsOptions = {}): Deps {
  const environment = options.environment ?? readEnvironment();
  const state = new State(environment.databaseUrl);
  const runtime = (globalThis as { EdgeRuntime?: EdgeRuntime }).EdgeRuntime;
  const budget = openBudget(environment);
  const background = new Set<Promise<unknown>>();
  const secret = (reference: string) => resolveSecret(reference, environment, state);
  const jobs = new Jobs({
    tables: state.parts,
    isUnavailable: (error) => isStateUnavailable(error) || error.code === "invalid_config",
    // All that jobs are made of is loaded with the first job: a start has little time.
    define: async (started) => (await import("./define_job.ts")).defineJob(deps, started),
    read: (jobId) => getJob(deps, jobId),
    record: (job) => state.jobs.finish(job),
    wake: () => drive.begin(),
    clock: systemClock,
    keepAlive: (work) => deps.inBackground(work),
    onError: reportError,
  });
  const drive = openDrive({
    ...{ parts: state.parts, database: state.database, environment, budget, clock: systemClock },
    definitionOf: options.definitionOf ?? ((jobId) => jobs.definitionOf(jobId)),
    observer: jobs.observer,
    settings: () => readSettings(environment, state),
    ...(runtime === undefined ? {} : { waitUntil: (work) => runtime.waitUntil(work) }),
    onError: reportError,
  });
  const deps: Deps = {
    clock: systemClock,
    environment,
    state,
    jobs,
    snapshotHolder: loadedOnUse(async () =>
      (await import("./dump/mod.ts")).createSnapshotHolder({
        connect: () => connector(databaseUrl(deps))(),
        hosted: environment.edgeRuntime,
      })
    ),
    strayGraceSeconds: options.strayGraceSeconds ?? 60,
    drive,
    budget,
    inBackground(work) {
      background.add(work);
      work.finally(() => background.delete(work));
      runtime?.waitUntil(work);
    },
    async idle() {
      await Promise.all([jobs.idle(), drive.end(), ...background]);
    },
    schedule: createSchedule(environment, state, options),
    ...(options.openCopier === undefined ? {} : {
      openCopier: async (settings) =>
        options.openCopier!(await threadAccess(settings, environment, secret)),
    }),
    ...(options.openReader === undefined ? {} : {
      openReader: async (settings) =>
        options.openReader!(await threadAccess(settings, environment, secret)),
    }),
    ...(options.openSaver === undefined ? {} : {
      openSaver: async (settings) =>
        options.openSaver!(await filesThreadAccess(settings, environment, secret)),
    }),
    project: createProject({
      ...{ environment, secret },
      connect: () => connector(databaseUrl(deps))(),
      sharedPace: (limit) => state.apiRequests.take(limit),
    }),
    settings: () => readSettings(environment, state),
    openStorage: (settings, { destination } = {}) =>
      openSettingsStorage(settings, { environment, secret, destination }),
    async openRepository(settings, { create = false, destination } = {}) {
      const storage = await openSettingsStorage(settings, { environment, secret, destination });
      return await openSettingsRepository(settings, { storage, create, secret });
    },
    recovery: {
      executions: new Map(),
      async sync({ days }) {
        const executions = await recordRemembered(deps);
        if (days === 0) return { plans: [], executions };
        const { plans, executions: others } = await syncRecovery(deps, { days });
        return { plans, executions: [...executions, ...others] };
      },
      prune: ({ before }) => pruneJournals(deps, { before }),
    },
    secret,
    notify: (event) => notify(event),
    reportError,
  };
  const notify = createNotify(deps);
  return deps;
}

/** What reads databases is loaded with the first backup: a start has little time. */
function loadedOnUse(load: () => Promise<SnapshotHolder>): SnapshotHolder {
  let loading: Promise<SnapshotHolder> | undefined;
  const holder = () => loading ??= load();
  return {
    open: async (options) => await (await holder()).open(options),
    check: async (session, held) => await (await holder()).check(session, held),
    close: async (held) => await (await holder()).close(held),
  };
}

/** By the environment alone; rows of settings are known with the first job. */
function openBudget(environment: Environment): Budget {
  const { settings, edgeRuntime } = environment;
  const budget = createBudget(workerLimits(settings, { hosted: edgeRuntime }));
  if (edgeRuntime) stopBeforeUnload(budget);
  return budget;
}

/** The clock in the database, for a service that the database can call. */
function createSchedule(
  environment: Environment,
  { database }: State,
  { ticks = false }: CreateDepsOptions,
): Deps["schedule"] {
  const target = async () => {
    const [key] = await schedulerKeys(environment);
    const url = environment.functionUrl;
    return url === null || key === undefined ? null : { url, key };
  };
  return {
    install: async () => withTicker(await installSchedule(database, await target()), ticks),
    read: async () => withTicker(await readSchedule(database, await target()), ticks),
    remove: () => removeSchedule(database),
    prune: () => pruneRuns(database),
  };
}

/** A process that ticks is a clock as good as the database's, as long as it runs. */
function withTicker(report: ScheduleReport, ticks: boolean): ScheduleReport {
  if (report.installed || !ticks) return report;
  return { ...report, installed: true, found: "this process ticks while it runs", next: null };
}

/** Defaults, environment, rows; without the rows when the tables cannot be read. */
async function readSettings(
  environment: Environment,
  state: State,
): Promise<SettingsInForce & { fromTables: boolean }> {
  let rows: Record<string, unknown> = {};
  let fromTables = true;
  try {
    rows = await state.config.read();
  } catch (error) {
    const failure = toBackupError(error);
    if (!isStateUnavailable(failure) && failure.code !== "invalid_config") throw failure;
    fromTables = false;
  }
  return { ...settingsInForce(environment.settings, rows), fromTables };
}

async function resolveSecret(
  reference: string,
  environment: Environment,
  state: State,
): Promise<Secret> {
  const name = reference.replace(/^(env:|vault:\/\/)/, "");
  const value = reference.startsWith("env:")
    ? environment.variable(name)
    : await state.vaultSecret(name);
  if (value !== undefined && value !== null && value !== "") return new Secret(value);
  throw new BackupError("invalid_config", `Cannot read the secret ${reference}: there is none`, {
    hint: reference.startsWith("env:")
      ? `supabase secrets set ${name}=…`
      : `select vault.create_secret('…', '${name}')`,
  });
}

/** One line on the function's log: code and message, never row values or secrets. */
function reportError(error: BackupError, about: string): void {
  const stack = error.code === "internal" && error.cause instanceof Error
    ? error.cause.stack
    : undefined;
  // deno-lint-ignore no-console -- the runtime's log is the console; this is the only place that writes it
  console.error(JSON.stringify({ about, code: error.code, message: error.message, stack }));
}
