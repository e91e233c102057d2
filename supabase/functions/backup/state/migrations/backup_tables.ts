/**
 * The first tables: settings, jobs, the audit log. Released: never edited.
 *
 * @module
 */
import type { Migration } from "./migration.ts";

/** See the module. */
export const BACKUP_TABLES: Migration = {
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
};
