/**
 * The clock inside the database: a pg_cron job that calls `tick` through pg_net every minute. Address and
 * key are read from the Vault when the job runs, so the job's text, which others can read, holds neither.
 *
 * @module
 */
import { requestLine } from "../core/request_line.ts";
import type { Secret } from "../core/secret.ts";
import { quoteLiteral } from "../postgres/quote.ts";
import type { Sql, StateDatabase } from "../state/database.ts";
import { addExtensions } from "./add_extensions.ts";

/** Name of the job: scheduling it again replaces it. */
export const CRON_JOB = "supabase-backup-tick";

/** Secrets of the Vault that the job reads. Not under `backup…`, which settings may name. */
export const VAULT_URL = "supabase_backup_function_url";
/** See {@linkcode VAULT_URL}. */
export const VAULT_KEY = "supabase_backup_scheduler_key";

const EVERY_MINUTE = "* * * * *";

/** `tick` answers at once and works on; the extension's own limit of two seconds may be too short for that. */
const TIMEOUT_MS = 10_000;

/** Held while the job is made: two callers of `init` would otherwise both make the secrets. */
const LOCK = "7277816997830731";

/** What the database has of what a clock needs. */
export interface ScheduleParts {
  cron: boolean;
  net: boolean;
  vault: boolean;
}

/** What became of an installation. */
export interface ScheduleReport extends ScheduleParts {
  /** Whether the database calls `tick` now. */
  installed: boolean;
  /** In words. */
  found: string;
  /** A line to copy that brings it further; null when there is nothing to do. */
  next: string | null;
}

/** Where and with which key `tick` is called. */
export interface ScheduleTarget {
  url: string;
  key: Secret;
}

/**
 * Makes or renews the job, after switching on what it needs; safe to repeat, also by two callers at once.
 */
export async function installSchedule(
  database: StateDatabase,
  target: ScheduleTarget | null,
): Promise<ScheduleReport> {
  const refused = target === null ? new Map<string, string>() : await addExtensions(database);
  return await database.transaction("install the schedule", async (sql) => {
    const parts = await findParts(sql);
    const lacking = explainLack(parts, target, refused);
    if (lacking !== null || target === null) {
      return {
        ...parts,
        installed: false,
        found: lacking?.found ?? "",
        next: lacking?.next ?? null,
      };
    }
    await sql`select pg_catalog.pg_advisory_xact_lock(${LOCK}::bigint)`;
    await keepSecret(sql, { name: VAULT_URL, value: target.url });
    await keepSecret(sql, { name: VAULT_KEY, value: target.key.reveal() });
    await sql`select cron.schedule(${CRON_JOB}, ${EVERY_MINUTE}, ${tickCommand()})`;
    return {
      ...parts,
      installed: true,
      found: `the database calls tick every minute (pg_cron job ${CRON_JOB})`,
      next: null,
    };
  });
}

/** What became of a removal. */
export interface RemovedSchedule {
  /** What was there. */
  removed: string[];
  /** Jobs that users made to call this service, each as an argument of `cron.unschedule`. */
  left: string[];
}

/**
 * Takes the job and its secrets away; no error when there is nothing. Extensions stay: others may use them.
 */
export async function removeSchedule(database: StateDatabase): Promise<RemovedSchedule> {
  return await database.transaction("remove the schedule", async (sql) => {
    const { cron, vault } = await findParts(sql);
    const removed: string[] = [];
    const left: string[] = [];
    if (cron) {
      const jobs = await sql`
        select cron.unschedule(jobname) from cron.job
        where jobname = ${CRON_JOB} and username = current_user`;
      if (jobs.length > 0) removed.push(`pg_cron job ${CRON_JOB}`);
      const theirs = await sql`
        select coalesce(quote_literal(jobname), jobid::text) as argument from cron.job
        where position(${VAULT_URL} in command) > 0 order by jobid`;
      left.push(...theirs.map(({ argument }) => String(argument)));
    }
    if (vault) {
      const secrets = await sql`
        delete from vault.secrets where name in (${VAULT_URL}, ${VAULT_KEY}) returning name`;
      removed.push(...secrets.map(({ name }) => `Vault secret ${name}`));
    }
    return { removed, left };
  });
}

/** Whether the database calls `tick` as it should, without changing anything. */
export async function readSchedule(
  database: StateDatabase,
  target: ScheduleTarget | null,
): Promise<ScheduleReport> {
  return await database.run("read the schedule", async (sql) => {
    const parts = await findParts(sql);
    const lacking = explainLack(parts, target);
    if (lacking !== null || target === null) {
      return {
        ...parts,
        installed: false,
        found: lacking?.found ?? "",
        next: lacking?.next ?? null,
      };
    }
    const jobs = await sql`
      select active, command = ${tickCommand()} as current from cron.job
      where jobname = ${CRON_JOB} and username = current_user`;
    const secrets = await sql`
      select name from vault.decrypted_secrets
      where (name = ${VAULT_URL} and decrypted_secret = ${target.url})
         or (name = ${VAULT_KEY} and decrypted_secret = ${target.key.reveal()})`;
    const installed = jobs[0]?.active === true && jobs[0].current === true && secrets.length === 2;
    return {
      ...parts,
      installed,
      found: installed
        ? `the database calls tick every minute (pg_cron job ${CRON_JOB})`
        : jobs.length === 0
        ? "no job calls tick"
        : "the job that calls tick is switched off or out of date",
      next: installed ? null : requestLine("init"),
    };
  });
}

/**
 * Forgets the job's runs of more than a week ago: pg_cron keeps every one for ever. Says how many they
 * were, in a list for reports.
 */
export async function pruneRuns(database: StateDatabase): Promise<string[]> {
  return await database.run("forget old runs of the schedule", async (sql) => {
    const [found] = await sql`
      select coalesce(has_table_privilege(to_regclass('cron.job_run_details'), 'DELETE'), false)
        as allowed`;
    if (found?.allowed !== true) return [];
    const { count } = await sql`
      delete from cron.job_run_details d using cron.job j
      where d.jobid = j.jobid and j.jobname = ${CRON_JOB} and j.username = current_user
        and d.end_time < now() - interval '7 days'`;
    return count > 0 ? [`${count} runs of ${CRON_JOB}`] : [];
  });
}

/**
 * Asks the database to call `tick` at once. The call begins a new chain of requests for the platform's
 * count. False where the database has nothing to call with.
 */
export async function kickTick(database: StateDatabase): Promise<boolean> {
  return await database.transaction("call tick from the database", async (sql) => {
    const { net, vault } = await findParts(sql);
    if (!net || !vault) return false;
    const secrets = await sql`
      select name from vault.decrypted_secrets where name in (${VAULT_URL}, ${VAULT_KEY})`;
    if (secrets.length < 2) return false;
    await sql.unsafe(tickCommand());
    return true;
  });
}

/** How the database calls `tick`. The body stays small: large ones never leave the extension. */
function tickCommand(): string {
  const secret = (name: string) =>
    `(select decrypted_secret from vault.decrypted_secrets where name = ${quoteLiteral(name)})`;
  return `select net.http_post(
  url := ${secret(VAULT_URL)} || '?action=tick',
  body := '{}'::jsonb,
  params := '{}'::jsonb,
  headers := jsonb_build_object('Content-Type', 'application/json', 'apikey', ${secret(VAULT_KEY)}),
  timeout_milliseconds := ${TIMEOUT_MS})`;
}

async function findParts(sql: Sql): Promise<ScheduleParts> {
  const [found] = await sql`
    select to_regprocedure('cron.schedule(text,text,text)') is not null as cron,
      to_regprocedure('net.http_post(text,jsonb,jsonb,jsonb,integer)') is not null as net,
      to_regclass('vault.decrypted_secrets') is not null as vault`;
  return { cron: found?.cron === true, net: found?.net === true, vault: found?.vault === true };
}

function explainLack(
  parts: ScheduleParts,
  target: ScheduleTarget | null,
  refused: ReadonlyMap<string, string> = new Map(),
): { found: string; next: string } | null {
  const extensions = [
    ...(parts.cron ? [] : ["pg_cron"]),
    ...(parts.net ? [] : ["pg_net"]),
    ...(parts.vault ? [] : ["supabase_vault"]),
  ];
  if (extensions.length > 0) {
    const why = extensions.flatMap((name) => refused.get(name) ?? []).map((text) => ` (${text})`);
    return {
      found:
        `the database lacks ${extensions.join(", ")}${
          why.join("")
        }, so nothing in it calls tick: workers ` +
        "call each other, and what all of them have left waits for somebody's call",
      next: extensions.map((name) => `create extension if not exists ${name};`).join(" "),
    };
  }
  if (target !== null) return null;
  return {
    found: "the function does not know its own address or has no secret key",
    next:
      "supabase secrets set BACKUP_FUNCTION_URL=https://<project>.supabase.co/functions/v1/backup",
  };
}

async function keepSecret(
  sql: Sql,
  { name, value }: { name: string; value: string },
): Promise<void> {
  const [kept] = await sql`
    select id, decrypted_secret = ${value} as same from vault.decrypted_secrets
    where name = ${name}`;
  if (kept === undefined) await sql`select vault.create_secret(${value}, ${name})`;
  else if (kept.same !== true) await sql`select vault.update_secret(${kept.id}, ${value})`;
}
