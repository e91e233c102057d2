/**
 * Starts a cleanup as a job: retention, freeing space, pruning records.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Clock } from "../../core/clock.ts";
import { isPointId, newJobId } from "../../core/ids.ts";
import type { Job } from "../../core/job.ts";
import type { SettingsInForce } from "../../core/settings_in_force.ts";
import { readSourceFacts } from "../../dump/mod.ts";
import type { JobDefinition } from "../../jobs/job_definition.ts";
import type { Repository } from "../../repository/mod.ts";
import type { RetentionFacts } from "./apply_retention.ts";
import { rulesOf } from "./apply_retention.ts";
import {
  cleanupInParts,
  type CleanupInPartsOptions,
  type CleanupPlan,
  FIRST_OF_CLEANUP,
} from "./cleanup_in_parts.ts";
import { connector, databaseUrl } from "../database_access.ts";
import type { Caller, Deps } from "../deps.ts";
import type { JobRequest } from "../jobs/job_request.ts";
import { findUnlisted } from "../restore/lost_backups.ts";
import { startJob } from "../jobs/start_job.ts";

/** So long may a run delete; a backup that needs some of it waits. */
const LASTS_MS = 15 * 60_000;

const DAY_MS = 86_400_000;

/** Records of executions are kept so long, in the tables and in storage. */
const EXECUTION_DAYS = 180;

/** What is asked of a cleanup. */
export interface CleanupWish {
  dryRun: boolean;
  /** Name of the destination whose copy is cleaned up. @default the primary storage */
  destination?: string | undefined;
}

/**
 * @throws `conflict` while another cleanup runs, `invalid_request` when there is no such destination,
 * `invalid_config`, `repository_missing`, `repository_foreign`, `storage_*`
 */
export async function startCleanup(
  deps: Deps,
  caller: Caller,
  { dryRun, destination }: CleanupWish,
): Promise<Job> {
  const inForce = await deps.settings();
  refuseWrongSettings(inForce);
  const { settings } = inForce;
  const { lock } = await deps.openStorage(settings, { destination });
  await refuseForeign(deps, await deps.openRepository(settings, { destination }));
  const lockedDays = lock === undefined || lock.mode === null ? 0 : lock.days;
  const jobId = newJobId("cleanup", deps.clock.now());
  const plan: CleanupPlan = {
    runId: jobId,
    dryRun,
    rules: rulesOf(settings, lockedDays),
    times: {
      graceMs: settings.cleanupGraceHours * 3_600_000,
      lastsMs: LASTS_MS,
      lockedMs: lockedDays * DAY_MS,
    },
    destination,
  };
  return await startJob(deps, caller, {
    settings,
    start: {
      action: "cleanup",
      job: {
        ...{ jobId, kind: "cleanup", type: "database", backupId: destination ?? null },
        ...{ reason: dryRun ? "dry run" : null, createdBy: caller.name },
      },
      request: { task: "cleanup", plan },
      first: FIRST_OF_CLEANUP,
      details: { dryRun, destination },
    },
  });
}

/** Another project's backups are not for these settings to let go: its own may keep them longer. */
async function refuseForeign(deps: Deps, repository: Repository): Promise<void> {
  if (await repository.owner() === null) return;
  const session = await connector(databaseUrl(deps))();
  try {
    const { systemIdentifier, database } = await readSourceFacts(session, { profile: "plain" });
    const { projectRef } = deps.environment;
    await repository.claimOwner({ projectRef, systemIdentifier, database });
  } finally {
    await session.close();
  }
}

/** A wrong row that is not followed may be the one that keeps more. */
function refuseWrongSettings({ problems }: Pick<SettingsInForce, "problems">): void {
  if (problems.length === 0) return;
  throw new BackupError("invalid_config", "Cannot clean up: some settings are wrong", {
    hint: "status lists them. Correct or unset them first: what they say may keep more backups.",
    details: { problems },
  });
}

/** What such a job is made of. */
export async function defineCleanup(
  deps: Deps,
  { plan }: JobRequest & { task: "cleanup" },
): Promise<JobDefinition> {
  const { settings } = await deps.settings();
  const { destination } = plan;
  const repository = await deps.openRepository(settings, { destination });
  return cleanupInParts({
    plan,
    repository,
    clock: () => serverClock(deps),
    facts: () => readFacts(deps, repository, destination),
    ...(destination === undefined
      ? ofPrimary(deps, repository)
      : ofCopy(deps, { repository, destination })),
  });
}

/** What stands against a cleanup, and what it leaves beside the storage. */
type Surroundings = Pick<
  CleanupInPartsOptions,
  "whyNotFree" | "expired" | "decided" | "prune"
>;

function ofPrimary(deps: Deps, repository: Repository): Surroundings {
  return {
    async whyNotFree() {
      const { running } = await deps.state.latestRuns.inUse();
      if (running !== null) return `the backup ${running} runs`;
      // A list that lacks a backup would have its chunks look useless; one that was taken away may come back.
      const [first, ...more] = await findUnlisted(deps, repository);
      if (first === undefined) return null;
      const others = more.length === 0 ? "" : ` and ${more.length} more`;
      return `the storage does not list ${first}${others}, which the tables know: see action=status`;
    },
    async expired({ backupIds, pointIds }) {
      await deps.state.backups.markFreed({ backupIds, pointIds });
    },
    decided: (kept) => deps.state.backups.setRetention(kept),
    async prune(now) {
      const rows = await deps.state.latestRuns.prune();
      // Executions that were lost while nobody looked end here: no tick looks so far back.
      await deps.recovery.sync({ days: EXECUTION_DAYS });
      const before = new Date(now.getTime() - EXECUTION_DAYS * DAY_MS);
      return { ...rows, journals: await deps.recovery.prune({ before }) };
    },
  };
}

/** The tables tell of the primary storage, and of a copy only which backups it has. */
function ofCopy(
  deps: Deps,
  { repository, destination }: { repository: Repository; destination: string },
): Surroundings {
  return {
    async whyNotFree() {
      const { replicating } = await deps.state.latestRuns.inUse();
      return replicating === destination ? `a replication to ${destination} runs` : null;
    },
    async expired({ backupIds }) {
      if (backupIds.length === 0) return;
      await deps.state.backups.recordCopies({
        ...{ destination, location: repository.location, backupIds: await repository.backupIds() },
      });
    },
    decided: () => Promise.resolve(),
    prune: () => Promise.resolve({}),
  };
}

/** The database's clock, as it stands in this moment beside the process's own. */
async function serverClock({ clock, state }: Deps): Promise<Clock> {
  const askedAt = clock.now().getTime();
  const aheadMs = (await state.latestRuns.now()).getTime() - askedAt;
  return { ...clock, now: () => new Date(clock.now().getTime() + aheadMs) };
}

/** By the database's clock, which is not that of whoever asks. */
async function readFacts(
  deps: Deps,
  repository: Repository,
  destination: string | undefined,
): Promise<RetentionFacts> {
  const isCopy = destination !== undefined;
  const { now } = await deps.state.latestRuns.read();
  const { read } = await deps.state.latestRuns.inUse();
  const inUse = new Set(read);
  // Restores read the primary storage, and a copy may not have their points yet.
  for (const pointId of isCopy ? [] : read.filter(isPointId)) {
    const { components } = await repository.readPoint(pointId);
    for (const { backupId } of components) if (backupId !== null) inUse.add(backupId);
  }
  const { backups, verifications } = deps.state;
  // Damage in what a copy was made of may be in the copy, too: such a backup is not the last good one.
  const damaged = new Set([
    ...await backups.damaged(),
    ...isCopy ? await verifications.damagedAt(repository.location) : [],
  ]);
  const withReason = new Set(await backups.withReason());
  return { now, damaged, inUse, withReason, givenUp: new Set(await backups.givenUp()) };
}
