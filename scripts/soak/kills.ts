/**
 * Backups, restores and copies whose workers are killed at random: each must end in a complete result, which
 * is checked, or in a clear error, and nothing that is stored may be broken.
 *
 * @module
 */
import type { Job } from "../../supabase/functions/backup/core/job.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { VerifyReport } from "../../supabase/functions/backup/repository/mod.ts";
import { createBank, historyDigest, rewriteHistory } from "./bank.ts";
import { type HostedService, startHostedService } from "./hosted_service.ts";
import { killAtRandom } from "./random_kills.ts";
import type { SoakServer } from "./soak_server.ts";

/** What to try. */
export interface KillTrialOptions {
  server: SoakServer;
  /** Of the database, in the server. */
  bytes: number;
  /** Kills in all: the trial goes on until there were so many. */
  kills: number;
  /** Kills in one job, at most. @default 4 */
  killsAJob?: number;
  seed: number;
  onStep?: (step: string) => void;
}

/** What came of it. */
export interface KillTrialReport {
  kills: number;
  completed: number;
  /** Runs that ended in a clear error: how many, by code. */
  refused: Record<string, number>;
  /** Workers that went over a limit; each counts as a kill that nobody asked for. */
  overLimit: number;
  /** What is wrong, in words; nothing when all is well. */
  problems: string[];
}

/** Milliseconds between two kills: from the first request of a worker to the end of its life. */
const BETWEEN_MS = [150, 2000] as const;
/** In one job; one that is never left alone shows only that attempts are counted. */
const KILLS_A_JOB = 4;
/** The clock, more often than a project has it: the trial is about kills, not about waiting. */
const TICK_MS = 2000;

/** Runs the trial. */
export async function tryKills(options: KillTrialOptions): Promise<KillTrialReport> {
  const { server, bytes, kills, killsAJob = KILLS_A_JOB, seed, onStep = () => {} } = options;
  const source = await connect({ url: server.sourceUrl });
  const report: KillTrialReport = {
    ...{ kills: 0, completed: 0, refused: {}, overLimit: 0, problems: [] },
  };
  try {
    await createBank(source, { bytes });
    await using service = await startHostedService({ ...server, seed, tickMs: TICK_MS });
    for (let turn = 1; report.kills < kills; turn++) {
      await rewriteHistory(source, { bytes, seed: seed + turn });
      const run = new Run(service, { report, seed: seed * 1000 + turn, kills, killsAJob });
      const backup = await run.job("backup-database", {});
      await run.verify();
      if (backup.status !== "completed") continue;
      await server.emptyTarget();
      const restore = await run.job("restore", {
        ...{ backupId: backup.jobId, type: "database", mode: "empty" },
        targetDatabaseUrl: "env:BACKUP_SOAK_TARGET_URL",
      });
      await run.verify();
      if (restore.status === "completed") {
        const wanted = await historyDigest(source);
        const found = await digestOf(server.targetUrl);
        if (found !== wanted) {
          report.problems.push(`turn ${turn}: restored ${found}, not ${wanted}`);
        }
      }
      if (report.kills < kills) await run.copy(turn);
      onStep(`turn ${turn}: ${JSON.stringify(report)}`);
    }
    const { ended } = service.platform.figures();
    report.overLimit = ended.cpu + ended.memory + ended.wall_clock;
    if (ended.crash > 0) report.problems.push(`${ended.crash} workers crashed`);
    return report;
  } finally {
    await source.close();
  }
}

/** One backup, its restore and its copy. */
class Run {
  readonly #service: HostedService;
  readonly #report: KillTrialReport;
  readonly #most: number;
  readonly #killsAJob: number;
  #seed: number;

  constructor(
    service: HostedService,
    { report, seed, kills, killsAJob }: {
      report: KillTrialReport;
      seed: number;
      kills: number;
      killsAJob: number;
    },
  ) {
    this.#service = service;
    this.#report = report;
    this.#seed = seed;
    this.#most = kills;
    this.#killsAJob = killsAJob;
  }

  /** Runs a job to its end while its workers die. */
  async job(action: string, body: Record<string, unknown>): Promise<Job> {
    const report = this.#report;
    const killing = killAtRandom(this.#service.platform, {
      ...{ seed: this.#seed++, betweenMs: BETWEEN_MS },
      most: Math.min(this.#killsAJob, this.#most - report.kills),
    });
    const { job } = await this.#service.run(action, body).finally(async () => {
      report.kills += await killing.stop();
    });
    if (job.status === "completed") report.completed += 1;
    else if (job.error === null || job.error.code === "internal") {
      report.problems.push(`${job.jobId} is ${job.status}: ${JSON.stringify(job.error)}`);
    } else report.refused[job.error.code] = (report.refused[job.error.code] ?? 0) + 1;
    return job;
  }

  /** Copies everything to the further destination: what is listed there is whole, and all of it once done. */
  async copy(turn: number): Promise<void> {
    const { status } = await this.job("replicate", {});
    const copied = await this.verify({ copy: true });
    if (status !== "completed") return;
    const { backups } = await this.verify();
    const lacking = backups.filter((id) => !copied.backups.includes(id));
    if (lacking.length > 0) {
      this.#report.problems.push(`turn ${turn}: the copy lacks ${lacking.join(", ")}`);
    }
  }

  /** Everything that is listed is whole. */
  async verify(options?: { copy: boolean }): Promise<VerifyReport> {
    const report = await this.#service.verify(options);
    const place = options?.copy === true ? "copy: " : "";
    for (const { object, message } of report.problems) {
      this.#report.problems.push(`${place}${object}: ${message}`);
    }
    return report;
  }
}

async function digestOf(url: string): Promise<string> {
  const session = await connect({ url });
  return await historyDigest(session).finally(() => session.close());
}

/** The sum of several trials. */
export function sumOf(reports: readonly KillTrialReport[]): KillTrialReport {
  const refused: Record<string, number> = {};
  for (const [code, count] of reports.flatMap((report) => Object.entries(report.refused))) {
    refused[code] = (refused[code] ?? 0) + count;
  }
  const total = (pick: (report: KillTrialReport) => number) =>
    reports.reduce((sum, report) => sum + pick(report), 0);
  return {
    kills: total(({ kills }) => kills),
    completed: total(({ completed }) => completed),
    refused,
    overLimit: total(({ overLimit }) => overLimit),
    problems: reports.flatMap(({ problems }) => problems),
  };
}
