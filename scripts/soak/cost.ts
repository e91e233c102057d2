/**
 * What a backup and a restore cost under hosted limits, by the size of the database.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { createBank } from "./bank.ts";
import { databaseBytes } from "./consistency.ts";
import { type EndedJob, startHostedService } from "./hosted_service.ts";
import type { SoakServer } from "./soak_server.ts";

/** Cost of one job. */
export interface Cost {
  seconds: number;
  /** Of all workers' main threads. */
  cpuSeconds: number;
  invocations: number;
  /** Statements that the servers were sent, by the service and by what they call. */
  serverCalls: number;
  storageCalls: number;
  /** Workers that the platform had to kill. */
  overLimit: number;
}

/** Figures of one size. */
export interface CostBySize {
  /** Of the database in the server. */
  databaseBytes: number;
  /** Of the rows and definitions as they are saved. */
  rawBytes: number;
  storedBytes: number;
  /** The largest heap of a worker, as the platform counts. */
  peakMemoryBytes: number;
  /** The largest resident set of a worker, with Deno itself. */
  peakResidentBytes: number;
  backup: Cost;
  restore: Cost;
}

/** Measures one size: a bank without load, saved and restored. @throws {Error} when a job fails */
export async function measureCost(server: SoakServer, bytes: number): Promise<CostBySize> {
  const source = await connect({ url: server.sourceUrl });
  try {
    await createBank(source, { bytes });
    await source.execute("VACUUM");
    await source.execute("CREATE EXTENSION pg_stat_statements");
    await server.emptyTarget();
    // A copy of the backup, which begins with the next tick, would be counted with a restore that meets one.
    const variables = { BACKUP_DESTINATIONS: "[]" };
    await using service = await startHostedService({ ...server, variables });
    const measure = async (action: string, body: Record<string, unknown>) => {
      await source.execute("SELECT pg_stat_statements_reset()");
      const ended = await service.run(action, body);
      if (ended.job.status !== "completed") {
        const log = service.log.slice(-20).join("\n");
        throw new Error(`${action} failed: ${JSON.stringify(ended.job.error)}\n${log}`);
      }
      return { ended, cost: costOf(ended, await serverCalls(source)) };
    };
    const backup = await measure("backup-database", {});
    const storedBytes = await service.storedBytes();
    const restore = await measure("restore", {
      ...{ backupId: "latest", type: "database", mode: "empty" },
      targetDatabaseUrl: "env:BACKUP_SOAK_TARGET_URL",
    });
    const { totals } = backup.ended.job.result as { totals: { rawBytes: number } };
    const { peakMemoryBytes, peakResidentBytes } = service.platform.figures();
    return {
      databaseBytes: await databaseBytes(source),
      rawBytes: totals.rawBytes,
      ...{ storedBytes, peakMemoryBytes, peakResidentBytes },
      backup: backup.cost,
      restore: restore.cost,
    };
  } finally {
    await source.close();
  }
}

function costOf({ seconds, figures, storageCalls }: EndedJob, serverCalls: number): Cost {
  const { cpu, memory, wall_clock } = figures.ended;
  return {
    ...{ seconds, serverCalls, storageCalls },
    cpuSeconds: figures.cpuMs / 1000,
    invocations: figures.requests,
    overLimit: cpu + memory + wall_clock,
  };
}

/** All but what looks whether the job has ended, which goes by the clock, and what plays pg_cron. */
async function serverCalls(session: Session): Promise<number> {
  const [row] = await session.query(`
    SELECT coalesce(sum(calls), 0)::text AS calls FROM pg_stat_statements
     WHERE query NOT LIKE 'SELECT status FROM backup_internal.job_runs%'
       AND query NOT LIKE '%FROM cron.job%'`);
  return Number(row!.calls);
}

/** A figure that must grow in proportion. */
const PROPORTIONAL: readonly [string, (size: CostBySize) => number][] = [
  ["CPU-seconds, backup", ({ backup }) => backup.cpuSeconds],
  ["CPU-seconds, restore", ({ restore }) => restore.cpuSeconds],
  ["server calls, backup", ({ backup }) => backup.serverCalls],
  ["server calls, restore", ({ restore }) => restore.serverCalls],
  ["storage calls, backup", ({ backup }) => backup.storageCalls],
  ["storage calls, restore", ({ restore }) => restore.storageCalls],
  ["stored bytes", ({ storedBytes }) => storedBytes],
];

/** How a figure per gigabyte grows from one pair of sizes to the next. */
export interface Growth {
  figure: string;
  /** Per gigabyte of the database, between the smaller two sizes. */
  before: number;
  /** Between the larger two. */
  after: number;
  within: boolean;
}

/** More per gigabyte than this is not proportional any more. */
const TOLERANCE = 1.15;

/**
 * Compares what a further gigabyte costs from a hundredth to a tenth of the largest size with what it costs
 * from there on, or among the nearest sizes there are; nothing for fewer than three.
 */
export function growthOf(sizes: readonly CostBySize[]): Growth[] {
  const large = sizes.at(-1);
  if (large === undefined || sizes.length < 3) return [];
  const middle = nearest(sizes.slice(1, -1), large.databaseBytes / 10);
  const small = nearest(sizes.slice(0, sizes.indexOf(middle)), middle.databaseBytes / 10);
  const slope = (pick: (size: CostBySize) => number, from: CostBySize, to: CostBySize) =>
    (pick(to) - pick(from)) / ((to.databaseBytes - from.databaseBytes) / 1e9);
  return PROPORTIONAL.map(([figure, pick]) => {
    const before = slope(pick, small, middle);
    const after = slope(pick, middle, large);
    return { figure, before, after, within: after <= before * TOLERANCE };
  });
}

/** The size whose ratio to the wanted one is nearest to one. @param sizes at least one */
function nearest(sizes: readonly CostBySize[], wanted: number): CostBySize {
  const distance = ({ databaseBytes }: CostBySize) => Math.abs(Math.log(databaseBytes / wanted));
  return sizes.reduce((best, size) => distance(size) < distance(best) ? size : best);
}
