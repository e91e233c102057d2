/**
 * Plays the part of pg_net, Vault and pg_cron's functions in a database of a test.
 *
 * Of pg_net it keeps the contract that matters to a caller: `net.http_post` only queues, the request is
 * sent after the transaction has committed and never when it is rolled back, nobody waits for it, it is
 * cut at its timeout without the called one knowing, and a body over 64 KiB never arrives. Vault is a
 * table in clear text. pg_cron is its table and its four functions, without the clock: a test ticks.
 *
 * @module
 */
import postgres from "postgres";

/** What became of a request, as `net._http_response` has it. */
export interface NetResponse {
  id: string;
  statusCode: number | null;
  content: string | null;
  timedOut: boolean;
  error: string | null;
}

/** The running stand-in. */
export interface NetStandIn extends AsyncDisposable {
  /** Answers so far, in order of request. */
  responses(): Promise<NetResponse[]>;
  /** Runs the command of a pg_cron job as the clock would. */
  runCronJob(name: string): Promise<void>;
}

/** The extension's own limit: a larger body hangs. */
const BODY_LIMIT_BYTES = 64 * 1024;

const NET_SQL = `
create schema if not exists net;
create unlogged table if not exists net.http_request_queue (
    id bigserial primary key, url text not null, headers jsonb, body bytea, timeout_milliseconds integer not null);
create unlogged table if not exists net._http_response (
    id bigint primary key, status_code integer, content text, timed_out boolean, error_msg text,
    created timestamptz not null default now());
create or replace function net.http_post(url text, body jsonb default '{}'::jsonb, params jsonb default '{}'::jsonb,
    headers jsonb default '{"Content-Type": "application/json"}'::jsonb, timeout_milliseconds integer default 2000)
returns bigint language plpgsql security definer set search_path = '' as $$
declare
    request bigint;
    query text;
begin
    select string_agg(p.key || '=' || p.value, '&') into query from pg_catalog.jsonb_each_text(params) p;
    if query is not null then url := url || case when url like '%?%' then '&' else '?' end || query; end if;
    insert into net.http_request_queue (url, headers, body, timeout_milliseconds)
    values (url, headers, pg_catalog.convert_to(body::text, 'UTF8'), timeout_milliseconds)
    returning id into request;
    perform pg_catalog.pg_notify('net_stand_in', '');
    return request;
end $$;
grant usage on schema net to public;`;

const VAULT_SQL = `
create schema if not exists vault;
create table if not exists vault.secrets (
    id uuid primary key default gen_random_uuid(), name text, description text not null default '',
    secret text not null, created_at timestamptz not null default now(), updated_at timestamptz not null default now());
create unique index if not exists secrets_name_idx on vault.secrets (name) where name is not null;
create or replace view vault.decrypted_secrets as
    select id, name, description, secret, secret as decrypted_secret, created_at, updated_at from vault.secrets;
create or replace function vault.create_secret(new_secret text, new_name text default null, new_description text default '')
returns uuid language sql as $$
    insert into vault.secrets (secret, name, description) values (new_secret, new_name, new_description) returning id $$;
create or replace function vault.update_secret(secret_id uuid, new_secret text default null, new_name text default null,
    new_description text default null)
returns void language sql as $$
    update vault.secrets set secret = coalesce(new_secret, secret), name = coalesce(new_name, name),
        description = coalesce(new_description, description), updated_at = now() where id = secret_id $$;
grant usage on schema vault to public;
grant select, insert, update, delete on vault.secrets, vault.decrypted_secrets to public;`;

const CRON_SQL = `
create schema if not exists cron;
create table cron.job (
    jobid bigserial primary key, schedule text not null, command text not null, nodename text not null default 'localhost',
    nodeport integer not null default 5432, database text not null default current_database(),
    username text not null default current_user, active boolean not null default true, jobname text,
    unique (jobname, username));
create table cron.job_run_details (
    jobid bigint, runid bigserial primary key, status text, return_message text, start_time timestamptz, end_time timestamptz);
create function cron.schedule(job_name text, schedule text, command text) returns bigint
language sql security definer set search_path = '' as $$
    insert into cron.job (jobname, schedule, command, username) values (job_name, schedule, command, session_user)
    on conflict (jobname, username) do update set schedule = excluded.schedule, command = excluded.command
    returning jobid $$;
create function cron.unschedule(job_name text) returns boolean
language plpgsql security definer set search_path = '' as $$
begin
    delete from cron.job where jobname = job_name and username = session_user;
    if not found then raise exception 'could not find valid entry for job ''%''', job_name; end if;
    return true;
end $$;
create function cron.unschedule(job_id bigint) returns boolean
language sql security definer set search_path = '' as $$
    delete from cron.job where jobid = job_id and username = session_user returning true $$;
create function cron.alter_job(job_id bigint, schedule text default null, command text default null,
    database text default null, username text default null, active boolean default null) returns void
language sql security definer set search_path = '' as $$
    update cron.job j set schedule = coalesce($2, j.schedule), command = coalesce($3, j.command),
        active = coalesce($6, j.active) where j.jobid = $1 and j.username = session_user $$;
grant usage on schema cron to public;
grant select on cron.job to public;
grant select, delete on cron.job_run_details to public;`;

/** Adds the parts to a database, as its superuser, and begins to send what is queued. */
export async function startNetStandIn(
  url: string,
  { cron = true }: { cron?: boolean } = {},
): Promise<NetStandIn> {
  const sql = postgres(url, { max: 2, onnotice: () => {} });
  await sql.unsafe(NET_SQL);
  await sql.unsafe(VAULT_SQL);
  if (cron) await sql.unsafe(CRON_SQL);
  const sending = new Set<Promise<void>>();
  const ending = new AbortController();
  const sendQueued = async () => {
    const queued = await sql`delete from net.http_request_queue returning *`;
    for (const request of queued) {
      const work = send(sql, request as QueuedRequest, ending.signal);
      sending.add(work);
      work.finally(() => sending.delete(work));
    }
  };
  // A notification arrives with the commit: nothing is sent before it.
  await sql.listen("net_stand_in", () => void sendQueued().catch(() => {}));
  // What was queued before, as after a restart of the server.
  await sendQueued();
  return {
    async responses() {
      const rows = await sql`select * from net._http_response order by id`;
      return rows.map((row) => ({
        id: String(row.id),
        statusCode: row.status_code,
        content: row.content,
        timedOut: row.timed_out === true,
        error: row.error_msg,
      }));
    },
    async runCronJob(name) {
      const [job] = await sql`select command from cron.job where jobname = ${name} and active`;
      if (job === undefined) throw new Error(`no active job ${name}`);
      await sql.unsafe(job.command);
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.all(sending);
      await sql.end({ timeout: 2 });
    },
  };
}

interface QueuedRequest {
  id: string;
  url: string;
  headers: Record<string, string>;
  body: Uint8Array;
  timeout_milliseconds: number;
}

async function send(sql: postgres.Sql, request: QueuedRequest, end: AbortSignal): Promise<void> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), request.timeout_milliseconds);
  const record = (status: number | null, content: string | null, error: string | null) =>
    sql`insert into net._http_response (id, status_code, content, timed_out, error_msg)
      values (${request.id}, ${status}, ${content}, ${patience.signal.aborted}, ${error})`;
  try {
    if (request.body.length > BODY_LIMIT_BYTES) return; // never sent, never answered
    const response = await fetch(request.url, {
      method: "POST",
      headers: request.headers,
      body: new Uint8Array(request.body),
      signal: AbortSignal.any([patience.signal, end]),
    });
    await record(response.status, await response.text(), null);
  } catch (error) {
    if (end.aborted) return;
    await record(null, null, error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
  }
}
