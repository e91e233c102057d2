-- How fast the statistics answer with a million backups of the last 30 days. Run in a database of its own that
-- has the service's tables: psql -f scripts/bench/sql_statistics.sql. Takes some minutes.

insert into public.backup_jobs
    (job_id, type, status, started_at, completed_at, size_bytes, compressed_size_bytes, checksum, location, metadata)
select 'backup_' || i, (array['database', 'function', 'config', 'secrets', 'files'])[1 + i % 5],
    case when i % 50 = 0 then 'failed' when i % 211 = 0 then 'cancelled' else 'completed' end,
    t, t + i % 600 * interval '1 second', 1000000 + i, 10000 + i, md5(i::text), 's3://bucket/backups',
    jsonb_build_object('result', jsonb_build_object('totals', jsonb_build_object('tables', i % 100, 'rows', i)))
from (select i, now() - i * interval '2.59 seconds' as t from generate_series(1, 1000000) i) s;
vacuum analyze public.backup_jobs;

\timing on
\o /dev/null
\echo counted by day, not packed
select * from public.get_backup_statistics(30);
\echo cleanup_backup_data, which packs the counts
select * from public.cleanup_backup_data();
vacuum analyze backup_internal.job_days;
\echo counted by day: 30 days, 10 years, the dashboard
select * from public.get_backup_statistics(30);
select * from public.get_backup_statistics(3650);
select * from public.get_backup_dashboard();
\echo summed up from the jobs themselves
select type, count(*), count(*) filter (where status = 'completed'), avg(completed_at - started_at), sum(size_bytes)
from public.backup_jobs where started_at >= now() - interval '30 days' group by type;
