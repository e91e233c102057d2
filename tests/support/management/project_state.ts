/**
 * The project itself, as the stand-in knows it: programs look it up by its ref.
 *
 * @module
 */
import type { Resource } from "./contract_types.ts";

/** See the module. */
export interface ProjectState extends Resource {
  /** Services that are not healthy, by the API's names. */
  unhealthy: Set<string>;
}

/** A healthy project of that ref. */
export function projectState(ref: string): ProjectState {
  const unhealthy = new Set<string>();
  const json = {
    id: ref,
    ref,
    organization_id: "stand-in",
    organization_slug: "stand-in",
    name: "Stand-in",
    region: "eu-central-1",
    created_at: "2026-01-01T00:00:00Z",
    status: "ACTIVE_HEALTHY",
    database: {
      host: `db.${ref}.supabase.co`,
      version: "17.6.1.001",
      postgres_engine: "17",
      release_channel: "ga",
    },
  };
  return {
    unhealthy,
    handlers: {
      "v1-get-project": () => ({ json }),
      "v1-get-services-health": ({ query }) => ({
        json: query.getAll("services").map((name) => {
          const healthy = !unhealthy.has(name);
          return { name, healthy, status: healthy ? "ACTIVE_HEALTHY" : "UNHEALTHY" };
        }),
      }),
    },
  };
}
