-- How fast the statistics answer with a million backups of the last 30 days, however they came: inserted by one
-- statement, each by a statement and a transaction of its own, and packed by a cleanup. Run in a database of its
-- own that has the service's tables, and no jobs: psql -f scripts/bench/sql_statistics.sql. Takes some minutes. Before
-- it, PGOPTIONS="-c log_statement_stats=on -c client_min_messages=log" has the server tell the CPU time, too.

create function pg_temp.ask(state text) returns void language plpgsql as $$
declare
    rows constant bigint := (select count(*) from backup_internal.job_days);
    query text;
    begun timestamp with time zone;
begin
    foreach query in array array['get_backup_statistics(30)', 'get_backup_statistics(3650)', 'get_backup_dashboard()'] loop
        for round in 1..3 loop
            begun := clock_timestamp();
            execute 'select * from public.' || query;
            raise info '%: % in % ms, % rows of counts', state, query,
                round(1000 * extract(epoch from clock_timestamp() - begun), 1), rows;
        end loop;
    end loop;
end
$$;

create function pg_temp.job(i integer)
returns table (
    job_id text, type text, status text, started_at timestamp with time zone, completed_at timestamp with time zone,
    size_bytes bigint, compressed_size_bytes bigint, checksum text, location text, metadata jsonb
)
language sql stable as $$
    select 'backup_' || i, (array['database', 'function', 'config', 'secrets', 'files'])[1 + i % 5],
        case when i % 50 = 0 then 'failed' when i % 211 = 0 then 'cancelled' else 'completed' end,
        t, t + i % 600 * interval '1 second', 1000000 + i, 10000 + i, md5(i::text), 's3://bucket/backups',
        jsonb_build_object('result', jsonb_build_object('totals', jsonb_build_object('tables', i % 100, 'rows', i)))
    from (select now() - i * interval '2.59 seconds' as t) s
$$;

set synchronous_commit = off;
\timing on
\echo one statement
insert into public.backup_jobs
    (job_id, type, status, started_at, completed_at, size_bytes, compressed_size_bytes, checksum, location, metadata)
select j.* from generate_series(1, 1000000) i, pg_temp.job(i) j;
select pg_temp.ask('one statement');
\echo one statement that changes all of them, and one that takes that back
update public.backup_jobs set location = null;
update public.backup_jobs set location = 's3://bucket/backups';
select pg_temp.ask('all of them changed');
\echo cleanup_backup_data, which counts anew and packs
select count(*) from public.cleanup_backup_data();
vacuum analyze public.backup_jobs;
vacuum analyze backup_internal.job_days;
select pg_temp.ask('packed');
\echo summed up from the jobs themselves
select type, count(*), count(*) filter (where status = 'completed'), avg(completed_at - started_at), sum(size_bytes)
from public.backup_jobs where started_at >= now() - interval '30 days' group by type;

truncate public.backup_jobs;
\echo a statement and a transaction each
do $$
begin
    for i in 1..1000000 loop
        insert into public.backup_jobs
            (job_id, type, status, started_at, completed_at, size_bytes, compressed_size_bytes, checksum, location, metadata)
        select * from pg_temp.job(i);
        commit;
    end loop;
end
$$;
select pg_temp.ask('a statement each');
