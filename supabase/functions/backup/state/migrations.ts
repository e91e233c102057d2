/**
 * The service's own tables. This is the single source: `init` applies it from here, because a deployed
 * function has no files, and `supabase/migrations/` holds the same text for those who use the CLI (a test
 * compares them). A migration is never edited after a release; all of it can run twice.
 *
 * @module
 */

/** One migration; its file is `supabase/migrations/<version>_<name>.sql`. */
export interface Migration {
  version: string;
  name: string;
  sql: string;
}

/** Tables of ours in `public`, and the schema of everything else of ours: no backup holds them. */
export const OWN_TABLES = ["backup_config", "backup_jobs", "restore_jobs", "backup_audit_log"];

/** See {@linkcode OWN_TABLES}. */
export const OWN_SCHEMA = "backup_internal";

/** In order of version. */
export const MIGRATIONS: readonly Migration[] = [{
  version: "20261121000000",
  name: "backup_tables",
  sql: `-- Tables of the backup service. Safe to run again: nothing that exists is changed.

create schema if not exists backup_internal;
comment on schema backup_internal is 'Private parts of the backup service';

create table if not exists backup_internal.migrations (
    version text primary key,
    name text not null,
    applied_at timestamp with time zone not null default now()
);
comment on table backup_internal.migrations is 'Migrations of the backup service that were applied';

create table if not exists public.backup_config (
    id uuid primary key default gen_random_uuid(),
    config_key varchar(255) unique not null,
    config_value jsonb not null,
    description text,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now()
);
comment on table public.backup_config is 'Settings of the backup service that differ from its defaults and environment; never secrets';

create table if not exists public.backup_jobs (
    id uuid primary key default gen_random_uuid(),
    job_id varchar(255) unique not null,
    type varchar(50) not null check (type in ('database', 'function', 'config', 'secrets', 'files')),
    status varchar(20) not null check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
    started_at timestamp with time zone default now(),
    completed_at timestamp with time zone,
    size_bytes bigint,
    checksum varchar(255),
    location text,
    error_message text,
    metadata jsonb default '{}'::jsonb,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    compressed_size_bytes bigint,
    components jsonb not null default '[]'::jsonb,
    tables_included integer,
    locations jsonb not null default '[]'::jsonb,
    integrity_verified boolean,
    last_tested timestamp with time zone,
    reason text,
    created_by text,
    retention_until timestamp with time zone,
    recovery_point_id text,
    parent_job_id text
);
comment on table public.backup_jobs is 'Backups, running and finished: an index of what is in storage, rebuilt from it by action=init';
create index if not exists backup_jobs_started_at_idx on public.backup_jobs (started_at desc);
create index if not exists backup_jobs_status_idx on public.backup_jobs (status) where status in ('pending', 'running');

create table if not exists public.restore_jobs (
    id uuid primary key default gen_random_uuid(),
    job_id varchar(255) unique not null,
    backup_id varchar(255) not null,
    type varchar(50) not null check (type in ('database', 'function', 'config', 'secrets', 'files')),
    status varchar(20) not null check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
    started_at timestamp with time zone default now(),
    completed_at timestamp with time zone,
    error_message text,
    metadata jsonb default '{}'::jsonb,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    reason text,
    created_by text
);
comment on table public.restore_jobs is 'Restores, running and finished';
create index if not exists restore_jobs_started_at_idx on public.restore_jobs (started_at desc);
create index if not exists restore_jobs_status_idx on public.restore_jobs (status) where status in ('pending', 'running');

create table if not exists backup_internal.verify_jobs (
    id uuid primary key default gen_random_uuid(),
    job_id varchar(255) unique not null,
    backup_id varchar(255),
    type varchar(50) not null check (type in ('database', 'function', 'config', 'secrets', 'files')),
    status varchar(20) not null check (status in ('pending', 'running', 'completed', 'failed', 'cancelled')),
    started_at timestamp with time zone default now(),
    completed_at timestamp with time zone,
    error_message text,
    metadata jsonb default '{}'::jsonb,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now(),
    reason text,
    created_by text
);
comment on table backup_internal.verify_jobs is 'Verifications, running and finished';

create table if not exists backup_internal.config_versions (
    version integer primary key,
    settings jsonb not null,
    changed_at timestamp with time zone not null default now(),
    changed_by text
);
comment on table backup_internal.config_versions is 'Every version of the rows of backup_config, for going back';

create table if not exists public.backup_audit_log (
    id uuid primary key default gen_random_uuid(),
    occurred_at timestamp with time zone not null default now(),
    action text not null,
    actor text,
    request_id text,
    subject text,
    outcome text not null check (outcome in ('accepted', 'completed', 'failed', 'cancelled')),
    details jsonb not null default '{}'::jsonb
);
comment on table public.backup_audit_log is 'Who asked the backup service for what, and what became of it; never secrets';
create index if not exists backup_audit_log_occurred_at_idx on public.backup_audit_log (occurred_at desc);

alter table public.backup_config enable row level security;
alter table public.backup_jobs enable row level security;
alter table public.restore_jobs enable row level security;
alter table public.backup_audit_log enable row level security;
alter table backup_internal.migrations enable row level security;
alter table backup_internal.verify_jobs enable row level security;
alter table backup_internal.config_versions enable row level security;

-- Default privileges of a project may have granted more than was asked for.
do $$
declare
    role_name text;
begin
    revoke all on schema backup_internal from public;
    revoke all on all tables in schema backup_internal from public;
    revoke all on public.backup_config, public.backup_jobs, public.restore_jobs, public.backup_audit_log from public;
    foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
        if exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute format('revoke all on schema backup_internal from %I', role_name);
            execute format('revoke all on all tables in schema backup_internal from %I', role_name);
            execute format('revoke all on public.backup_config, public.backup_jobs, public.restore_jobs, public.backup_audit_log from %I', role_name);
        end if;
    end loop;
    if exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
        grant select on public.backup_config, public.backup_jobs, public.restore_jobs, public.backup_audit_log to service_role;
    end if;
end
$$;

insert into backup_internal.migrations (version, name)
values ('20261121000000', 'backup_tables')
on conflict (version) do nothing;
`,
}, {
  version: "20261121060000",
  name: "job_parts",
  sql: `-- Jobs in parts: what any worker needs to go on with a job. Safe to run again.

create sequence if not exists backup_internal.lease_tokens;
comment on sequence backup_internal.lease_tokens is 'Grows with every lease of a part, so that a late worker is told from the present one';

create table if not exists backup_internal.job_runs (
    job_id varchar(255) primary key,
    kind text not null check (kind in ('backup', 'restore', 'verify')),
    status text not null default 'running' check (status in ('running', 'completed', 'failed', 'cancelled')),
    request text not null,
    first_parts text not null,
    max_workers integer not null,
    max_attempts integer not null,
    max_rounds integer not null,
    cancel_requested boolean not null default false,
    round integer not null default 1,
    next_part integer not null default 1,
    phase text not null default 'waiting',
    parts integer not null default 0,
    parts_done integer not null default 0,
    bytes bigint not null default 0,
    bytes_done bigint not null default 0,
    moving_since timestamp with time zone,
    touched_at timestamp with time zone not null default now()
);
comment on table backup_internal.job_runs is 'Jobs that are not over: bounds, round, counts; the rows that users see are in the tables of jobs';

create table if not exists backup_internal.job_parts (
    job_id varchar(255) not null references backup_internal.job_runs (job_id) on delete cascade,
    part integer not null,
    round integer not null,
    step integer not null,
    name text not null,
    payload text not null,
    bytes bigint not null default 0,
    state text not null default 'waiting' check (state in ('waiting', 'done', 'dropped')),
    attempt integer not null default 0,
    previous text,
    not_before timestamp with time zone not null default '-infinity',
    worker text,
    token bigint,
    lease_until timestamp with time zone,
    bytes_done bigint not null default 0,
    result text,
    primary key (job_id, part)
);
alter sequence backup_internal.lease_tokens owned by backup_internal.job_parts.token;
comment on table backup_internal.job_parts is 'Parts of jobs that are not over; JSON is kept as ASCII text, which every encoding of a database can hold';
create index if not exists job_parts_waiting_idx on backup_internal.job_parts (job_id, step, part) where state = 'waiting';
create index if not exists job_parts_leased_idx on backup_internal.job_parts (job_id) where lease_until is not null;
create index if not exists job_parts_done_idx on backup_internal.job_parts (job_id, name, part) where state = 'done';

alter table backup_internal.job_runs enable row level security;
alter table backup_internal.job_parts enable row level security;

-- Default privileges of a project may have granted more than was asked for.
do $$
declare
    role_name text;
begin
    revoke all on all tables in schema backup_internal from public;
    revoke all on all sequences in schema backup_internal from public;
    foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
        if exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute format('revoke all on all tables in schema backup_internal from %I', role_name);
            execute format('revoke all on all sequences in schema backup_internal from %I', role_name);
        end if;
    end loop;
end
$$;

insert into backup_internal.migrations (version, name)
values ('20261121060000', 'job_parts')
on conflict (version) do nothing;
`,
}];
