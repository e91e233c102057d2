-- Requests to the Management API, so that all workers together keep to its limit. Safe to run again.

create table if not exists backup_internal.api_requests (
    sent_at timestamp with time zone not null
);
comment on table backup_internal.api_requests is 'When the last requests to the Management API were let go, by any worker; as many rows as its limit at most';

create index if not exists api_requests_sent_idx on backup_internal.api_requests (sent_at);

alter table backup_internal.api_requests enable row level security;

-- Default privileges of a project may have granted more than was asked for.
do $$
declare
    role_name text;
begin
    revoke all on backup_internal.api_requests from public;
    foreach role_name in array array['anon', 'authenticated', 'service_role'] loop
        if exists (select from pg_catalog.pg_roles where rolname = role_name) then
            execute format('revoke all on backup_internal.api_requests from %I', role_name);
        end if;
    end loop;
end
$$;

insert into backup_internal.migrations (version, name)
values ('20261121210000', 'api_requests')
on conflict (version) do nothing;
