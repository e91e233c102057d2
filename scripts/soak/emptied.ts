/**
 * A live database whose tables are emptied, brought back under hosted limits by the trigger that a monitor
 * would post.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { quoteIdentifier } from "../../supabase/functions/backup/postgres/quote.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { createBank } from "./bank.ts";
import { databaseBytes } from "./consistency.ts";
import { type EndedJob, startHostedService } from "./hosted_service.ts";
import type { SoakServer } from "./soak_server.ts";

/** What to try. */
export interface EmptiedOptions extends Pick<SoakServer, "sourceUrl" | "targetUrl"> {
  /** Of the database in the server. */
  bytes: number;
  onStep?: (step: string) => void;
}

/** What came of it. */
export interface EmptiedReport {
  databaseBytes: number;
  recovery: EndedJob;
  peakMemoryBytes: number;
  problems: string[];
}

const TABLES = ["accounts", "transfers", "side", "altered", "versions", "history"];

/** Saves a bank, empties it and posts the trigger. */
export async function tryEmptied(options: EmptiedOptions): Promise<EmptiedReport> {
  const { bytes, onStep = () => {} } = options;
  const source = await connect({ url: options.sourceUrl });
  try {
    await createBank(source, { bytes });
    const size = await databaseBytes(source);
    await using service = await startHostedService(options);
    const backup = await service.run("backup-database");
    onStep(`the backup has ${backup.job.status}`);
    const before = await stateOf(source);
    await source.execute(`TRUNCATE ${TABLES.map(quoteIdentifier).join(", ")}`);
    onStep("the tables are emptied");
    const recovery = await service.run("disaster-recovery", {
      ...{ planId: "database_failure", trigger: "database_corruption" },
    });
    const { status, error } = recovery.job;
    const problems = status === "completed"
      ? []
      : [`it ended as ${status}: ${JSON.stringify(error)}`];
    const after = await stateOf(source);
    for (const table of TABLES) {
      if (after[table] !== before[table]) {
        problems.push(`${table} has ${after[table]}, not ${before[table]}`);
      }
    }
    const { peakMemoryBytes } = service.platform.figures();
    return { databaseBytes: size, recovery, peakMemoryBytes, problems };
  } finally {
    await source.close();
  }
}

/** Rows of every table, and the sum of their hashes. */
async function stateOf(session: Session): Promise<Record<string, string>> {
  const state: Record<string, string> = {};
  for (const table of TABLES) {
    const [row] = await session.query(
      `SELECT count(*) || ' rows, ' || coalesce(sum(hashtextextended(t::text, 0)), 0) AS state
         FROM ${quoteIdentifier(table)} t`,
    );
    state[table] = row!.state;
  }
  return state;
}
