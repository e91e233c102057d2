/**
 * Opens what surrounds the database: the Management API, Storage and sessions, as far as the environment
 * gives tokens and keys for them.
 *
 * @module
 */
import type { Environment } from "./core/environment.ts";
import { BackupError } from "./core/errors.ts";
import type { ItemSource, ItemTarget, ItemType, OpenContent } from "./core/items.ts";
import type { Secret } from "./core/secret.ts";
import type { Settings } from "./core/settings.ts";
import type { Session } from "./postgres/session.ts";
import {
  configSource,
  configTarget,
  filesAccess,
  filesTarget,
  functionsSource,
  functionsTarget,
  leaveExisting,
  type ManagementAccess,
  managementAccess,
  type ManagementApi,
  openFilesSource,
  openStorageApi,
  openVaultSeal,
  secretsSource,
  secretsTarget,
  type SharedPace,
  storageAccess,
  type VaultSeal,
} from "./project/mod.ts";
import { OWN_SCHEMA, OWN_TABLES } from "./state/migrations.ts";
import type { ProjectAccess } from "./usecases/deps.ts";

/** This service's tables are no part of a project's configuration. */
const OWN = { schemas: [OWN_SCHEMA], tables: OWN_TABLES.map((table) => `public.${table}`) };

/** What it is made of. */
export interface CreateProjectOptions {
  environment: Environment;
  /** Opens a session on the service's database. */
  connect: () => Promise<Session>;
  /** What a reference of the settings stands for. */
  secret: (reference: string) => Promise<Secret>;
  /** The pace of all workers towards the Management API. @default each worker has its own alone */
  sharedPace?: SharedPace;
}

/** Nothing is asked of the project yet. */
export function createProject(options: CreateProjectOptions): ProjectAccess {
  let access: ManagementAccess | undefined;
  const pace = options.sharedPace === undefined ? {} : { sharedPace: options.sharedPace };
  // One client for the process: its pace is that of all calls together.
  const management = () => access ??= managementAccess(options.environment, pace);
  return {
    source: (type, settings) => openSource(type, { ...options, settings, ...management() }),
    target: (type, settings, how) =>
      openTarget(type, { ...options, settings, ...management(), ...how }),
    management,
  };
}

/** What is opened, and how its connections are freed. */
type Opened<T> = T & { leave(): Promise<void> };

/** What opening needs to know. */
type Opening = CreateProjectOptions & ManagementAccess & { settings: Settings };

const nothing = () => Promise.resolve();

async function openSource(
  type: ItemType,
  opening: Opening,
): Promise<Opened<{ source: ItemSource }>> {
  const { environment, settings, api, projectRef } = opening;
  const { variable } = environment;
  const reach = { api, projectRef, ...(api === null ? { withoutApi: opening.withoutApi } : {}) };
  switch (type) {
    case "function":
      requireApi(opening, "Edge Functions");
      return { source: functionsSource(reach), leave: nothing };
    case "config": {
      const source = configSource({
        ...reach,
        connect: databaseOf(opening),
        environment: { variable, declared: settings.plainVariables },
        settingsTables: settings.settingsTables,
        own: OWN,
      });
      return { source, leave: nothing };
    }
    case "secrets": {
      const vaultSeal = await openSeal(opening);
      if (vaultSeal === null) requireApi(opening, "secrets");
      const source = secretsSource({
        ...reach,
        ...{ variable, vaultSeal, connect: databaseOf(opening), references: references(settings) },
      });
      return { source, leave: nothing };
    }
    case "files": {
      let leave = nothing;
      const source = await openFilesSource(filesAccess(environment), {
        projectRef,
        async openDatabase() {
          const opened = await openDatabase(opening);
          leave = opened.leave;
          return opened.database;
        },
      });
      return { source, leave: () => leave() };
    }
  }
}

async function openTarget(
  type: ItemType,
  opening: Opening & { replace: boolean; open: OpenContent },
): Promise<Opened<{ target: ItemTarget }>> {
  const { environment, api, replace, open } = opening;
  const kept = (target: ItemTarget) => replace ? target : leaveExisting(target);
  switch (type) {
    case "function": {
      const target = functionsTarget({
        api: requireApi(opening, "Edge Functions"),
        ownSlug: ownSlug(environment),
      });
      return { target: kept(target), leave: nothing };
    }
    case "config": {
      const target = configTarget({ api, connect: databaseOf(opening), open, own: OWN });
      return { target: kept(target), leave: nothing };
    }
    case "secrets": {
      const vaultSeal = await openSeal(opening);
      const connect = databaseOf(opening);
      const target = secretsTarget({ api, connect, vaultSeal, open });
      return { target: kept(target), leave: nothing };
    }
    case "files": {
      const storage = openStorageApi(storageAccess(environment));
      const { database, leave } = await openDatabase(opening);
      const target = filesTarget({
        ...{ api: storage, database, ownersAndTimes: database !== null },
        onExisting: replace ? "replace" : "skip",
      });
      return { target, leave };
    }
  }
}

/** @throws `invalid_config` without a token or a project */
function requireApi(access: ManagementAccess, what: string): ManagementApi {
  if (access.api !== null) return access.api;
  throw new BackupError("invalid_config", `Cannot reach ${what}: ${access.withoutApi}`, {
    hint: "Make an access token in the account's settings on supabase.com, then " +
      "supabase secrets set BACKUP_MANAGEMENT_TOKEN=….",
  });
}

/** The name under which the platform serves this function; null elsewhere. */
function ownSlug({ functionUrl }: Environment): string | null {
  return /\/functions\/v1\/([^/]+)$/.exec(functionUrl ?? "")?.[1] ?? null;
}

/** References to secrets that the settings hold, by the setting. */
function references(settings: Settings): Record<string, string> {
  const { accessKey, secretKey } = settings.backupStorageConfig;
  const { encryptionKey, vaultKey } = settings;
  const all = { encryptionKey, vaultKey, "backupStorageConfig.accessKey": accessKey };
  const ofCopies = settings.destinations.flatMap((copy) => [
    [`destinations.${copy.name}.accessKey`, copy.accessKey],
    [`destinations.${copy.name}.secretKey`, copy.secretKey],
  ]);
  const entries = [
    ...Object.entries({ ...all, "backupStorageConfig.secretKey": secretKey }),
    ...ofCopies,
  ];
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/** What seals contents of the Vault; null where they are not to be saved. */
async function openSeal({ settings, secret }: Opening): Promise<VaultSeal | null> {
  const { vaultKey, encryptionKey, enableEncryption } = settings;
  if (vaultKey === undefined) return null;
  const isSealed = enableEncryption && encryptionKey !== undefined;
  const repositoryKey = isSealed ? await secret(encryptionKey) : null;
  return await openVaultSeal(await secret(vaultKey), { repositoryKey });
}

function databaseOf({ environment, connect }: Opening): (() => Promise<Session>) | null {
  return environment.databaseUrl === null ? null : connect;
}

/** A session on the service's database; null when the environment knows none. */
async function openDatabase(opening: Opening): Promise<Opened<{ database: Session | null }>> {
  const database = await databaseOf(opening)?.() ?? null;
  return { database, leave: async () => await database?.close() };
}
