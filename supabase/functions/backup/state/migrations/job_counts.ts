/**
 * Counts of jobs by day that stay few by themselves: a statement appends what it changed, summed up, and
 * every now and then one adds up what others appended.
 *
 * @module
 */
import type { Migration } from "./migration.ts";

const COLUMNS =
  "(kind, day, type, status, in_storage, jobs, duration_ms, size_bytes, stored_bytes)";

/** Rows of transition tables, by what they count: what is there now adds, what was there takes away. */
const GAINED = "select 1 as sign, g.* from gained g";
const LOST = "select -1 as sign, l.* from lost l";

/** What belongs to a kind of job. */
interface Kind {
  kind: "backup" | "restore";
  inStorage: string;
  sizeBytes: string;
  storedBytes: string;
}

const BACKUP: Kind = {
  kind: "backup",
  inStorage: "j.status = 'completed' and j.location is not null and j.freed_at is null",
  sizeBytes: "sum(j.sign * coalesce(j.size_bytes, 0))",
  storedBytes: "sum(j.sign * coalesce(j.compressed_size_bytes, 0))",
};

const RESTORE: Kind = { kind: "restore", inStorage: "false", sizeBytes: "0", storedBytes: "0" };

/** Appends what the rows of `source` count for; sums that cancel each other out leave nothing. */
function append({ kind, inStorage, sizeBytes, storedBytes }: Kind, source: string): string {
  return `insert into backup_internal.job_days
            ${COLUMNS}
        select '${kind}', c.* from (
            select (j.started_at at time zone 'UTC')::date, j.type, j.status,
                ${inStorage} as in_storage, sum(j.sign) as jobs,
                sum(j.sign * coalesce(round(extract(epoch from j.completed_at - j.started_at) * 1000), 0)) as duration_ms,
                ${sizeBytes} as size_bytes, ${storedBytes} as stored_bytes
            from (${source}) j
            where j.started_at is not null
            group by 1, 2, 3, 4
        ) c
        where (c.jobs, c.duration_ms, c.size_bytes, c.stored_bytes) <> (0, 0, 0, 0);`;
}

/** The function that the triggers of a table call. */
function countJobs(kind: Kind): string {
  const name = `backup_internal.count_${kind.kind}_jobs()`;
  return `create or replace function ${name} returns trigger
language plpgsql security definer set search_path = ''
as $function$
declare
    appended bigint;
begin
    if tg_op = 'INSERT' then
        ${append(kind, GAINED)}
    elsif tg_op = 'UPDATE' then
        ${append(kind, `${GAINED} union all ${LOST}`)}
    elsif tg_op = 'DELETE' then
        ${append(kind, LOST)}
    else
        insert into backup_internal.job_days
            ${COLUMNS}
        select d.kind, d.day, d.type, d.status, d.in_storage, -sum(d.jobs), -sum(d.duration_ms),
            -sum(d.size_bytes), -sum(d.stored_bytes)
        from backup_internal.job_days d where d.kind = '${kind.kind}'
        group by d.kind, d.day, d.type, d.status, d.in_storage;
    end if;
    get diagnostics appended = row_count;
    -- One row in a thousand, whoever appends it: nobody has to count them for that.
    if random() * 1000 < appended then
        perform backup_internal.pack_job_days();
    end if;
    return null;
end
$function$;
comment on function ${name} is 'Keeps job_days. Runs with the rights of its owner, because whoever may write jobs need not have any on the counts';`;
}

/**
 * The triggers of a table. The first keeps its old name, because one can be replaced while others read the
 * table, but neither dropped nor renamed.
 */
function triggers({ kind }: Kind): string {
  const made = (name: string, event: string, tables: string) =>
    `    create or replace trigger ${name} after ${event} on public.${kind}_jobs${tables}
        for each statement execute function backup_internal.count_${kind}_jobs();`;
  return [
    made("count_job", "insert", " referencing new table as gained"),
    made("count_job_update", "update", " referencing new table as gained old table as lost"),
    made("count_job_delete", "delete", " referencing old table as lost"),
    made("count_job_truncate", "truncate", ""),
  ].join("\n");
}

/** See the module. */
export const JOB_COUNTS: Migration = {
  version: "20261121230000",
  name: "job_counts",
  sql:
    `-- Counts of jobs by statement, which pack themselves. Safe to run again: nothing is counted twice.

comment on table backup_internal.job_days is 'Counts of jobs by day of their beginning (UTC). Rows are added up: a statement appends what it added and took away, so that no job waits for another; pack_job_days() adds up what has gathered';

create or replace function backup_internal.pack_job_days() returns void
language plpgsql set search_path = ''
as $function$
begin
    -- Two at once would add the same rows up twice, and nobody needs to wait: the next one does it. A snapshot
    -- that is older than the lock may show rows that another has packed since.
    if current_setting('transaction_isolation') <> 'read committed'
        or not pg_try_advisory_xact_lock(7277816997830726) then
        return;
    end if;
    -- By their places: joined, they would be compared each with each while the planner takes the table for a small one.
    with gone as (
        delete from backup_internal.job_days d
        where d.ctid = any (array(
            select unnest(same.places) from (
                select array_agg(e.ctid) as places from backup_internal.job_days e
                group by e.kind, e.day, e.type, e.status, e.in_storage having count(*) > 1
            ) same
        ))
        returning d.*
    )
    insert into backup_internal.job_days
        ${COLUMNS}
    select s.* from (
        select g.kind, g.day, g.type, g.status, g.in_storage, sum(g.jobs) as jobs, sum(g.duration_ms) as duration_ms,
            sum(g.size_bytes) as size_bytes, sum(g.stored_bytes) as stored_bytes
        from gone g group by g.kind, g.day, g.type, g.status, g.in_storage
    ) s
    where (s.jobs, s.duration_ms, s.size_bytes, s.stored_bytes) <> (0, 0, 0, 0);
end
$function$;
comment on function backup_internal.pack_job_days() is 'Adds up rows of job_days that count for the same; others go on appending';

create or replace function backup_internal.recount_jobs() returns void
language plpgsql set search_path = ''
as $function$
begin
    -- What jobs changed and what that counts for become visible together, so that a difference is an error.
    -- Two at once would mend it twice, and so would a snapshot that is older than the lock.
    if current_setting('transaction_isolation') <> 'read committed' then
        return;
    end if;
    perform pg_advisory_xact_lock(7277816997830725);
    insert into backup_internal.job_days
        ${COLUMNS}
    select s.* from (
        select j.kind, j.day, j.type, j.status, j.in_storage, sum(j.jobs) as jobs,
            sum(j.duration_ms) as duration_ms, sum(j.size_bytes) as size_bytes, sum(j.stored_bytes) as stored_bytes
        from (
            select 'backup' as kind, (b.started_at at time zone 'UTC')::date as day, b.type, b.status,
                b.status = 'completed' and b.location is not null and b.freed_at is null as in_storage,
                1 as jobs, coalesce(round(extract(epoch from b.completed_at - b.started_at) * 1000), 0) as duration_ms,
                coalesce(b.size_bytes, 0) as size_bytes, coalesce(b.compressed_size_bytes, 0) as stored_bytes
            from public.backup_jobs b where b.started_at is not null
            union all
            select 'restore', (r.started_at at time zone 'UTC')::date, r.type, r.status, false,
                1, coalesce(round(extract(epoch from r.completed_at - r.started_at) * 1000), 0), 0, 0
            from public.restore_jobs r where r.started_at is not null
            union all
            select d.kind, d.day, d.type, d.status, d.in_storage,
                -d.jobs, -d.duration_ms, -d.size_bytes, -d.stored_bytes
            from backup_internal.job_days d
        ) j
        group by j.kind, j.day, j.type, j.status, j.in_storage
    ) s
    where (s.jobs, s.duration_ms, s.size_bytes, s.stored_bytes) <> (0, 0, 0, 0);
    perform backup_internal.pack_job_days();
end
$function$;
comment on function backup_internal.recount_jobs() is 'Counts all jobs anew, mends job_days where they differ, and packs them';

create or replace function backup_internal.job_totals(kind text, since timestamp with time zone)
returns table (job_type text, job_status text, jobs numeric, duration_ms numeric, size_bytes numeric, stored_bytes numeric)
language plpgsql stable set search_path = '' set enable_sort = off set enable_incremental_sort = off set jit = off
as $function$
declare
    first_day constant date := (since at time zone 'UTC')::date + 1;
    first_midnight constant timestamp with time zone := first_day::timestamp at time zone 'UTC';
begin
    -- Whole days are counted already; the day in which the time begins is read job by job, in the order of an
    -- index, so that the server takes that one also while it believes the table to be empty.
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
        from (
            select j.* from public.backup_jobs j
            where j.started_at >= since and j.started_at < first_midnight
            order by j.started_at desc
        ) b
        group by b.type, b.status;
    else
        return query
        select r.type::text, r.status::text, count(*)::numeric,
            sum(coalesce(round(extract(epoch from r.completed_at - r.started_at) * 1000), 0)),
            0::numeric, 0::numeric
        from (
            select j.* from public.restore_jobs j
            where j.started_at >= since and j.started_at < first_midnight
            order by j.started_at desc
        ) r
        group by r.type, r.status;
    end if;
end
$function$;

-- The newest of a type and state is the first of its index, and what is damaged has one of its own: whoever has
-- looked at no row yet, or at a table that one transaction was filling, would read and sort all of them. What is
-- forbidden counts as dear, and what is dear would be compiled.
alter function public.get_backup_statistics(integer) set enable_sort = off;
alter function public.get_restore_statistics(integer) set enable_sort = off;
alter function public.get_backup_dashboard() set enable_seqscan = off;
alter function public.get_backup_statistics(integer) set jit = off;
alter function public.get_restore_statistics(integer) set jit = off;
alter function public.get_backup_dashboard() set jit = off;

${countJobs(BACKUP)}

${countJobs(RESTORE)}

-- All in one statement: no change is counted twice or not at all, however this file is run, and what the
-- triggers before counted while these were there, too, is mended.
do $$
begin
${triggers(BACKUP)}
${triggers(RESTORE)}
    perform backup_internal.recount_jobs();
end
$$;
drop function if exists backup_internal.count_backup_job();
drop function if exists backup_internal.count_restore_job();

-- The few rows that there are get read whole; an index would have to be kept, and keeps what is packed long after.
-- After the triggers: whoever changes jobs holds those tables before this one.
drop index if exists backup_internal.job_days_day_idx;

-- Whoever may call a function by default must not call these.
do $$
declare
    role_name text;
    routine regprocedure;
    private constant regprocedure[] := array(
        select p.oid from pg_catalog.pg_proc p where p.pronamespace = 'backup_internal'::regnamespace);
begin
    foreach routine in array private loop
        execute format('revoke all on function %s from public', routine);
        foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
            if exists (select from pg_catalog.pg_roles where rolname = role_name) then
                execute format('revoke all on function %s from %I', routine, role_name);
            end if;
        end loop;
    end loop;
end
$$;

insert into backup_internal.migrations (version, name)
values ('20261121230000', 'job_counts')
on conflict (version) do nothing;
`,
};
