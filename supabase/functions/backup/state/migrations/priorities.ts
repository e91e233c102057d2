/**
 * Jobs that go before others.
 *
 * @module
 */
import type { Migration } from "./migration.ts";

/** See the module. */
export const PRIORITIES: Migration = {
  version: "20261121180000",
  name: "priorities",
  sql: `-- Jobs that go before others. Safe to run again.

alter table backup_internal.job_runs add column if not exists priority integer not null default 0;
comment on column backup_internal.job_runs.priority is 'Parts of jobs with a higher one are taken first';

insert into backup_internal.migrations (version, name)
values ('20261121180000', 'priorities')
on conflict (version) do nothing;
`,
};
