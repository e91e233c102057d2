/**
 * Jobs of pg_cron that come back switched off: in a project that takes over for another one, or stands
 * beside it, nothing may begin to act before somebody has looked.
 *
 * @module
 */
import type { Entry } from "../../core/model.ts";
import type { Repository } from "../../repository/mod.ts";
import { viewOf } from "./repository_view.ts";

/** The same repository, whose cron jobs are all inactive. */
export function withInactiveCronJobs(repository: Repository): Repository {
  return viewOf(
    repository,
    <T>(lines: readonly T[]) => lines.map((line) => switchedOff(line) as T),
  );
}

/** An entry of a cron job with a statement more; everything else as it is. */
function switchedOff(line: unknown): unknown {
  const entry = line as Partial<Entry>;
  if (entry.kind !== "cron-job" || entry.statements === undefined) return line;
  const { create, drop } = entry.statements;
  const id = drop.map((sql) => /^SELECT cron\.unschedule\((.*)\)$/s.exec(sql)?.[1])
    .find((found) => found !== undefined);
  if (id === undefined || create.some((sql) => sql.startsWith("SELECT cron.alter_job("))) {
    return line;
  }
  return {
    ...entry,
    statements: {
      ...entry.statements,
      create: create.flatMap((sql) =>
        sql.startsWith("SELECT cron.schedule(")
          ? [sql, `SELECT cron.alter_job(${id}, active := false)`]
          : [sql]
      ),
    },
  };
}
