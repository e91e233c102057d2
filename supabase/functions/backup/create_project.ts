/**
 * Opens what surrounds the database: the Management API, Storage and sessions, as far as the environment
 * gives tokens and keys for them.
 *
 * @module
 */
import type { Environment } from "./core/environment.ts";
import { BackupError } from "./core/errors.ts";
import type { ItemSource, ItemTarget, ItemType, OpenContent } from "./core/items.ts";
import type { Session } from "./postgres/session.ts";
import { configSource, configTarget, type ManagementApi, managementApi } from "./project/mod.ts";
import type { ProjectAccess } from "./usecases/deps.ts";

/** What it is made of. */
export interface CreateProjectOptions {
  environment: Environment;
  /** Opens a session on the service's database. */
  connect: () => Promise<Session>;
}

/** Nothing is asked of the project yet. */
export function createProject(options: CreateProjectOptions): ProjectAccess {
  return {
    source: async (type) => await openSource(type, options),
    target: async (type, _settings, how) => await openTarget(type, how, options),
  };
}

const nothing = () => Promise.resolve();

function openSource(
  type: ItemType,
  { environment, connect }: CreateProjectOptions,
): Promise<{ source: ItemSource; leave(): Promise<void> }> {
  const { projectRef, databaseUrl, variable } = environment;
  const { api, why } = openApi(environment);
  switch (type) {
    case "config": {
      const source = configSource({
        ...{ projectRef, api, withoutApi: why },
        connect: databaseUrl === null ? null : connect,
        environment: { variable, declared: [] },
        settingsTables: [],
      });
      return Promise.resolve({ source, leave: nothing });
    }
    default:
      throw new BackupError("invalid_config", `Cannot save (${type}): ${why}`);
  }
}

function openTarget(
  type: ItemType,
  { open }: { replace: boolean; open: OpenContent },
  { environment, connect }: CreateProjectOptions,
): Promise<{ target: ItemTarget; leave(): Promise<void> }> {
  const { api, why } = openApi(environment);
  switch (type) {
    case "config": {
      const database = environment.databaseUrl === null ? null : connect;
      return Promise.resolve({
        target: configTarget({ api, connect: database, open }),
        leave: nothing,
      });
    }
    default:
      throw new BackupError("invalid_config", `Cannot restore (${type}): ${why}`);
  }
}

/** The Management API; null without a token or a project, and why. */
function openApi(
  { management, projectRef }: Environment,
): { api: ManagementApi | null; why: string } {
  if (projectRef === null) {
    return { api: null, why: "no project is known: set SUPABASE_URL or BACKUP_PROJECT_REF" };
  }
  if (management.token === null) {
    return {
      api: null,
      why: "BACKUP_MANAGEMENT_TOKEN is not set: make an access token in the account's settings, " +
        "then supabase secrets set BACKUP_MANAGEMENT_TOKEN=…",
    };
  }
  const { url, token } = management;
  return { api: managementApi({ baseUrl: url, projectRef, token }), why: "" };
}
