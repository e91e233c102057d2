/**
 * What the process was given, as data. Only `config.ts` reads it from the real environment.
 *
 * @module
 */
import type { Secret } from "./secret.ts";
import type { SettingsPatch } from "./settings.ts";

/** A key that opens the service; its name is the "who" of the audit log. */
export interface NamedKey {
  name: string;
  key: Secret;
}

/** See the module. */
export interface Environment {
  /** Settings by `BACKUP_*` variables. */
  settings: SettingsPatch;
  /** The database that is backed up and holds the service's tables; null when none is set. */
  databaseUrl: Secret | null;
  /** Secret keys of the project. */
  secretKeys: NamedKey[];
  /** The legacy service-role JWT. */
  serviceRoleKey: Secret | null;
  /** Anonymous and publishable keys: known, and refused. */
  publicKeys: Secret[];
  /** Names of the keys that may call; null means all secret keys. */
  allowedKeys: string[] | null;
  /** Hosts that requests and rows may name; null means the default of `core/allowed_hosts.ts`. */
  allowedHosts: string[] | null;
  /** Demanded besides for what can destroy. */
  adminKey: Secret | null;
  /** Whether this is the hosted runtime, whose disk is gone after the invocation. */
  hosted: boolean;
  /** Whether the platform's runtime carries this process, hosted or on a developer's machine. */
  edgeRuntime: boolean;
  /** The project's ref, null outside Supabase. */
  projectRef: string | null;
  /** The API that manages projects. Settings and requests cannot change where its token is sent, or how often. */
  management: { url: string; token: Secret | null; requestsPerMinute: number };
  /** Where this service is called, also by itself; null when it does not know. */
  functionUrl: string | null;
  /** A variable that a reference `env:NAME` names. */
  variable(name: string): string | undefined;
}
