/**
 * Jobs that copy backups to further destinations.
 *
 * @module
 */
import type { Migration } from "./migration.ts";
import { pruneFunction } from "./prune_function.ts";

const JOB_TABLES = ["verify_jobs", "recovery_jobs", "cleanup_jobs", "replicate_jobs"];

/** See the module. */
export const REPLICATE_JOBS: Migration = {
  version: "20261122010000",
  name: "replicate_jobs",
  sql:
    `-- Jobs that copy backups to further destinations. Safe to run again: nothing that exists is changed.

create table if not exists backup_internal.replicate_jobs (
    id uuid primary key default gen_random_uuid(),
    job_id varchar(255) unique not null,
    backup_id varchar(255) not null,
    type varchar(50) not null,
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
comment on table backup_internal.replicate_jobs is 'Jobs that copy backups to further destinations';
comment on column backup_internal.replicate_jobs.backup_id is 'Name of the destination';
create index if not exists replicate_jobs_destination_idx on backup_internal.replicate_jobs (backup_id, started_at desc);
create index if not exists replicate_jobs_started_at_idx on backup_internal.replicate_jobs (started_at desc);
create index if not exists backup_jobs_ended_idx on public.backup_jobs (completed_at desc) where status = 'completed';

alter table backup_internal.replicate_jobs enable row level security;

-- A check is written again only where it is an older one, so that running jobs wait once at most.
do $$
begin
    if not exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'backup_internal.job_runs'::regclass and conname = 'job_runs_kind_check'
          and pg_catalog.pg_get_constraintdef(oid) like '%replicate%'
    ) then
        alter table backup_internal.job_runs
            drop constraint if exists job_runs_kind_check,
            add constraint job_runs_kind_check
                check (kind in ('backup', 'restore', 'verify', 'recovery', 'cleanup', 'replicate'));
    end if;
end
$$;

-- Default privileges of a project may have granted more than was asked for.
do $$
declare
    role_name text;
begin
    revoke all on backup_internal.replicate_jobs from public;
    foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
        if exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute format('revoke all on backup_internal.replicate_jobs from %I', role_name);
        end if;
    end loop;
end
$$;

${pruneFunction({ jobTables: JOB_TABLES, byPlace: true })}

insert into backup_internal.migrations (version, name)
values ('20261122010000', 'replicate_jobs')
on conflict (version) do nothing;
`,
};
