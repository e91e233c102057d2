/**
 * A backup and a restore under enforced hosted limits while a bank is at work in the database: the
 * restored books must be of one moment.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { auditBank, type BankCounts, createBank, historyDigest, startBankLoad } from "./bank.ts";
import { type EndedJob, startHostedService } from "./hosted_service.ts";
import { killAtRandom } from "./random_kills.ts";

/** What to try. The target must be empty. */
export interface ConsistencyOptions {
  sourceUrl: string;
  targetUrl: string;
  /** Of the bank, in the server. */
  bytes: number;
  seed: number;
  /** Random kills in the backup and again in the restore, at most. */
  kills: number;
  /** Milliseconds between two of them, at least and at most. @default one to four seconds */
  betweenMs?: readonly [number, number];
  tickMs?: number;
  onStep?: (step: string) => void;
}

/** What came of it. */
export interface ConsistencyReport {
  /** Of the source, in the server. */
  databaseBytes: number;
  backup: EndedJob;
  restore: EndedJob;
  kills: { backup: number; restore: number };
  /** What happened in the bank meanwhile. */
  load: BankCounts;
  peakMemoryBytes: number;
  peakResidentBytes: number;
  /** What is wrong, in words; nothing when all is well. */
  problems: string[];
}

/** Kills come about so far apart that parts get done between them, and not before one is done. */
const BETWEEN_MS = [1000, 4000] as const;

/** Runs the trial. @throws {Error} when a job fails, with its error and the log */
export async function tryConsistency(options: ConsistencyOptions): Promise<ConsistencyReport> {
  const { sourceUrl, targetUrl, bytes, seed, kills, betweenMs = BETWEEN_MS } = options;
  const { onStep = () => {} } = options;
  onStep("making the bank");
  const source = await connect({ url: sourceUrl });
  try {
    await createBank(source, { bytes });
    await using service = await startHostedService(options);
    const load = startBankLoad(() => connect({ url: sourceUrl }), { seed });
    const run = async (action: string, body: Record<string, unknown>, at: number) => {
      onStep(action);
      const killing = killAtRandom(service.platform, {
        ...{ seed: seed + at, betweenMs, most: kills },
        isUnderWay: () => hasDoneParts(source),
      });
      const ended = await service.run(action, body).finally(() => killing.stop());
      if (ended.job.status !== "completed") {
        throw new Error(
          `${action} ended as ${ended.job.status}: ${JSON.stringify(ended.job.error)}\n` +
            service.log.slice(-20).join("\n"),
        );
      }
      return { ended, kills: await killing.stop() };
    };
    const work = async () => {
      const backup = await run("backup-database", {}, 0);
      onStep("verify");
      const verified = await service.verify();
      const restore = await run("restore", {
        ...{ backupId: "latest", type: "database", mode: "empty" },
        targetDatabaseUrl: "env:BACKUP_SOAK_TARGET_URL",
      }, 1);
      return { backup, verified, restore };
    };
    const { backup, verified, restore } = await work().finally(() => load.stop());
    onStep("audit");
    const { peakMemoryBytes, peakResidentBytes } = service.platform.figures();
    return {
      databaseBytes: await databaseBytes(source),
      backup: backup.ended,
      restore: restore.ended,
      kills: { backup: backup.kills, restore: restore.kills },
      load: { ...load.counts },
      ...{ peakMemoryBytes, peakResidentBytes },
      problems: [
        ...verified.problems.map(({ object, message }) => `stored ${object}: ${message}`),
        ...(await compareBanks(source, targetUrl)),
      ],
    };
  } finally {
    await source.close();
  }
}

/** Whether a backup or a restore runs that would lose something with a worker. */
async function hasDoneParts(source: Session): Promise<boolean> {
  const rows = await source.query(`
    SELECT FROM backup_internal.job_runs
     WHERE status = 'running' AND kind IN ('backup', 'restore') AND parts_done > 0`);
  return rows.length > 0;
}

async function compareBanks(source: Session, targetUrl: string): Promise<string[]> {
  const target = await connect({ url: targetUrl });
  try {
    const [left, right] = [await historyDigest(source), await historyDigest(target)];
    return [
      ...(await auditBank(source)).map((wrong) => `source: ${wrong}`),
      ...(await auditBank(target)).map((wrong) => `restored: ${wrong}`),
      ...(left === right ? [] : [`restored: history is ${right}, not ${left}`]),
    ];
  } finally {
    await target.close();
  }
}

/** What a database takes in the server. */
export async function databaseBytes(session: Session): Promise<number> {
  const [row] = await session.query("SELECT pg_database_size(current_database())::text AS bytes");
  return Number(row!.bytes);
}
