/**
 * What keeps a long history in order, under enforced hosted limits: with thousands of backups and a hundred
 * thousand chunks `init` rebuilds the tables, `status` and its like answer, everything is verified, and
 * cleanups let backups go and free their space. At last chunks are lost, and a verification names them.
 *
 * @module
 */
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { InitReport } from "../../supabase/functions/backup/usecases/service/initialize.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { writeManyBackups } from "../../tests/support/many_backups.ts";
import { type MemoryS3Server, startMemoryS3Server } from "../../tests/support/memory_s3_server.ts";
import type { MemoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import type { PlatformFigures } from "../../tests/support/hosted_platform.ts";
import { type HostedService, startHostedService } from "./hosted_service.ts";

/** What to try. */
export interface KeepingOptions {
  sourceUrl: string;
  targetUrl: string;
  backups: number;
  /** Chunks of rows in all. */
  chunks: number;
  tickMs?: number;
  onStep?: (step: string) => void;
}

/** What one action or job took. */
export interface KeepingStep {
  what: string;
  cpuMs: number;
  seconds: number;
  isolates: number;
  storageCalls: number;
}

/** What came of it. */
export interface KeepingReport {
  steps: KeepingStep[];
  peakMemoryBytes: number;
  peakResidentBytes: number;
  /** What is wrong, in words; nothing when all is well. */
  problems: string[];
}

/** Chunks that all backups share. */
const SHARED = 20;
/** A backup refers to so few chunks of its own that making it asks for each. */
const MOST_OWN = 40;
const DAY_MS = 86_400_000;
/** CPU that an answer may take, a worker's start included; `init` does work besides. */
const MOST_CPU_MS = 1000;
const MOST_INIT_MS = 1700;
/** `init` adds more rows than this with each call. */
const FEWEST_ADDED = 200;

/** What answers directly. */
const ANSWERS = ["status", "recovery-points", "jobs", "executions"];

/** Runs of the past, each with a result that names all backups, and the longest lists of them. */
const PAST_RUNS = 200;
const LONG_LISTS = ["jobs&type=cleanup&limit=200", "jobs&type=verify&limit=200"];

/** Of the chunks one in so many is lost at the end. */
const LOST_ONE_IN = 50;

/** Runs the trial. */
export async function tryKeeping(options: KeepingOptions): Promise<KeepingReport> {
  const { sourceUrl, backups } = options;
  const { trial, storage, s3 } = await startWithHistory(options);
  await using _service = trial.service;
  for (let call = 1; call * FEWEST_ADDED < backups + FEWEST_ADDED; call++) {
    const { steps } = await answer(trial, "init", { method: "POST" }) as InitReport;
    if (steps.find(({ step }) => step === "list-of-backups")?.done) break;
  }
  await expectRows(trial, { sourceUrl, backups });
  for (const query of ANSWERS) await answer(trial, query, { method: "GET" });
  await job(trial, "cleanup", {});
  for (const query of ANSWERS) await answer(trial, query, { method: "GET" });
  await job(trial, "verify", { level: "quick" });
  await job(trial, "verify", { level: "full" });
  await addPastRuns(sourceUrl);
  for (const query of LONG_LISTS) await answer(trial, query, { method: "GET" });
  await loseChunks(storage, s3);
  await job(trial, "verify", { level: "quick" }, { fails: "object_missing" });
  return reportOf(trial);
}

/** Reads all of such a history, and once more after chunks were lost. */
export async function tryVerifying(options: KeepingOptions): Promise<KeepingReport> {
  const { trial, storage, s3 } = await startWithHistory(options);
  await using _service = trial.service;
  await job(trial, "verify", { level: "full" });
  await loseChunks(storage, s3);
  await job(trial, "verify", { level: "full" }, { fails: "object_missing" });
  return reportOf(trial);
}

async function startWithHistory(
  options: KeepingOptions,
): Promise<{ trial: Trial; storage: MemoryStorage; s3: MemoryS3Server }> {
  const { sourceUrl, targetUrl, backups, chunks, tickMs, onStep = () => {} } = options;
  const encryptionKey = toBase64(crypto.getRandomValues(new Uint8Array(32)));
  onStep(`making ${backups} backups`);
  const storage = await writeManyBackups({
    ...{ key: new Secret(encryptionKey), backups, sharedChunks: SHARED },
    ownChunks: Math.min(Math.ceil(chunks / backups), MOST_OWN),
    newest: new Date(Date.now() - DAY_MS),
    onProgress: (made) => onStep(`${made} backups`),
  });
  const s3 = startMemoryS3Server(storage);
  const service = await startHostedService({
    ...{ sourceUrl, targetUrl, stored: { s3, encryptionKey } },
    ...(tickMs === undefined ? {} : { tickMs }),
    variables: {
      BACKUP_ENABLE_DATABASE_BACKUP: "false",
      BACKUP_ENABLE_FUNCTION_BACKUP: "false",
      BACKUP_ENABLE_SECRETS_BACKUP: "false",
      BACKUP_DATABASE_BACKUP_RETENTION: "30",
    },
  });
  const trial = { service, steps: [], onStep, problems: [], calls: () => s3.calls() };
  return { trial, storage, s3 };
}

/** What a trial has come to. */
export function reportOf({ service, steps, problems }: Trial): KeepingReport {
  const { peakMemoryBytes, peakResidentBytes } = service.platform.figures();
  return { steps, peakMemoryBytes, peakResidentBytes, problems };
}

/** What steps of a trial share. */
export interface Trial {
  service: HostedService;
  steps: KeepingStep[];
  problems: string[];
  onStep: (step: string) => void;
  calls: () => number;
}

async function answer(
  trial: Trial,
  query: string,
  options: { method: string },
): Promise<unknown> {
  let said: unknown;
  await measure(trial, query, async () => {
    said = await trial.service.call(query, options);
  }, { mostCpuMs: query === "init" ? MOST_INIT_MS : MOST_CPU_MS });
  return said;
}

/** The tables know every backup again. */
async function expectRows(
  { problems }: Trial,
  { sourceUrl, backups }: { sourceUrl: string; backups: number },
): Promise<void> {
  const session = await connect({ url: sourceUrl });
  try {
    const [row] = await session.query("SELECT count(*)::integer AS rows FROM public.backup_jobs");
    if (row?.rows !== backups) problems.push(`${row?.rows} rows of ${backups} backups`);
  } finally {
    await session.close();
  }
}

/** Copies the last cleanup and the last verification into the past. */
async function addPastRuns(sourceUrl: string): Promise<void> {
  const session = await connect({ url: sourceUrl });
  try {
    for (const table of ["cleanup_jobs", "verify_jobs"]) {
      await session.execute(`
        INSERT INTO backup_internal.${table} (job_id, type, status, started_at, completed_at, metadata)
        SELECT job_id || '_' || days, type, status, started_at - days * interval '1 day',
               completed_at - days * interval '1 day', metadata
          FROM (SELECT * FROM backup_internal.${table} WHERE status = 'completed'
                 ORDER BY started_at DESC LIMIT 1) last, generate_series(1, ${PAST_RUNS}) days`);
    }
  } finally {
    await session.close();
  }
}

async function loseChunks({ objects }: MemoryStorage, { endpoint }: MemoryS3Server): Promise<void> {
  const chunks = [...objects.keys()].filter((name) => name.startsWith("chunks/"));
  for (const name of chunks.filter((_, at) => at % LOST_ONE_IN === 0)) {
    const answer = await fetch(`${endpoint}/backups/${name}`, { method: "DELETE" });
    await answer.body?.cancel();
  }
}

/**
 * Runs a job to its end; gives its result, null when it failed.
 *
 * @param options `fails`: the code with which it has to fail
 */
export async function job(
  trial: Trial,
  action: string,
  body: Record<string, unknown>,
  { fails }: { fails?: string } = {},
): Promise<Record<string, unknown> | null> {
  const what = `${action} ${JSON.stringify(body)}`;
  let ended: Record<string, unknown> | null = null;
  await measure(trial, what, async () => {
    const { job: { status, error, result } } = await trial.service.run(action, body);
    if (fails !== undefined) {
      trial.onStep(`${what}: ${error?.code} ${error?.message}`);
      if (error?.code !== fails) trial.problems.push(`${what} is ${status}, not ${fails}`);
    } else if (status !== "completed") trial.problems.push(`${what}: ${JSON.stringify(error)}`);
    else trial.onStep(`${what}: ${JSON.stringify(result).slice(-600)}`);
    ended = status === "completed" ? result : null;
  });
  return ended;
}

async function measure(
  { service: { platform }, steps, problems, onStep, calls }: Trial,
  what: string,
  work: () => Promise<void>,
  { mostCpuMs = Infinity } = {},
): Promise<void> {
  const before: PlatformFigures & { calls: number } = { ...platform.figures(), calls: calls() };
  const startedAt = performance.now();
  try {
    await work();
  } catch (error) {
    problems.push(`${what}: ${error}`);
  }
  const after = platform.figures();
  const step = {
    what,
    cpuMs: Math.round(after.cpuMs - before.cpuMs),
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
    isolates: after.isolates - before.isolates,
    storageCalls: calls() - before.calls,
  };
  steps.push(step);
  onStep(JSON.stringify(step));
  if (step.cpuMs > mostCpuMs) problems.push(`${what} took ${step.cpuMs} ms of CPU`);
  for (const why of ["cpu", "memory"] as const) {
    const ended = after.ended[why] - before.ended[why];
    if (ended > 0) problems.push(`${what}: ${ended} workers were killed for ${why}`);
  }
}
