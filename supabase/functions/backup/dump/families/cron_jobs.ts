/**
 * Jobs of pg_cron, scheduled again through its functions: on Supabase nobody may insert them as rows.
 *
 * @module
 */
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { takesWholeDatabase } from "./define.ts";
import { newDraft } from "./new_draft.ts";

const HAS_JOBS = `
  select coalesce(has_table_privilege(to_regclass('cron.job'), 'select'), false) as readable`;

const JOBS = `
  select j.jobid::text as id, j.jobname, j.schedule, j.command, j.username::text as username,
         j.active, j.username = current_user as is_mine
    from cron.job j
   where j.database = current_database()
   order by j.jobname, j.jobid`;

const ELSEWHERE = `
  select coalesce(quote_literal(j.jobname), j.jobid::text) as name
    from cron.job j where j.database <> current_database() order by j.jobid`;

/** The family of cron.job, in the profile `supabase`. */
export const cronJobsFamily: CatalogFamily = {
  name: "cron jobs",
  catalogs: [],
  async read(context: DumpContext): Promise<void> {
    if (context.options.profile !== "supabase" || !takesWholeDatabase(context)) return;
    const [has] = await context.session.query(HAS_JOBS);
    if (!has!.readable) return;
    for (const row of await context.session.query(JOBS)) add(context, row);
    for (const { name } of await context.session.query(ELSEWHERE)) {
      context.remarks.push(
        `Job ${name} of pg_cron is not in the backup: it runs in another database`,
      );
    }
  },
};

function add(context: DumpContext, row: Row): void {
  const name = row.jobname === null ? null : quoteLiteral(row.jobname);
  const user = quoteIdentifier(row.username);
  const schedule = `${quoteLiteral(row.schedule)}, ${quoteLiteral(row.command)}`;
  // Names are one user's own; jobs without one are told apart by what they do.
  const equals = (column: string, literal: string) => `${column} OPERATOR(pg_catalog.=) ${literal}`;
  const found = name === null
    ? `jobname IS NULL AND ${equals("schedule", quoteLiteral(row.schedule))} AND ` +
      equals("command", quoteLiteral(row.command))
    : equals("jobname", name);
  const id = `(SELECT pg_catalog.max(jobid) FROM cron.job WHERE ${found} AND ` +
    `${equals("username", "CURRENT_USER::pg_catalog.text")})`;
  const create = [`SELECT cron.schedule(${name === null ? "" : `${name}, `}${schedule})`];
  if (!row.active) create.push(`SELECT cron.alter_job(${id}, active := false)`);
  // A job of another user is found under the row security of cron.job, which dump and restore refuse.
  const asUser = (statements: string[]) =>
    row.is_mine ? statements : [
      `SET ROLE ${user}`,
      "SET row_security = on",
      ...statements,
      "SET row_security = off",
      "RESET ROLE",
    ];
  context.drafts.add(newDraft({
    catalog: "cron.job",
    oid: Number(row.id),
    kind: "cron-job",
    section: "post-data",
    schema: "cron",
    name: row.jobname ?? `job ${row.id}`,
    address: `CRON JOB ${name ?? schedule} OF ${user}`,
    create: asUser(create),
    drop: asUser([`SELECT cron.unschedule(${id})`]),
    commentable: false,
  }));
}
