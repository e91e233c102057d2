-- Plans, executions, recovery points, tests, verifications, alerts. Safe to run again: nothing that exists is changed.

create table if not exists public.disaster_recovery_plans (
    id uuid primary key default gen_random_uuid(),
    plan_id varchar(255) unique not null,
    name varchar(255) not null,
    description text,
    priority varchar(20) not null check (priority in ('low', 'medium', 'high', 'critical')),
    triggers jsonb default '[]'::jsonb,
    steps jsonb not null,
    estimated_recovery_time integer,
    last_tested timestamp with time zone,
    enabled boolean default true,
    created_at timestamp with time zone default now(),
    updated_at timestamp with time zone default now()
);
alter table public.disaster_recovery_plans
    add column if not exists version integer not null default 1,
    add column if not exists is_default boolean not null default false,
    add column if not exists hidden boolean not null default false,
    add column if not exists created_by text,
    add column if not exists objectives jsonb,
    add column if not exists metadata jsonb not null default '{}'::jsonb;
comment on table public.disaster_recovery_plans is 'Plans for disasters: an index of what is in storage and of the plans that the release brings';
comment on column public.disaster_recovery_plans.estimated_recovery_time is 'Minutes';
comment on column public.disaster_recovery_plans.last_tested is 'End of the last execution that did its work, a drill or a real one';
comment on column public.disaster_recovery_plans.version is 'Grows with every change of the plan';
comment on column public.disaster_recovery_plans.is_default is 'Comes with the release: can be disabled, not removed';
comment on column public.disaster_recovery_plans.objectives is 'Times that the plan is meant to keep to; null for those of the settings';
comment on column public.disaster_recovery_plans.hidden is 'Removed, and kept because executions refer to it';

create table if not exists public.disaster_recovery_executions (
    id uuid primary key default gen_random_uuid(),
    execution_id varchar(255) unique not null,
    plan_id varchar(255) not null references public.disaster_recovery_plans (plan_id),
    trigger varchar(255) not null,
    status varchar(20) not null check (status in ('running', 'success', 'failed', 'partial')),
    started_at timestamp with time zone default now(),
    completed_at timestamp with time zone,
    duration_ms integer,
    steps_executed jsonb default '[]'::jsonb,
    error_message text,
    metadata jsonb default '{}'::jsonb,
    created_at timestamp with time zone default now()
);
alter table public.disaster_recovery_executions
    add column if not exists updated_at timestamp with time zone not null default now(),
    add column if not exists job_id varchar(255),
    add column if not exists mode text not null default 'live' check (mode in ('live', 'drill')),
    add column if not exists request jsonb not null default '{}'::jsonb,
    add column if not exists idempotency_key text,
    add column if not exists incident_id text,
    add column if not exists recovery_type text check (recovery_type in ('full_restore', 'point_in_time', 'partial_restore')),
    add column if not exists target_timestamp timestamp with time zone,
    add column if not exists backup_used text,
    add column if not exists recovery_environment text,
    add column if not exists data_loss_minutes integer,
    add column if not exists affected_users_count integer,
    add column if not exists business_impact_level text,
    add column if not exists initiated_by text,
    add column if not exists approved_by text;
comment on table public.disaster_recovery_executions is 'Runs of plans: an index of the journals that are in storage';
comment on column public.disaster_recovery_executions.job_id is 'The job that runs the steps';
comment on column public.disaster_recovery_executions.mode is 'A drill works on scratch targets and changes nothing else';
comment on column public.disaster_recovery_executions.request is 'What was asked for; references, never secrets';
comment on column public.disaster_recovery_executions.target_timestamp is 'The moment that was to be recovered';
comment on column public.disaster_recovery_executions.backup_used is 'The backup that was restored, null when none was';
comment on column public.disaster_recovery_executions.data_loss_minutes is 'Age of what was restored, at the moment of the trigger';
create index if not exists disaster_recovery_executions_started_at_idx on public.disaster_recovery_executions (started_at desc);
create index if not exists disaster_recovery_executions_plan_id_idx on public.disaster_recovery_executions (plan_id, started_at desc);
create unique index if not exists disaster_recovery_executions_running_idx on public.disaster_recovery_executions (plan_id, mode) where status = 'running';
create unique index if not exists disaster_recovery_executions_idempotency_key_idx on public.disaster_recovery_executions (idempotency_key) where idempotency_key is not null;

create table if not exists public.recovery_points (
    id uuid primary key default gen_random_uuid(),
    point_id varchar(255) unique not null,
    backup_id text,
    recovery_timestamp timestamp with time zone not null,
    wal_position text,
    transaction_id bigint,
    is_consistent boolean default true,
    incremental_backups text[] not null default '{}',
    created_at timestamp with time zone default now(),
    completed_at timestamp with time zone,
    status varchar(20) not null default 'completed' check (status in ('running', 'completed', 'partial', 'failed')),
    plan jsonb,
    reason text,
    created_by text,
    components jsonb not null default '[]'::jsonb,
    consistency jsonb not null default '[]'::jsonb,
    location text,
    freed_at timestamp with time zone
);
comment on table public.recovery_points is 'Moments of the whole project that can be recovered: an index of what is in storage, rebuilt from it by action=init';
comment on column public.recovery_points.backup_id is 'The backup of the database; null when the point has none';
comment on column public.recovery_points.recovery_timestamp is 'The moment that the database shows; without one, the end of the point';
comment on column public.recovery_points.is_consistent is 'Whether the database is of one moment; files are read one after the other, see consistency';
comment on column public.recovery_points.components is 'What the point is made of: type, backup, state, times, reason';
comment on column public.recovery_points.consistency is 'In words, what of the point shows one moment';
comment on column public.recovery_points.plan is 'Which jobs it is made of, while they run: whoever looks at it after the last of them has ended concludes it';
comment on column public.recovery_points.freed_at is 'When its record left storage; null while it is there';
create index if not exists recovery_points_recovery_timestamp_idx on public.recovery_points (recovery_timestamp desc);
create index if not exists recovery_points_backup_id_idx on public.recovery_points (backup_id);

create table if not exists public.backup_tests (
    id uuid primary key default gen_random_uuid(),
    backup_id text not null,
    test_type text not null check (test_type in ('integrity_check', 'restore_test', 'data_verification', 'spot_check')),
    test_environment text,
    started_at timestamp with time zone default now(),
    completed_at timestamp with time zone,
    success boolean,
    errors_found jsonb,
    data_samples_verified integer,
    data_verified jsonb,
    restore_duration interval,
    data_loss_detected boolean default false,
    tested_by text,
    notes text,
    requested_at timestamp with time zone not null default now(),
    job_id varchar(255)
);
comment on table public.backup_tests is 'Tests of backups: asked for, running and finished';
comment on column public.backup_tests.started_at is 'Null while the test is asked for and nobody has begun it';
comment on column public.backup_tests.success is 'Null until the test is finished, and when it was stopped';
comment on column public.backup_tests.data_verified is 'What was compared, as counts';
create index if not exists backup_tests_backup_id_idx on public.backup_tests (backup_id, completed_at desc);
create index if not exists backup_tests_started_at_idx on public.backup_tests (started_at desc);
create unique index if not exists backup_tests_waiting_idx on public.backup_tests (backup_id, test_type) where started_at is null and completed_at is null;
create unique index if not exists backup_tests_job_id_idx on public.backup_tests (job_id);

create table if not exists public.backup_verification (
    id uuid primary key default gen_random_uuid(),
    backup_id text not null,
    verification_type text not null check (verification_type in ('existence', 'checksum', 'integrity_check', 'restore_test')),
    verification_date timestamp with time zone not null default now(),
    success boolean not null,
    details jsonb not null default '{}'::jsonb,
    verified_by text,
    job_id varchar(255),
    location text,
    unique (job_id, backup_id, verification_type)
);
comment on table public.backup_verification is 'Results of verifications of backups in storage';
comment on column public.backup_verification.verification_type is 'existence: every object is there with its size; checksum, integrity_check: read, decrypted and compared';
create index if not exists backup_verification_backup_id_idx on public.backup_verification (backup_id, verification_date desc);
create index if not exists backup_verification_date_idx on public.backup_verification (verification_date desc);

-- Tables of these names may have been there before the service; they are completed.
alter table public.backup_jobs
    add column if not exists compressed_size_bytes bigint,
    add column if not exists components jsonb not null default '[]'::jsonb,
    add column if not exists tables_included integer,
    add column if not exists locations jsonb not null default '[]'::jsonb,
    add column if not exists integrity_verified boolean,
    add column if not exists last_tested timestamp with time zone,
    add column if not exists reason text,
    add column if not exists created_by text,
    add column if not exists retention_until timestamp with time zone,
    add column if not exists recovery_point_id text,
    add column if not exists parent_job_id text,
    add column if not exists freed_at timestamp with time zone;
alter table public.restore_jobs
    add column if not exists reason text,
    add column if not exists created_by text;
comment on column public.backup_jobs.freed_at is 'When the record of the backup left storage by retention; null while it is there';
comment on column public.backup_jobs.size_bytes is 'Bytes of what was backed up, before compression';
comment on column public.backup_jobs.compressed_size_bytes is 'Bytes that the backup added to storage';
comment on column public.backup_jobs.checksum is 'Name of the manifest, a keyed hash of the whole content';
comment on column public.backup_jobs.location is 'Where the backup is; null when it was given up';
comment on column public.backup_jobs.integrity_verified is 'What the last complete verification or restore test found; null when there was none';
comment on column public.backup_jobs.last_tested is 'When it was last restored into a scratch database and found equal';

create table if not exists backup_internal.recovery_jobs (
    id uuid primary key default gen_random_uuid(),
    job_id varchar(255) unique not null,
    backup_id varchar(255),
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
comment on table backup_internal.recovery_jobs is 'Jobs that run plans; what users see of them is in disaster_recovery_executions';
create index if not exists recovery_jobs_started_at_idx on backup_internal.recovery_jobs (started_at desc);

create table if not exists backup_internal.cleanup_jobs (
    id uuid primary key default gen_random_uuid(),
    job_id varchar(255) unique not null,
    backup_id varchar(255),
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
comment on table backup_internal.cleanup_jobs is 'Jobs that apply retention and free storage';
create index if not exists cleanup_jobs_started_at_idx on backup_internal.cleanup_jobs (started_at desc);
create index if not exists verify_jobs_started_at_idx on backup_internal.verify_jobs (started_at desc);

-- A check is written again only where it is an older one, so that running jobs wait once at most.
do $$
declare
    jobs text;
begin
    foreach jobs in array array['backup_jobs', 'restore_jobs'] loop
        if not exists (
            select from pg_catalog.pg_constraint
            where conrelid = format('public.%I', jobs)::regclass and conname = jobs || '_type_check'
                and pg_catalog.pg_get_constraintdef(oid) like '%files%'
        ) then
            execute format('alter table public.%I drop constraint if exists %I, add constraint %I '
                'check (type in (''database'', ''function'', ''config'', ''secrets'', ''files''))',
                jobs, jobs || '_type_check', jobs || '_type_check');
        end if;
    end loop;
    if not exists (
        select from pg_catalog.pg_constraint
        where conrelid = 'backup_internal.job_runs'::regclass and conname = 'job_runs_kind_check'
          and pg_catalog.pg_get_constraintdef(oid) like '%cleanup%'
    ) then
        alter table backup_internal.job_runs
            drop constraint if exists job_runs_kind_check,
            add constraint job_runs_kind_check
                check (kind in ('backup', 'restore', 'verify', 'recovery', 'cleanup'));
    end if;
end
$$;

create table if not exists backup_internal.alerts (
    incident_id text primary key,
    alert_key text not null,
    state text not null default 'open' check (state in ('open', 'closed')),
    first_at timestamp with time zone not null default now(),
    last_at timestamp with time zone not null default now(),
    count integer not null default 1,
    last_job_id text,
    notified_at timestamp with time zone,
    escalated_at timestamp with time zone,
    closed_at timestamp with time zone,
    details jsonb not null default '{}'::jsonb
);
comment on table backup_internal.alerts is 'Incidents, one row each';
comment on column backup_internal.alerts.alert_key is 'What the incident is about; one of a key is open at a time';
comment on column backup_internal.alerts.last_job_id is 'The job that was counted last: a job counts once';
create unique index if not exists alerts_open_idx on backup_internal.alerts (alert_key) where state = 'open';
create index if not exists alerts_last_at_idx on backup_internal.alerts (last_at desc);

create table if not exists backup_internal.notifications (
    message_id text not null,
    channel text not null,
    message jsonb not null,
    created_at timestamp with time zone not null default now(),
    attempts integer not null default 1,
    next_at timestamp with time zone not null,
    sent_at timestamp with time zone,
    given_up_at timestamp with time zone,
    last_error text,
    failed_at timestamp with time zone,
    primary key (message_id, channel)
);
comment on table backup_internal.notifications is 'Messages to channels, sent and not yet sent';
comment on column backup_internal.notifications.next_at is 'When it is tried again; until then whoever wrote this sends it';
create index if not exists notifications_unsent_idx on backup_internal.notifications (next_at) where sent_at is null and given_up_at is null;
create index if not exists notifications_channel_idx on backup_internal.notifications (channel, created_at);

alter table public.disaster_recovery_plans enable row level security;
alter table public.disaster_recovery_executions enable row level security;
alter table public.recovery_points enable row level security;
alter table public.backup_tests enable row level security;
alter table public.backup_verification enable row level security;
alter table backup_internal.recovery_jobs enable row level security;
alter table backup_internal.cleanup_jobs enable row level security;
alter table backup_internal.alerts enable row level security;
alter table backup_internal.notifications enable row level security;

-- Default privileges of a project may have granted more than was asked for.
do $$
declare
    role_name text;
    tables constant text := 'public.disaster_recovery_plans, public.disaster_recovery_executions, public.recovery_points, public.backup_tests, public.backup_verification';
begin
    revoke all on all tables in schema backup_internal from public;
    execute 'revoke all on ' || tables || ' from public';
    foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
        if exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute format('revoke all on all tables in schema backup_internal from %I', role_name);
            execute format('revoke all on ' || tables || ' from %I', role_name);
        end if;
    end loop;
    if exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
        execute 'grant select on ' || tables || ' to service_role';
    end if;
end
$$;

insert into backup_internal.migrations (version, name)
values ('20261121120000', 'recovery_tables')
on conflict (version) do nothing;
