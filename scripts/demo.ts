/**
 * `task demo`: a Supabase-shaped database with a real application goes in, is destroyed, and comes out
 * the same. Everything is made here and removed at the end; ends with 0 only when equality is proved.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { toBase64 } from "../supabase/functions/backup/core/bytes.ts";
import { randomId } from "../supabase/functions/backup/core/ids.ts";
import { connect } from "../supabase/functions/backup/postgres/connect.ts";
import { differences, inspectDatabase, type Inspection } from "./demo/inspect_database.ts";
import { loadSampleApplication, type Project, startProject } from "./demo/start_project.ts";
import { join } from "./paths.ts";
import { type RunningService, startService } from "./start_service.ts";

/** A job as the demo looks at it. */
interface DemoJob {
  jobId: string;
  status: string;
  sizeBytes: number | null;
  // deno-lint-ignore no-explicit-any -- the service's own description is action=openapi
  result: any;
}

/** A hazard of a plan. */
interface DemoHazard {
  name: string;
  objects: string[];
  undoneBySafetyBackup: boolean;
}

async function main(): Promise<boolean> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-demo-" });
  const started = Date.now();
  await using project = await timed(
    "start PostgreSQL 17, shaped like Supabase",
    () => startProject(),
  );
  await timed("load the sample application", () => loadSampleApplication(project));
  const key = `sb_secret_${randomId(32)}`;
  const service = startService({
    SUPABASE_DB_URL: project.databaseUrl,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: key }),
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: join(folder, "backups"),
    BACKUP_ENCRYPTION_KEY: toBase64(crypto.getRandomValues(new Uint8Array(32))),
  });
  try {
    const equal = await tell(project, service, key);
    console.log(`\n${equal ? "EQUAL" : "NOT EQUAL"} after ${seconds(Date.now() - started)} in all`);
    return equal;
  } finally {
    await service.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

async function tell(project: Project, service: RunningService, key: string): Promise<boolean> {
  const call = caller(service.url, key);
  console.log(`\nThe service: ${service.url}`);
  await timed("POST ?action=init", () => call("POST", "init"));
  const before = await timed("look at the database by SQL alone", () => inspect(project));
  console.log(
    `  ${before.tables} tables, ${before.totalRows} rows, ${before.definitions.size} definitions`,
  );

  const first = await timed(
    "POST ?action=backup-database",
    () => job(call, "backup-database", { reason: "demo" }),
  );
  printBackup(first);
  const second = await timed(
    "POST ?action=backup-database again, nothing changed",
    () => job(call, "backup-database", {}),
  );
  printBackup(second);
  await timed(
    "POST ?action=verify, level full",
    () => job(call, "verify", { level: "full", backupId: first.jobId }),
  );

  await timed("destroy", () => destroy(project));
  const ruined = differences(before, await inspect(project));
  console.log(
    `  ${ruined.length} differences, such as ${ruined.slice(0, 2).join(" | ").slice(0, 160)}`,
  );
  if (ruined.length === 0) {
    throw new Error("Cannot prove anything: the destruction changed nothing");
  }

  const restore = { backupId: first.jobId, type: "database" };
  const plan = await timed(
    "POST ?action=restore, dryRun",
    () => job(call, "restore", { ...restore, dryRun: true }),
  );
  const hazards = (plan.result?.plan?.hazards ?? []) as DemoHazard[];
  for (const { name, objects } of hazards) {
    console.log(`  hazard ${name}: ${objects.length} objects`);
  }
  // What the safety backup can undo needs no further word.
  const acceptHazards = hazards.filter((one) => !one.undoneBySafetyBackup).map((one) => one.name);
  const restored = await timed(
    "POST ?action=restore",
    () => job(call, "restore", { ...restore, acceptHazards }),
  );
  console.log(`  ${restored.jobId} ${restored.status}`);
  const left = differences(before, await timed("look again", () => inspect(project)));
  for (const difference of left.slice(0, 20)) console.error(`  DIFFERENT ${difference}`);
  return left.length === 0;
}

async function inspect(project: Project): Promise<Inspection> {
  const session = await connect({ url: project.adminUrl });
  try {
    return await inspectDatabase(session);
  } finally {
    await session.close();
  }
}

async function destroy(project: Project): Promise<void> {
  const session = await connect({ url: project.databaseUrl });
  try {
    await session.execute("set statement_timeout = 0");
    await session.execute(await Deno.readTextFile(new URL("demo/destroy.sql", import.meta.url)));
  } finally {
    await session.close();
  }
}

// deno-lint-ignore no-explicit-any -- answers are looked at field by field
type Call = (method: string, query: string, body?: unknown) => Promise<any>;

function caller(url: string, key: string): Call {
  return async (method, query, body) => {
    const response = await fetch(`${url}?action=${query}`, {
      method,
      headers: { apikey: key, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    if (!answer.success) {
      throw new Error(
        `${query}: ${response.status} ${JSON.stringify(answer.error).slice(0, 3000)}`,
      );
    }
    return answer.data;
  };
}

/** Starts a job and follows it to its end, as a script of an operator would. */
async function job(call: Call, action: string, body: unknown): Promise<DemoJob> {
  let job = await call("POST", `${action}&wait=60`, body);
  const type = action === "backup-database" ? "backup" : action;
  while (job.status === "running") {
    await new Promise((resolve) => setTimeout(resolve, 500));
    job = await call("GET", `job&jobId=${job.jobId}&type=${type}`);
  }
  if (job.status !== "completed") {
    throw new Error(`${action}: ${job.status}: ${JSON.stringify(job.error).slice(0, 3000)}`);
  }
  return job;
}

function printBackup(job: DemoJob): void {
  const totals = job.result?.totals ?? {};
  console.log(
    `  ${job.jobId}: ${totals.entries} entries, ${totals.rows} rows, ${
      megabytes(totals.rawBytes)
    } raw, ` +
      `${
        megabytes(totals.newStoredBytes)
      } newly stored in ${totals.newChunks} of ${totals.chunks} chunks`,
  );
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const begun = Date.now();
  const result = await work();
  console.log(`${seconds(Date.now() - begun).padStart(8)}  ${what}`);
  return result;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_000_000).toFixed(2)} MB`;
}

let equal = false;
try {
  equal = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
}
Deno.exit(equal ? 0 : 1);
