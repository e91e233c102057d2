/**
 * An embedded PostgreSQL 17 shaped like a Supabase project, for the demo, `task serve` and the tests.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { type EmbeddedPostgres, type StartOptions, startPostgres } from "../embedded_postgres.ts";

/** A running project. */
export interface Project {
  server: EmbeddedPostgres;
  /** The database as the role `postgres`, which is no superuser: what SUPABASE_DB_URL holds on the platform. */
  databaseUrl: string;
  /** The database as the cluster's superuser. */
  adminUrl: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a server and gives it the platform's shape if it does not have it yet. */
export async function startProject(
  options: Partial<
    Pick<StartOptions, "dataDirectory" | "port" | "fsync" | "major" | "home" | "settings">
  > = {},
): Promise<Project> {
  const server = await startPostgres({ major: 17, ...options, superuser: "supabase_admin" });
  try {
    const adminUrl = server.url("postgres");
    await shape(adminUrl);
    return {
      server,
      databaseUrl: server.url("postgres", "postgres"),
      adminUrl,
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

/** Loads the sample application, a shop with some hundred thousand rows, unless it is there already. */
export async function loadSampleApplication(project: Project): Promise<void> {
  const session = await connect({ url: project.adminUrl });
  const there = await session.query("select from pg_catalog.pg_namespace where nspname = 'shop'")
    .finally(() => session.close());
  if (there.length > 0) return;
  await runScript(project.databaseUrl, "sample_application.sql");
  await runScript(project.adminUrl, "sample_platform.sql");
  await runScript(project.databaseUrl, "sample_rows.sql");
}

async function shape(adminUrl: string): Promise<void> {
  const session = await connect({ url: adminUrl });
  try {
    const found = await session.query(
      "select 1 as one from pg_catalog.pg_roles where rolname = 'anon'",
    );
    if (found.length === 0) await session.execute(await readScript("supabase_shape.sql"));
  } finally {
    await session.close();
  }
}

async function runScript(url: string, name: string): Promise<void> {
  const session = await connect({ url });
  try {
    await session.execute("set statement_timeout = 0");
    await session.execute(await readScript(name));
  } finally {
    await session.close();
  }
}

async function readScript(name: string): Promise<string> {
  return await Deno.readTextFile(new URL(name, import.meta.url));
}
