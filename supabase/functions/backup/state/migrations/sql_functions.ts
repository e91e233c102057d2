/**
 * What users call in SQL: statistics, the dashboard, plans, cleaning up, asking for backups and tests; and
 * the counts by day that keep the statistics quick.
 *
 * A longer page than others, because a migration is one text.
 *
 * @module
 */
import type { Migration } from "./migration.ts";
import { pruneFunction } from "./prune_function.ts";

/** See the module. */
export const SQL_FUNCTIONS: Migration = {
  version: "20261121120100",
  name: "sql_functions",
  sql:
    `-- Functions for users, and counts of jobs by day. Safe to run again: nothing is counted twice.

create index if not exists backup_jobs_newest_idx on public.backup_jobs (type, status, completed_at desc) where completed_at is not null;
create index if not exists backup_jobs_type_idx on public.backup_jobs (type, started_at desc);
create index if not exists restore_jobs_newest_idx on public.restore_jobs (type, status, completed_at desc) where completed_at is not null;
create index if not exists backup_jobs_damaged_idx on public.backup_jobs (job_id) where integrity_verified is false;
create index if not exists backup_jobs_last_tested_idx on public.backup_jobs (last_tested desc) where last_tested is not null;

create table if not exists backup_internal.job_days (
    kind text not null check (kind in ('backup', 'restore')),
    day date not null,
    type varchar(50) not null,
    status varchar(20) not null,
    in_storage boolean not null,
    jobs bigint not null,
    duration_ms numeric not null,
    size_bytes numeric not null,
    stored_bytes numeric not null
);
comment on table backup_internal.job_days is 'Counts of jobs by day of their beginning (UTC). Rows are added up: a change adds one that takes away and one that gives, so that no job waits for another; recount_jobs() writes them anew';
create index if not exists job_days_day_idx on backup_internal.job_days (kind, day);
alter table backup_internal.job_days enable row level security;

create or replace function backup_internal.count_backup_job() returns trigger
language plpgsql security definer set search_path = ''
as $function$
begin
    if tg_op <> 'INSERT' and old.started_at is not null then
        insert into backup_internal.job_days
            (kind, day, type, status, in_storage, jobs, duration_ms, size_bytes, stored_bytes)
        values ('backup', (old.started_at at time zone 'UTC')::date, old.type, old.status,
            old.status = 'completed' and old.location is not null and old.freed_at is null, -1,
            -coalesce(round(extract(epoch from old.completed_at - old.started_at) * 1000), 0),
            -coalesce(old.size_bytes, 0), -coalesce(old.compressed_size_bytes, 0));
    end if;
    if tg_op <> 'DELETE' and new.started_at is not null then
        insert into backup_internal.job_days
            (kind, day, type, status, in_storage, jobs, duration_ms, size_bytes, stored_bytes)
        values ('backup', (new.started_at at time zone 'UTC')::date, new.type, new.status,
            new.status = 'completed' and new.location is not null and new.freed_at is null, 1,
            coalesce(round(extract(epoch from new.completed_at - new.started_at) * 1000), 0),
            coalesce(new.size_bytes, 0), coalesce(new.compressed_size_bytes, 0));
    end if;
    return null;
end
$function$;
comment on function backup_internal.count_backup_job() is 'Keeps job_days. Runs with the rights of its owner, because whoever may write jobs need not have any on the counts';

create or replace function backup_internal.count_restore_job() returns trigger
language plpgsql security definer set search_path = ''
as $function$
begin
    if tg_op <> 'INSERT' and old.started_at is not null then
        insert into backup_internal.job_days
            (kind, day, type, status, in_storage, jobs, duration_ms, size_bytes, stored_bytes)
        values ('restore', (old.started_at at time zone 'UTC')::date, old.type, old.status, false, -1,
            -coalesce(round(extract(epoch from old.completed_at - old.started_at) * 1000), 0), 0, 0);
    end if;
    if tg_op <> 'DELETE' and new.started_at is not null then
        insert into backup_internal.job_days
            (kind, day, type, status, in_storage, jobs, duration_ms, size_bytes, stored_bytes)
        values ('restore', (new.started_at at time zone 'UTC')::date, new.type, new.status, false, 1,
            coalesce(round(extract(epoch from new.completed_at - new.started_at) * 1000), 0), 0, 0);
    end if;
    return null;
end
$function$;
comment on function backup_internal.count_restore_job() is 'Keeps job_days. Runs with the rights of its owner, because whoever may write jobs need not have any on the counts';

create or replace function backup_internal.recount_jobs() returns void
language plpgsql set search_path = ''
as $function$
begin
    -- Two at once would count twice. Jobs go on: what they change and what that counts for become visible together.
    perform pg_advisory_xact_lock(7277816997830725);
    with gone as (delete from backup_internal.job_days)
    insert into backup_internal.job_days
        (kind, day, type, status, in_storage, jobs, duration_ms, size_bytes, stored_bytes)
    select j.kind, j.day, j.type, j.status, j.in_storage, count(*),
        sum(coalesce(round(extract(epoch from j.duration) * 1000), 0)),
        sum(coalesce(j.size_bytes, 0)), sum(coalesce(j.compressed_size_bytes, 0))
    from (
        select 'backup' as kind, (b.started_at at time zone 'UTC')::date as day, b.type, b.status,
            b.status = 'completed' and b.location is not null and b.freed_at is null as in_storage,
            b.completed_at - b.started_at as duration, b.size_bytes, b.compressed_size_bytes
        from public.backup_jobs b where b.started_at is not null
        union all
        select 'restore', (r.started_at at time zone 'UTC')::date, r.type, r.status, false,
            r.completed_at - r.started_at, null, null
        from public.restore_jobs r where r.started_at is not null
    ) j
    group by j.kind, j.day, j.type, j.status, j.in_storage;
end
$function$;
comment on function backup_internal.recount_jobs() is 'Writes job_days anew from the jobs themselves';

create or replace trigger count_job
after insert or delete or update of type, status, started_at, completed_at, size_bytes, compressed_size_bytes, location, freed_at
on public.backup_jobs for each row execute function backup_internal.count_backup_job();
create or replace trigger count_job
after insert or delete or update of type, status, started_at, completed_at
on public.restore_jobs for each row execute function backup_internal.count_restore_job();
do $$
begin
    perform backup_internal.recount_jobs();
end
$$;

create or replace function backup_internal.check_days(name text, days integer) returns void
language plpgsql immutable set search_path = ''
as $function$
begin
    if days is null or days not between 1 and 36500 then
        raise exception 'Cannot use % = %: it must be a whole number of days between 1 and 36500',
            name, coalesce(days::text, 'null')
            using errcode = 'invalid_parameter_value';
    end if;
end
$function$;
comment on function backup_internal.check_days(text, integer) is 'Refuses numbers of days that make no sense';

create or replace function backup_internal.job_totals(kind text, since timestamp with time zone)
returns table (job_type text, job_status text, jobs numeric, duration_ms numeric, size_bytes numeric, stored_bytes numeric)
language plpgsql stable set search_path = ''
as $function$
declare
    first_day constant date := (since at time zone 'UTC')::date + 1;
    first_midnight constant timestamp with time zone := first_day::timestamp at time zone 'UTC';
begin
    -- Whole days are counted already; the day in which the time begins is read job by job.
    return query
    select d.type::text, d.status::text, sum(d.jobs), sum(d.duration_ms), sum(d.size_bytes),
        sum(d.stored_bytes)
    from backup_internal.job_days d
    where d.kind = job_totals.kind and d.day >= first_day
    group by d.type, d.status
    having sum(d.jobs) > 0;
    if job_totals.kind = 'backup' then
        return query
        select b.type::text, b.status::text, count(*)::numeric,
            sum(coalesce(round(extract(epoch from b.completed_at - b.started_at) * 1000), 0)),
            sum(coalesce(b.size_bytes, 0)), sum(coalesce(b.compressed_size_bytes, 0))
        from public.backup_jobs b
        where b.started_at >= since and b.started_at < first_midnight
        group by b.type, b.status;
    else
        return query
        select r.type::text, r.status::text, count(*)::numeric,
            sum(coalesce(round(extract(epoch from r.completed_at - r.started_at) * 1000), 0)),
            0::numeric, 0::numeric
        from public.restore_jobs r
        where r.started_at >= since and r.started_at < first_midnight
        group by r.type, r.status;
    end if;
end
$function$;
comment on function backup_internal.job_totals(text, timestamp with time zone) is 'Sums over jobs that began since a moment, by type and status';

create or replace function public.get_backup_statistics(days_back integer default 30)
returns table (
    backup_type text, total_backups bigint, completed_backups bigint, failed_backups bigint,
    cancelled_backups bigint, running_backups bigint, pending_backups bigint, success_rate numeric,
    average_duration_seconds numeric, average_size_bytes bigint, total_size_bytes bigint,
    total_stored_bytes bigint, last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone
)
language plpgsql stable security definer set search_path = ''
as $function$
begin
    perform backup_internal.check_days('days_back', days_back);
    return query
    with totals as (
        select t.job_type, sum(t.jobs) as total,
            coalesce(sum(t.jobs) filter (where t.job_status = 'completed'), 0) as completed,
            coalesce(sum(t.jobs) filter (where t.job_status = 'failed'), 0) as failed,
            sum(t.jobs) filter (where t.job_status = 'cancelled') as cancelled,
            sum(t.jobs) filter (where t.job_status = 'running') as running,
            sum(t.jobs) filter (where t.job_status = 'pending') as pending,
            sum(t.duration_ms) filter (where t.job_status = 'completed') as duration_ms,
            sum(t.size_bytes) filter (where t.job_status = 'completed') as size_bytes,
            sum(t.stored_bytes) filter (where t.job_status = 'completed') as stored_bytes
        from backup_internal.job_totals('backup', now() - make_interval(days => days_back)) t
        group by t.job_type
    )
    select k.job_type, coalesce(t.total, 0)::bigint, coalesce(t.completed, 0)::bigint,
        coalesce(t.failed, 0)::bigint, coalesce(t.cancelled, 0)::bigint,
        coalesce(t.running, 0)::bigint, coalesce(t.pending, 0)::bigint,
        round(100 * t.completed / nullif(t.completed + t.failed, 0), 2),
        round(t.duration_ms / nullif(t.completed, 0) / 1000, 3),
        round(t.size_bytes / nullif(t.completed, 0))::bigint,
        coalesce(t.size_bytes, 0)::bigint, coalesce(t.stored_bytes, 0)::bigint,
        (select b.completed_at from public.backup_jobs b
         where b.type = k.job_type and b.status = 'completed' and b.completed_at is not null
         order by b.completed_at desc limit 1),
        (select b.completed_at from public.backup_jobs b
         where b.type = k.job_type and b.status = 'failed' and b.completed_at is not null
         order by b.completed_at desc limit 1)
    from unnest(array['database', 'function', 'config', 'secrets', 'files']) with ordinality as k (job_type, place)
    left join totals t on t.job_type = k.job_type
    order by k.place;
end
$function$;
comment on function public.get_backup_statistics(integer) is 'Backups that began in the last days, a row for each type. The last success and failure may be older. Runs with the rights of its owner, because the counts are private';

create or replace function public.get_restore_statistics(days_back integer default 30)
returns table (
    restore_type text, total_restores bigint, completed_restores bigint, failed_restores bigint,
    cancelled_restores bigint, running_restores bigint, success_rate numeric,
    average_duration_seconds numeric, last_success_at timestamp with time zone,
    last_failure_at timestamp with time zone
)
language plpgsql stable security definer set search_path = ''
as $function$
begin
    perform backup_internal.check_days('days_back', days_back);
    return query
    with totals as (
        select t.job_type, sum(t.jobs) as total,
            coalesce(sum(t.jobs) filter (where t.job_status = 'completed'), 0) as completed,
            coalesce(sum(t.jobs) filter (where t.job_status = 'failed'), 0) as failed,
            sum(t.jobs) filter (where t.job_status = 'cancelled') as cancelled,
            sum(t.jobs) filter (where t.job_status = 'running') as running,
            sum(t.duration_ms) filter (where t.job_status = 'completed') as duration_ms
        from backup_internal.job_totals('restore', now() - make_interval(days => days_back)) t
        group by t.job_type
    )
    select k.job_type, coalesce(t.total, 0)::bigint, coalesce(t.completed, 0)::bigint,
        coalesce(t.failed, 0)::bigint, coalesce(t.cancelled, 0)::bigint,
        coalesce(t.running, 0)::bigint,
        round(100 * t.completed / nullif(t.completed + t.failed, 0), 2),
        round(t.duration_ms / nullif(t.completed, 0) / 1000, 3),
        (select r.completed_at from public.restore_jobs r
         where r.type = k.job_type and r.status = 'completed' and r.completed_at is not null
         order by r.completed_at desc limit 1),
        (select r.completed_at from public.restore_jobs r
         where r.type = k.job_type and r.status = 'failed' and r.completed_at is not null
         order by r.completed_at desc limit 1)
    from unnest(array['database', 'function', 'config', 'secrets', 'files']) with ordinality as k (job_type, place)
    left join totals t on t.job_type = k.job_type
    order by k.place;
end
$function$;
comment on function public.get_restore_statistics(integer) is 'Restores that began in the last days, a row for each type. The last success and failure may be older. Runs with the rights of its owner, because the counts are private';

create or replace function public.get_disaster_recovery_plans(priority text default null, enabled boolean default null)
returns setof public.disaster_recovery_plans
language plpgsql stable set search_path = ''
as $function$
begin
    if get_disaster_recovery_plans.priority not in ('low', 'medium', 'high', 'critical') then
        raise exception 'Cannot list plans of priority %: it must be low, medium, high or critical',
            quote_literal(get_disaster_recovery_plans.priority)
            using errcode = 'invalid_parameter_value';
    end if;
    return query
    select p.* from public.disaster_recovery_plans p
    where not p.hidden
        and (get_disaster_recovery_plans.priority is null or p.priority = get_disaster_recovery_plans.priority)
        and (get_disaster_recovery_plans.enabled is null or coalesce(p.enabled, true) = get_disaster_recovery_plans.enabled)
    order by array_position(array['critical', 'high', 'medium', 'low'], p.priority::text), p.plan_id;
end
$function$;
comment on function public.get_disaster_recovery_plans(text, boolean) is 'Plans that were not removed, the most pressing first; null leaves a condition out';

create or replace function public.get_backup_dashboard()
returns table (
    total_backups bigint, completed_backups bigint, failed_backups bigint, running_backups bigint,
    pending_backups bigint, running_restores bigint, success_rate_30_days numeric,
    last_success_at timestamp with time zone, last_failure_at timestamp with time zone,
    backups_in_storage bigint, size_in_storage_bytes bigint, stored_bytes bigint,
    damaged_backups bigint, last_verified_at timestamp with time zone,
    last_tested_at timestamp with time zone, recovery_points bigint,
    newest_recovery_point timestamp with time zone, enabled_plans bigint,
    running_executions bigint, last_execution_status text, open_alerts bigint, by_type jsonb
)
language plpgsql stable security definer set search_path = ''
as $function$
begin
    return query
    with days as (
        select coalesce(sum(d.jobs), 0)::bigint as total,
            coalesce(sum(d.jobs) filter (where d.status = 'completed'), 0)::bigint as completed,
            coalesce(sum(d.jobs) filter (where d.status = 'failed'), 0)::bigint as failed,
            coalesce(sum(d.jobs) filter (where d.in_storage), 0)::bigint as stored_jobs,
            coalesce(sum(d.size_bytes) filter (where d.in_storage), 0)::bigint as stored_size,
            coalesce(sum(d.stored_bytes) filter (where d.in_storage), 0)::bigint as stored
        from backup_internal.job_days d where d.kind = 'backup'
    ),
    types as (select s.* from public.get_backup_statistics(30) s)
    select d.total, d.completed, d.failed,
        (select count(*) from public.backup_jobs b where b.status = 'running'),
        (select count(*) from public.backup_jobs b where b.status = 'pending'),
        (select count(*) from public.restore_jobs r where r.status = 'running'),
        (select round(100 * sum(t.completed_backups) / nullif(sum(t.completed_backups + t.failed_backups), 0), 2) from types t),
        (select max(t.last_success_at) from types t), (select max(t.last_failure_at) from types t),
        d.stored_jobs, d.stored_size, d.stored,
        (select count(*) from public.backup_jobs b
         where b.integrity_verified is false and b.location is not null and b.freed_at is null),
        (select max(v.verification_date) from public.backup_verification v),
        (select max(b.last_tested) from public.backup_jobs b where b.last_tested is not null),
        (select count(*) from public.recovery_points p
         where p.status in ('completed', 'partial') and p.freed_at is null),
        (select max(p.recovery_timestamp) from public.recovery_points p
         where p.status in ('completed', 'partial') and p.freed_at is null),
        (select count(*) from public.disaster_recovery_plans p
         where coalesce(p.enabled, true) and not p.hidden),
        (select count(*) from public.disaster_recovery_executions e where e.status = 'running'),
        (select e.status::text from public.disaster_recovery_executions e
         order by e.started_at desc nulls last limit 1),
        (select count(*) from backup_internal.alerts a where a.state = 'open'),
        (select jsonb_object_agg(t.backup_type, to_jsonb(t) - 'backup_type') from types t)
    from days d;
end
$function$;
comment on function public.get_backup_dashboard() is 'One row: what there is, what runs, what was verified and tested. by_type is get_backup_statistics(30). Runs with the rights of its owner, because counts and alerts are private';

create or replace function public.create_manual_backup(reason text, created_by text)
returns text
language plpgsql security definer set search_path = ''
as $function$
declare
    asked_at constant timestamp with time zone := clock_timestamp();
    new_id constant text := 'backup_' || to_char(asked_at at time zone 'UTC', 'YYYYMMDD"T"HH24MISSMS"Z"')
        || '_' || substr(replace(gen_random_uuid()::text, '-', ''), 1, 10);
    asked_by constant text := coalesce(nullif(btrim(create_manual_backup.created_by), ''), session_user);
begin
    if length(create_manual_backup.reason) > 500 or length(asked_by) > 200 then
        raise exception 'Cannot ask for a backup: the reason or the name is too long'
            using errcode = 'invalid_parameter_value',
                hint = 'At most 500 characters of reason and 200 of created_by.';
    end if;
    if (select count(*) from public.backup_jobs b where b.status = 'pending') >= 100 then
        raise exception 'Cannot ask for a backup: 100 are waiting already'
            using errcode = 'program_limit_exceeded',
                hint = 'Waiting backups are begun by action=tick: see whether it is called.';
    end if;
    insert into public.backup_jobs (job_id, type, status, started_at, reason, created_by, components, metadata)
    values (new_id, 'database', 'pending', asked_at, create_manual_backup.reason, asked_by, '["database"]',
        jsonb_build_object('request', jsonb_build_object('task', 'backup',
            'reason', create_manual_backup.reason, 'createdBy', asked_by)));
    insert into public.backup_audit_log (action, actor, subject, outcome, details)
    values ('create_manual_backup', asked_by, new_id, 'accepted',
        jsonb_build_object('reason', create_manual_backup.reason, 'sqlUser', session_user));
    return new_id;
end
$function$;
comment on function public.create_manual_backup(text, text) is 'Asks for a backup of the database, which the next action=tick begins; returns its id. Runs with the rights of its owner, because nobody else may write jobs';

create or replace function public.test_backup_restoration(backup_id text)
returns boolean
language plpgsql security definer set search_path = ''
as $function$
declare
    backup public.backup_jobs;
begin
    select b.* into backup from public.backup_jobs b where b.job_id = test_backup_restoration.backup_id;
    if backup.status is distinct from 'completed' or backup.location is null or backup.freed_at is not null then
        raise exception 'Cannot test backup %: there is no finished one of this id in storage',
            coalesce(quote_literal(left(test_backup_restoration.backup_id, 100)), 'null')
            using errcode = 'invalid_parameter_value',
                hint = 'backup_jobs lists them; action=init brings it up to what storage has.';
    end if;
    if backup.type <> 'database' then
        raise exception 'Cannot test backup %: it is of type %, and only backups of the database are restored in a test',
            backup.job_id, backup.type
            using errcode = 'invalid_parameter_value', hint = 'Read it back with action=verify and level=full.';
    end if;
    if not exists (
        select from public.backup_tests t
        where t.backup_id = backup.job_id and t.test_type = 'restore_test' and t.completed_at is null
            and (t.started_at is null or exists (
                select from public.restore_jobs r where r.job_id = t.job_id and r.status = 'running'))
    ) then
        insert into public.backup_tests (backup_id, test_type, started_at, tested_by)
        values (backup.job_id, 'restore_test', null, session_user)
        on conflict do nothing;
        insert into public.backup_audit_log (action, actor, subject, outcome)
        values ('test_backup_restoration', session_user, backup.job_id, 'accepted');
    end if;
    return (
        select t.success from public.backup_tests t
        where t.backup_id = backup.job_id and t.test_type = 'restore_test' and t.success is not null
        order by t.completed_at desc limit 1
    );
end
$function$;
comment on function public.test_backup_restoration(text) is 'Asks for a restore test of a backup, which the next action=tick begins, unless one is asked for or runs; returns the result of the last finished one, null when there is none. Runs with the rights of its owner, because nobody else may write tests';

${pruneFunction({ jobTables: ["verify_jobs", "recovery_jobs", "cleanup_jobs"] })}

-- Whoever may call a function by default must not call these.
do $$
declare
    role_name text;
    routine regprocedure;
    for_users constant regprocedure[] := array[
        'public.get_backup_statistics(integer)', 'public.get_restore_statistics(integer)',
        'public.get_disaster_recovery_plans(text, boolean)', 'public.get_backup_dashboard()',
        'public.create_manual_backup(text, text)', 'public.test_backup_restoration(text)',
        'public.cleanup_backup_data(integer, integer, integer, integer)'];
    private constant regprocedure[] := array(
        select p.oid from pg_catalog.pg_proc p where p.pronamespace = 'backup_internal'::regnamespace);
begin
    revoke all on backup_internal.job_days from public;
    foreach routine in array for_users || private loop
        execute format('revoke all on function %s from public', routine);
    end loop;
    foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
        if exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute format('revoke all on backup_internal.job_days from %I', role_name);
            foreach routine in array for_users || private loop
                execute format('revoke all on function %s from %I', routine, role_name);
            end loop;
        end if;
    end loop;
    if exists (select from pg_catalog.pg_roles where rolname = 'service_role') then
        foreach routine in array for_users loop
            execute format('grant execute on function %s to service_role', routine);
        end loop;
    end if;
end
$$;

insert into backup_internal.migrations (version, name)
values ('20261121120100', 'sql_functions')
on conflict (version) do nothing;
`,
};
