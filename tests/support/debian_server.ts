/**
 * Debian's PostgreSQL 15, for tests of what the package from npm lacks: pg_cron, and headers to build
 * modules of our own. Machines without it skip those tests.
 *
 * @module
 */
import { type EmbeddedPostgres, startPostgres } from "../../scripts/embedded_postgres.ts";

const HOME = "/usr/lib/postgresql/15";

/** Why tests that need Debian's server are skipped, for their names. */
export const DEBIAN_REASON = "needs Debian's postgresql-15";

/** How to start it. */
export interface DebianServerOptions {
  /** Settings of the server, such as `{ "cron.database_name": "app" }`. */
  settings?: Record<string, string>;
  /** Modules for `shared_preload_libraries`: names that Debian installed, or paths. */
  preload?: string[];
  /** TCP port, so that a test can start it again there; a free one when absent. */
  port?: number;
}

/** Whether Debian's server is here, with these extensions. */
export function hasDebianServer(extensions: readonly string[] = []): boolean {
  return [
    `${HOME}/bin/postgres`,
    ...extensions.map((name) => `/usr/share/postgresql/15/extension/${name}.control`),
  ].every(isFile);
}

/** Whether a C module can be built for it. */
export function canBuildModules(): boolean {
  return [
    "/usr/bin/gcc",
    `${HOME}/bin/pg_config`,
    "/usr/include/postgresql/15/server/postgres.h",
  ].every(isFile);
}

/**
 * Starts a server of its own, as a user that is not root. `pg_cron` needs nothing but its name in
 * `preload`: jobs run in background workers, and its table is in database `postgres` unless
 * `cron.database_name` says otherwise.
 *
 * @returns null where Debian's server is not installed
 */
export async function debianServer(
  options: DebianServerOptions = {},
): Promise<EmbeddedPostgres | null> {
  const { settings = {}, preload = [], port } = options;
  if (!hasDebianServer()) return null;
  return await startPostgres({
    major: 15,
    home: HOME,
    ...(port === undefined ? {} : { port }),
    settings: {
      ...(preload.length === 0 ? {} : { shared_preload_libraries: preload.join(",") }),
      ...(preload.includes("pg_cron") ? { "cron.use_background_workers": "on" } : {}),
      ...settings,
    },
  });
}

/**
 * Builds a module of one C file in a new temporary folder that every user may enter.
 *
 * @returns its path, for `preload`, and what removes it
 * @throws {Error} with what the compiler says
 */
export async function buildModule(
  source: string,
): Promise<{ path: string; [Symbol.asyncDispose](): Promise<void> }> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-module-" });
  await Deno.chmod(folder, 0o755);
  const path = `${folder}/module.so`;
  const output = await new Deno.Command("/usr/bin/gcc", {
    args: [
      ...["-shared", "-fPIC", "-O1", "-Wall", "-Werror"],
      ...["-I", "/usr/include/postgresql/15/server", "-o", path, source],
    ],
    stdin: "null",
  }).output();
  if (!output.success) {
    throw new Error(`Cannot build ${source}: ${new TextDecoder().decode(output.stderr)}`);
  }
  return { path, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
