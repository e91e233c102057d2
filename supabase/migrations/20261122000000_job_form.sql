-- Jobs that another release began. Safe to run again.

alter table backup_internal.job_runs add column if not exists form integer not null default 0;
comment on column backup_internal.job_runs.form is 'Which form that has what the job keeps between its parts; another release may have another';

insert into backup_internal.migrations (version, name)
values ('20261122000000', 'job_form')
on conflict (version) do nothing;
