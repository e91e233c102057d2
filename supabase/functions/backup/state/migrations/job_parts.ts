/**
 * What any worker needs to go on with a job. Released: never edited.
 *
 * @module
 */
import type { Migration } from "./migration.ts";

/** See the module. */
export const JOB_PARTS: Migration = {
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
};
