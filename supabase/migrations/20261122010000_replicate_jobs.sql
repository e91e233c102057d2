-- Jobs that copy backups to further destinations. Safe to run again: nothing that exists is changed.

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

create or replace function public.cleanup_backup_data(
    backup_days integer default 90, restore_days integer default 90,
    execution_days integer default 180, log_days integer default 30
)
returns table (table_name text, removed_rows bigint)
language plpgsql security definer set search_path = ''
as $function$
declare
    backups_before constant timestamp with time zone := now() - make_interval(days => backup_days);
    restores_before constant timestamp with time zone := now() - make_interval(days => restore_days);
    executions_before constant timestamp with time zone := now() - make_interval(days => execution_days);
    logs_before constant timestamp with time zone := now() - make_interval(days => log_days);
    private_table text;
    removed jsonb := '{}';
begin
    perform backup_internal.check_days('backup_days', backup_days);
    perform backup_internal.check_days('restore_days', restore_days);
    perform backup_internal.check_days('execution_days', execution_days);
    perform backup_internal.check_days('log_days', log_days);

    -- What there is to know of a backup is kept as long as the backup is in storage.
    table_name := 'backup_verification';
    delete from public.backup_verification v
    where v.verification_date < backups_before and (
        not exists (
            select from public.backup_jobs b
            where b.job_id = v.backup_id and b.location is not null and b.freed_at is null
        ) or exists (
            select from public.backup_verification newer
            where newer.backup_id = v.backup_id and newer.verification_date > v.verification_date
                and newer.location is not distinct from v.location
        ));
    get diagnostics removed_rows = row_count;
    removed := removed || jsonb_build_object(table_name, removed_rows);
    return next;

    table_name := 'backup_tests';
    delete from public.backup_tests t
    where t.completed_at < restores_before and (
        not exists (
            select from public.backup_jobs b
            where b.job_id = t.backup_id and b.location is not null and b.freed_at is null
        ) or exists (
            select from public.backup_tests newer
            where newer.backup_id = t.backup_id and newer.completed_at > t.completed_at
        ));
    get diagnostics removed_rows = row_count;
    removed := removed || jsonb_build_object(table_name, removed_rows);
    return next;

    table_name := 'recovery_points';
    delete from public.recovery_points p
    where p.status <> 'running' and (p.freed_at < backups_before or (p.status = 'failed' and p.completed_at < backups_before));
    get diagnostics removed_rows = row_count;
    removed := removed || jsonb_build_object(table_name, removed_rows);
    return next;

    table_name := 'backup_jobs';
    delete from public.backup_jobs b
    where b.started_at < backups_before and b.completed_at < backups_before
        and (
            b.status in ('failed', 'cancelled')
            or (b.status = 'completed' and b.freed_at < backups_before)
            or (b.status = 'completed' and b.location is null)
        )
        and not exists (select from backup_internal.job_runs j where j.job_id = b.job_id);
    get diagnostics removed_rows = row_count;
    removed := removed || jsonb_build_object(table_name, removed_rows);
    return next;

    table_name := 'restore_jobs';
    delete from public.restore_jobs r
    where r.started_at < restores_before and r.completed_at < restores_before
        and r.status in ('completed', 'failed', 'cancelled')
        and not exists (select from backup_internal.job_runs j where j.job_id = r.job_id);
    get diagnostics removed_rows = row_count;
    removed := removed || jsonb_build_object(table_name, removed_rows);
    return next;

    table_name := 'disaster_recovery_executions';
    delete from public.disaster_recovery_executions e
    where e.started_at < executions_before and e.status <> 'running';
    get diagnostics removed_rows = row_count;
    removed := removed || jsonb_build_object(table_name, removed_rows);
    return next;

    -- That a key was proposed is told once, for ever.
    table_name := 'backup_audit_log';
    delete from public.backup_audit_log l
    where l.occurred_at < logs_before and not (l.action = 'init' and l.details ? 'proposedKey');
    get diagnostics removed_rows = row_count;
    removed := removed || jsonb_build_object(table_name, removed_rows);
    return next;

    foreach private_table in array array['verify_jobs', 'recovery_jobs', 'cleanup_jobs', 'replicate_jobs'] loop
        table_name := private_table;
        execute format(
            'delete from backup_internal.%I j where j.started_at < $1 and j.completed_at < $1 '
            'and not exists (select from backup_internal.job_runs r where r.job_id = j.job_id)', private_table)
        using logs_before;
        get diagnostics removed_rows = row_count;
        removed := removed || jsonb_build_object(table_name, removed_rows);
        return next;
    end loop;

    table_name := 'alerts';
    delete from backup_internal.alerts a where a.state = 'closed' and a.last_at < logs_before;
    get diagnostics removed_rows = row_count;
    removed := removed || jsonb_build_object(table_name, removed_rows);
    return next;

    table_name := 'notifications';
    delete from backup_internal.notifications n
    where n.created_at < logs_before and (n.sent_at is not null or n.given_up_at is not null);
    get diagnostics removed_rows = row_count;
    removed := removed || jsonb_build_object(table_name, removed_rows);
    return next;

    -- Whoever removes records leaves one.
    select jsonb_object_agg(r.key, r.value) into removed from jsonb_each(removed) r where r.value <> '0';
    if removed is not null then
        insert into public.backup_audit_log (action, actor, outcome, details)
        values ('cleanup_backup_data', session_user, 'completed', jsonb_build_object(
            'backupDays', backup_days, 'restoreDays', restore_days, 'executionDays', execution_days,
            'logDays', log_days, 'removed', removed));
    end if;
    perform backup_internal.recount_jobs();
end
$function$;
comment on function public.cleanup_backup_data(integer, integer, integer, integer) is 'Removes old records, never that of a backup which is in storage; returns how many of each table, and writes them into the audit log. Runs with the rights of its owner, because nobody else may remove records';

insert into backup_internal.migrations (version, name)
values ('20261122010000', 'replicate_jobs')
on conflict (version) do nothing;
