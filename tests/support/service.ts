/**
 * A served function over a small project of its own, for tests that speak HTTP only.
 *
 * @module
 */
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { type Project, startProject } from "../../scripts/demo/start_project.ts";
import { type RunningService, startService } from "../../scripts/start_service.ts";

/** The keys that the test services know. */
export const KEYS = {
  secret: "sb_secret_test_0123456789abcdef",
  other: "sb_secret_other_0123456789abcdef",
  serviceRole: "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.test",
  anon: "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.test",
  publishable: "sb_publishable_test_0123456789",
} as const;

/** An answer of the service. */
export interface Answer {
  status: number;
  headers: Headers;
  // deno-lint-ignore no-explicit-any -- tests look at answers field by field
  body: any;
}

/** How a request deviates from a good one. */
export interface CallOptions {
  method?: string;
  /** Sent as it is when a string. */
  body?: unknown;
  headers?: Record<string, string>;
  /** False sends no key. */
  key?: string | false;
}

/** A project, its service, and ways to start more services on the same project. */
export interface ServiceUnderTest {
  project: Project;
  variables: Record<string, string>;
  service: RunningService;
  /** Another service on the same project and storage with other variables. */
  variant(variables: Record<string, string>): RunningService & AsyncDisposable;
  /** A connection as the project's superuser. */
  admin(): Promise<Session & AsyncDisposable>;
  stop(): Promise<void>;
}

/** For tests that tick and want nothing to be begun by it. */
export const NOTHING_DUE = {
  BACKUP_ENABLE_DATABASE_BACKUP: "false",
  BACKUP_ENABLE_FUNCTION_BACKUP: "false",
  BACKUP_ENABLE_CONFIG_BACKUP: "false",
  BACKUP_ENABLE_SECRETS_BACKUP: "false",
  BACKUP_ENABLE_FILES_BACKUP: "false",
} as const;

/** Starts it on an empty project. @param more variables beside the usual ones */
export async function startServiceUnderTest(
  more: Record<string, string> = {},
): Promise<ServiceUnderTest> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-acceptance-" });
  const project = await startProject();
  const variables = {
    SUPABASE_DB_URL: project.databaseUrl,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secret, other: KEYS.other }),
    SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: KEYS.publishable }),
    SUPABASE_ANON_KEY: KEYS.anon,
    SUPABASE_SERVICE_ROLE_KEY: KEYS.serviceRole,
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: `${folder}/backups`,
    BACKUP_ENCRYPTION_KEY: toBase64(crypto.getRandomValues(new Uint8Array(32))),
    ...more,
  };
  const service = startService(variables);
  return {
    project,
    variables,
    service,
    variant(others) {
      const variant = startService({ ...variables, ...others });
      return { ...variant, [Symbol.asyncDispose]: () => variant.stop() };
    },
    async admin() {
      const session = await connect({ url: project.adminUrl });
      return Object.assign(session, { [Symbol.asyncDispose]: () => session.close() });
    },
    async stop() {
      await service.stop();
      await project[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Sends a request to an action; `query` is what follows `?action=`. */
export async function call(
  service: RunningService,
  query: string,
  options: CallOptions = {},
): Promise<Answer> {
  const { method = options.body === undefined ? "GET" : "POST", body, headers = {} } = options;
  const key = options.key ?? KEYS.secret;
  const response = await fetch(`${service.url}?action=${query}`, {
    method,
    headers: { ...(key === false ? {} : { apikey: key }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** POSTs and waits for the job's end. */
export function post(service: RunningService, query: string, body: unknown = {}): Promise<Answer> {
  return call(service, query, { method: "POST", body });
}
