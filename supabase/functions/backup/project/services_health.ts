/**
 * The health of a project's services, and the one of them that the platform lets be restarted.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../core/errors.ts";
import { CONFIG_SECTIONS } from "./config_sections.ts";
import type { ManagementApi } from "./management_api.ts";
import { fetchSection } from "./read_config.ts";

/** Services whose health the API tells, by its own names. */
export const HEALTH_NAMES = {
  database: "db",
  api: "rest",
  auth: "auth",
  storage: "storage",
  realtime: "realtime",
  pooler: "pooler",
} as const;

/** A service of {@linkcode HEALTH_NAMES}. */
export type HealthService = keyof typeof HEALTH_NAMES;

/** How one service is. */
export interface ServiceHealth {
  service: HealthService;
  status: "COMING_UP" | "ACTIVE_HEALTHY" | "UNHEALTHY";
}

const ANSWER = z.array(z.object({
  name: z.string(),
  status: z.enum(["COMING_UP", "ACTIVE_HEALTHY", "UNHEALTHY"]),
}));

/** How long the API itself waits for a service. */
const TIMEOUT_MS = 5000;

/** In the order of the services; one that the API leaves out is not healthy. @throws the `management_*` codes */
export async function readServicesHealth(
  api: ManagementApi,
  services: readonly HealthService[],
  signal: AbortSignal,
): Promise<ServiceHealth[]> {
  if (services.length === 0) return [];
  const found = await api.get("/v1/projects/{ref}/health", {
    to: "see how the services are",
    permission: "project_admin_read",
    query: { services: services.map((service) => HEALTH_NAMES[service]), timeout_ms: TIMEOUT_MS },
    answer: ANSWER,
    signal,
  });
  return services.map((service) => {
    const one = found.find(({ name }) => name === HEALTH_NAMES[service]);
    return { service, status: one?.status ?? "UNHEALTHY" };
  });
}

/**
 * Restarts the database under everyone who is connected, with the parameters that it has.
 *
 * @throws `target_unfit`, the `management_*` codes
 */
export async function restartDatabase(api: ManagementApi, signal: AbortSignal): Promise<void> {
  const section = CONFIG_SECTIONS.find(({ key }) => key === "database-postgres");
  const write = section?.write;
  if (section === undefined || write === null || write === undefined) {
    throw new BackupError("internal", "the section with PostgreSQL's parameters is gone");
  }
  // The request replaces all parameters: one that it leaves out would fall back to its default.
  const { values, absent } = await fetchSection(api, section, signal);
  if (absent !== null) {
    throw new BackupError("target_unfit", `Cannot restart the database: ${absent}`, {
      hint: "Restart it in the dashboard (project settings).",
    });
  }
  const known = Object.entries(values).filter(([, value]) => value !== null);
  await api.put(write.path, {
    to: "restart the database",
    permission: write.permission,
    json: { ...Object.fromEntries(known), restart_database: true },
    answer: z.unknown(),
    sensitive: true,
    signal,
  });
}
