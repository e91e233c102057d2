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
import {
  configSource,
  configTarget,
  filesSource,
  filesTarget,
  type ManagementApi,
  managementApi,
  StorageApi,
} from "./project/mod.ts";
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

/** What is opened, and how its connections are freed. */
type Opened<T> = T & { leave(): Promise<void> };

const nothing = () => Promise.resolve();

async function openSource(
  type: ItemType,
  { environment, connect }: CreateProjectOptions,
): Promise<Opened<{ source: ItemSource }>> {
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
      return { source, leave: nothing };
    }
    case "files": {
      const storage = openFiles(environment);
      const { database, leave } = await openDatabase(environment, connect);
      return { source: filesSource({ api: storage, projectRef, database }), leave };
    }
    default:
      throw new BackupError("invalid_config", `Cannot save (${type}): ${why}`);
  }
}

async function openTarget(
  type: ItemType,
  { replace, open }: { replace: boolean; open: OpenContent },
  { environment, connect }: CreateProjectOptions,
): Promise<Opened<{ target: ItemTarget }>> {
  const { api, why } = openApi(environment);
  switch (type) {
    case "config": {
      const database = environment.databaseUrl === null ? null : connect;
      return { target: configTarget({ api, connect: database, open }), leave: nothing };
    }
    case "files": {
      const storage = openFiles(environment);
      const { database, leave } = await openDatabase(environment, connect);
      const target = filesTarget({
        ...{ api: storage, database, ownersAndTimes: database !== null },
        onExisting: replace ? "replace" : "skip",
      });
      return { target, leave };
    }
    default:
      throw new BackupError("invalid_config", `Cannot restore (${type}): ${why}`);
  }
}

/** A session that the first use opens; null when the environment knows no database. */
async function openDatabase(
  { databaseUrl }: Environment,
  connect: () => Promise<Session>,
): Promise<{ database: Session | null; leave(): Promise<void> }> {
  if (databaseUrl === null) return { database: null, leave: nothing };
  const database = await connect();
  return { database, leave: () => database.close() };
}

/** @throws `invalid_config` without an address or a key of Storage */
function openFiles({ secretKeys, serviceRoleKey, variable }: Environment): StorageApi {
  const project = variable("SUPABASE_URL");
  const key = secretKeys[0]?.key ?? serviceRoleKey;
  if (project !== undefined && key !== null && key !== undefined) {
    return new StorageApi({ url: `${project.replace(/\/$/, "")}/storage/v1`, key });
  }
  const missing = project === undefined ? "SUPABASE_URL" : "SUPABASE_SECRET_KEYS";
  throw new BackupError("invalid_config", `Cannot reach Storage: ${missing} is not set`, {
    hint: "The platform sets it for its functions; elsewhere set it to the project's.",
  });
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
