/**
 * `task serve`: the service on this machine, at the address it has in a local Supabase project. Without
 * SUPABASE_DB_URL it starts a PostgreSQL of its own; without storage settings it keeps backups in `.data/`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { toBase64 } from "../supabase/functions/backup/core/bytes.ts";
import { randomId } from "../supabase/functions/backup/core/ids.ts";
import { loadSampleApplication, type Project, startProject } from "./demo/start_project.ts";
import { ROOT } from "./embedded_postgres.ts";
import { servedConnections, servedThreads } from "./host/served_threads.ts";
import { join } from "./paths.ts";
import { startService } from "./start_service.ts";

const DATA = join(ROOT, ".data");

/** Keys made on the first start and kept, so that backups of yesterday can be read today. */
interface LocalKeys {
  secretKey: string;
  encryptionKey: string;
}

async function localKeys(): Promise<LocalKeys> {
  const file = join(DATA, "keys.json");
  try {
    return JSON.parse(await Deno.readTextFile(file));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const keys = {
    secretKey: `sb_secret_${randomId(32)}`,
    encryptionKey: toBase64(crypto.getRandomValues(new Uint8Array(32))),
  };
  await Deno.writeTextFile(file, JSON.stringify(keys, null, 2), { mode: 0o600 });
  return keys;
}

/** Ends with words where another one serves already. */
function refuse(why: string): never {
  console.error(`Cannot serve: ${why}`);
  Deno.exit(1);
}

/** Looked at before a database is started for nothing. */
function refuseTakenPort(port: number): void {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    refuse(
      `port ${port} is in use, perhaps by another \`task serve\`. End that one, or set another port: PORT=54399`,
    );
  }
}

async function startOwnProject(): Promise<Project> {
  try {
    return await startProject({ dataDirectory: join(DATA, "postgres"), fsync: true });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse(
      `its PostgreSQL in .data/postgres does not start, perhaps because another \`task serve\` runs in this folder: ${why}`,
    );
  }
}

async function main(): Promise<void> {
  await Deno.mkdir(DATA, { recursive: true });
  const port = Number(Deno.env.get("PORT") ?? 54321);
  refuseTakenPort(port);
  const keys = await localKeys();
  const variables: Record<string, string> = {};
  const secretKey = firstSecretKey(Deno.env.get("SUPABASE_SECRET_KEYS")) ??
    Deno.env.get("SUPABASE_SERVICE_ROLE_KEY") ?? keys.secretKey;
  if (!Deno.env.get("SUPABASE_SECRET_KEYS")) {
    variables.SUPABASE_SECRET_KEYS = JSON.stringify({ default: keys.secretKey });
  }
  if (!Deno.env.get("BACKUP_ENCRYPTION_KEY")) variables.BACKUP_ENCRYPTION_KEY = keys.encryptionKey;
  if (!Deno.env.get("BACKUP_DATABASE_CONNECTIONS")) {
    variables.BACKUP_DATABASE_CONNECTIONS = String(servedConnections());
  }
  if (!Deno.env.get("BACKUP_STORAGE_TYPE")) variables.BACKUP_STORAGE_TYPE = "local";
  if (!Deno.env.get("BACKUP_STORAGE_PATH")) variables.BACKUP_STORAGE_PATH = join(DATA, "backups");

  let project: Project | null = null;
  if (!Deno.env.get("SUPABASE_DB_URL") && !Deno.env.get("BACKUP_DATABASE_URL")) {
    console.log("Starting PostgreSQL 17, shaped like a Supabase project, in .data/postgres …");
    project = await startOwnProject();
    if (Deno.args.includes("--sample")) await loadSampleApplication(project);
    variables.SUPABASE_DB_URL = project.databaseUrl;
  }
  const service = startService(variables, {
    ...{ port, inherit: true, ticker: true, threads: servedThreads() },
  });
  printUsage(service.url, secretKey, variables.SUPABASE_DB_URL);

  await Promise.race([signalled("SIGINT"), signalled("SIGTERM")]);
  console.log("Stopping …");
  await service.stop();
  await project?.[Symbol.asyncDispose]();
}

/** The first key of the dictionary, the one that the printed lines use. */
function firstSecretKey(dictionary: string | undefined): string | undefined {
  if (!dictionary) return undefined;
  return Object.values(JSON.parse(dictionary) as Record<string, string>)[0];
}

function printUsage(url: string, key: string, database: string | undefined): void {
  const line = (rest: string) => `  curl -s ${rest} -H "apikey: $KEY"`;
  console.log(`
The service is at ${url}${database === undefined ? "" : `\nIts database: ${database}`}

  export URL='${url}' KEY='${key}'
${line(`-X POST "$URL?action=init"`)}
${line(`"$URL?action=status"`)}
${line(`-X POST "$URL?action=backup-database&wait=60"`)}
${line(`"$URL?action=jobs"`)}
${
    line(
      `-X POST "$URL?action=restore&wait=60" -d '{"backupId":"latest","type":"database","dryRun":true}'`,
    )
  }

Ctrl-C stops it.`);
}

function signalled(name: Deno.Signal): Promise<void> {
  return new Promise((resolve) => Deno.addSignalListener(name, resolve));
}

await main();
Deno.exit(0);
