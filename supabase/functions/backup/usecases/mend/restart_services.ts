/**
 * Restarts services of the project as far as the platform lets them be restarted, and waits until they are
 * healthy. What nobody can restart from here is said, never claimed.
 *
 * @module
 */
import { startStopwatch } from "../../core/clock.ts";
import { BackupError, toBackupError } from "../../core/errors.ts";
import { connect } from "../../postgres/connect.ts";
import {
  HEALTH_NAMES,
  type HealthService,
  type ManagementApi,
  readServicesHealth,
  restartDatabase,
} from "../../project/mod.ts";
import { databaseUrl } from "../database_access.ts";
import type { Deps } from "../deps.ts";

/** What may be named. */
export const SERVICES = [
  "database",
  "functions",
  "api",
  "auth",
  "storage",
  "realtime",
  "pooler",
] as const;

/** One of {@linkcode SERVICES}. */
export type Service = typeof SERVICES[number];

/** What is wished. */
export interface RestartWish {
  services: readonly Service[];
  /** Restarts nothing. */
  checkOnly: boolean;
  /** Also those that are healthy. */
  force: boolean;
  waitForHealth: boolean;
  /** A database that started so long ago at most was restarted by an earlier try. @default 600 */
  freshSeconds?: number;
  signal: AbortSignal;
}

/** What came of it. */
export interface RestartOutcome {
  /** How each service was in the end: a status of the platform, or why it is not known. */
  health: Partial<Record<Service, string>>;
  restarted: Service[];
  /** Neither healthy nor restartable from here. */
  byHand: string[];
}

/** How long one call waits for health, and between two looks. */
const PATIENCE_MS = 45_000;
const LOOK_MS = 3000;

const HEALTHY = "ACTIVE_HEALTHY";

/** Each request to a function starts what is deployed: there is nothing that runs on to be restarted. */
const FUNCTIONS = "each request starts what is deployed";

/** @throws `management_unavailable` when something is not healthy in time; the `management_*` codes */
export async function restartServices(deps: Deps, wish: RestartWish): Promise<RestartOutcome> {
  const { services, checkOnly, force, waitForHealth } = wish;
  const { api } = deps.project.management();
  const outcome: RestartOutcome = {
    health: await lookAt(deps, { api, ...wish }),
    ...{ restarted: [], byHand: [] },
  };
  const { health, restarted, byHand } = outcome;
  for (const service of services) {
    if (checkOnly || service === "functions") continue;
    if (!isKnownUnhealthy(health[service]) && !force) continue;
    if (service !== "database" || api === null) byHand.push(byHandLine(service));
    else if (await restartOnce(deps, { api, ...wish })) restarted.push(service);
  }
  if (waitForHealth) outcome.health = await waitUntilHealthy(deps, { api, ...wish });
  return outcome;
}

/**
 * Restarts the database, and waits until it is seen to have started anew: the platform's answer says only
 * that it was asked. One that started a moment ago is left alone, because an earlier try has restarted it.
 */
async function restartOnce(
  deps: Deps,
  { api, freshSeconds = 600, signal }: RestartWish & { api: ManagementApi },
): Promise<boolean> {
  const before = await lookAtDatabase(deps, signal);
  if (before.ageSeconds !== null && before.ageSeconds < freshSeconds) return false;
  await restartDatabase(api, signal);
  if (before.startedAt === null) return true;
  const waitedMs = startStopwatch(deps.clock);
  for (;;) {
    const { startedAt } = await lookAtDatabase(deps, signal);
    if (startedAt !== null && startedAt !== before.startedAt) return true;
    if (waitedMs() + LOOK_MS >= PATIENCE_MS) break;
    await deps.clock.sleep(LOOK_MS, signal);
  }
  throw new BackupError(
    "management_unavailable",
    `Cannot see the database restarted: the platform was asked, and it runs since ${before.startedAt}`,
    { hint: "It may take the platform some minutes. Look at the project in the dashboard." },
  );
}

function byHandLine(service: Service): string {
  return `restart ${service} in the dashboard (project settings): the platform offers no call for it`;
}

/** Null and words that are no status mean that nobody knows. */
function isKnownUnhealthy(status: string | undefined): boolean {
  return status === "UNHEALTHY" || status === "COMING_UP";
}

interface Look {
  api: ManagementApi | null;
  services: readonly Service[];
  signal: AbortSignal;
}

async function lookAt(
  deps: Deps,
  { api, services, signal }: Look,
): Promise<RestartOutcome["health"]> {
  const health: RestartOutcome["health"] = {};
  if (services.includes("functions")) health.functions = FUNCTIONS;
  if (services.includes("database")) health.database = (await lookAtDatabase(deps, signal)).health;
  const asked = services.filter((service): service is HealthService => service in HEALTH_NAMES);
  if (api === null) {
    const { withoutApi } = deps.project.management() as { withoutApi: string };
    for (const service of asked) health[service] ??= `not known: ${withoutApi}`;
    return health;
  }
  for (const { service, status } of await readServicesHealth(api, asked, signal)) {
    // What does not answer us is not healthy, whatever the platform sees of it.
    if (service !== "database" || health.database === HEALTHY) health[service] = status;
  }
  return health;
}

/** The database by a connection of our own: the platform's word is about its own ways. */
interface DatabaseLook {
  health: string;
  /** Null when it does not answer. */
  startedAt: string | null;
  ageSeconds: number | null;
  /** A parameter was changed that counts from the next start on. */
  isRestartPending: boolean;
}

/** Whether the database runs with another value of a parameter than it was given. @throws when it does not answer */
export async function isRestartPending(deps: Deps, signal: AbortSignal): Promise<boolean> {
  const { health, isRestartPending } = await lookAtDatabase(deps, signal);
  if (health !== "UNHEALTHY") return isRestartPending;
  throw new BackupError(
    "management_unavailable",
    "Cannot see whether the database is to be restarted: it does not answer",
    { hint: "It may be starting. Look at the project in the dashboard." },
  );
}

async function lookAtDatabase(deps: Deps, signal: AbortSignal): Promise<DatabaseLook> {
  try {
    const session = await connect({
      ...{ url: databaseUrl(deps), applicationName: "supabase-backup" },
      ...{ connectTimeoutMs: 8000, signal },
    });
    const [row] = await session.query(`
      select s::pg_catalog.text as started_at,
          extract(epoch from pg_catalog.now() - s)::pg_catalog.int4 as age,
          exists (select from pg_catalog.pg_settings g where g.pending_restart) as pending
        from pg_catalog.pg_postmaster_start_time() s`).finally(() => session.close());
    return {
      ...{ health: HEALTHY, startedAt: String(row?.started_at), ageSeconds: Number(row?.age) },
      isRestartPending: row?.pending === true,
    };
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = toBackupError(error);
    const health = code === "invalid_config" ? `not known: ${message}` : "UNHEALTHY";
    return { health, startedAt: null, ageSeconds: null, isRestartPending: false };
  }
}

async function waitUntilHealthy(deps: Deps, look: Look): Promise<RestartOutcome["health"]> {
  const waitedMs = startStopwatch(deps.clock);
  for (;;) {
    const health = await lookAt(deps, look);
    const ill = Object.entries(health).filter(([, status]) => isKnownUnhealthy(status));
    if (ill.length === 0) return health;
    if (waitedMs() + LOOK_MS >= PATIENCE_MS) {
      const words = ill.map(([service, status]) => `${service} is ${status}`).join(", ");
      throw new BackupError("management_unavailable", `Cannot see all services healthy: ${words}`, {
        hint:
          "Look at the project in the dashboard; services that the platform lets nobody restart " +
          "come back with the project's own restart there.",
        details: { health },
      });
    }
    await deps.clock.sleep(LOOK_MS, look.signal);
  }
}
