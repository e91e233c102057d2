/**
 * Does an action of the service in this process, without a server: `deno task action --help`. It is how a
 * person with a bucket, a key and the environment of a new project brings back all of the old one.
 *
 * @module
 */
import type { Action } from "../supabase/functions/backup/actions/action.ts";
import { ACTIONS } from "../supabase/functions/backup/actions/mod.ts";
import { createDeps } from "../supabase/functions/backup/create_deps.ts";
import { BackupError } from "../supabase/functions/backup/core/errors.ts";
import { fromJobError, isFinished, type Job } from "../supabase/functions/backup/core/job.ts";
import { checkFields } from "../supabase/functions/backup/http/read_input.ts";
import { cancelJob } from "../supabase/functions/backup/usecases/jobs/cancel_job.ts";
import type { Caller, Deps } from "../supabase/functions/backup/usecases/deps.ts";
import { getJob } from "../supabase/functions/backup/usecases/jobs/get_job.ts";
import { runCommand, UsageError } from "./cli/command.ts";
import { showProgress } from "./cli/show_progress.ts";

/** Between looks at a job. */
const LOOK_MS = 200;

/** A job that was stopped by somebody else. */
const ENDED_OTHERWISE = { code: "cancelled", message: "Cannot finish the job: it was cancelled" };

/** Who asks, for the audit log. */
const CALLER = "command-line";

await runCommand({
  name: "deno task action",
  summary:
    "does an action of the service here and waits for its end; its environment is the function's",
  options: {
    action: { type: "string", help: "its name, such as restore, backup-all or status" },
    body: { type: "string", default: "{}", help: "its fields as JSON, as in docs/api.md" },
  },
  async run(values, { signal, json }) {
    const action = findAction(values.required("action"));
    const fields = checkFields(action, parseBody(values.required("body")));
    const deps = createDeps();
    try {
      if (action.name !== "init") await refuseWithoutStorage(deps);
      const caller = { name: CALLER, requestId: crypto.randomUUID() };
      const data = await action.run(deps, fields, caller);
      const jobs = jobsOf(action, data);
      const progress = showProgress(json);
      const ended: Job[] = [];
      for (const { jobId } of jobs) {
        ended.push(await waitFor(deps, jobId, { caller, signal, listener: progress.listener }));
      }
      progress.end();
      await deps.idle();
      const failed = ended.find(({ status }) => status !== "completed");
      if (failed !== undefined) throw fromJobError(failed.error ?? ENDED_OTHERWISE);
      const result = action.long ? ended[0] : data;
      return { json: result, text: JSON.stringify(result, null, 2) };
    } finally {
      await deps.idle();
      await deps.state.close();
    }
  },
});

/** Nobody has said where backups are: the default would be an empty directory below this one. */
async function refuseWithoutStorage(deps: Deps): Promise<void> {
  const { backupStorageType: type, backupStorageConfig: config } = (await deps.settings()).settings;
  if (type !== "local" || (config.path ?? config.bucket) !== undefined) return;
  throw new BackupError(
    "invalid_config",
    "Cannot find the backups: neither the environment nor the database's settings say where they are",
    {
      hint:
        "Set what the service has: BACKUP_STORAGE_TYPE, BACKUP_STORAGE_BUCKET, BACKUP_STORAGE_REGION, " +
        "BACKUP_STORAGE_ENDPOINT, BACKUP_STORAGE_ACCESS_KEY and BACKUP_STORAGE_SECRET_KEY; or " +
        "BACKUP_STORAGE_TYPE=local and BACKUP_STORAGE_PATH. BACKUP_ENCRYPTION_KEY is needed besides.",
    },
  );
}

function findAction(name: string): Action {
  const action = ACTIONS.find((each) => each.name === name);
  if (action !== undefined) return action;
  throw new UsageError(`--action must be one of ${ACTIONS.map(({ name }) => name).join(", ")}`);
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError("--body is not JSON"); // its text may hold what no terminal should repeat
  }
}

/** Jobs that an action has started. */
function jobsOf(action: Action, data: unknown): { jobId: string }[] {
  if (action.long) return [data as Job];
  const { jobs, scheduledComponents } = (data ?? {}) as Record<string, { jobId: string }[]>;
  return action.accepted ? jobs ?? scheduledComponents ?? [] : [];
}

/** The job as it ended. A signal stops it cleanly, and then its end is waited for. */
async function waitFor(
  deps: Deps,
  jobId: string,
  { caller, signal, listener }: {
    caller: Caller;
    signal: AbortSignal;
    listener: ReturnType<typeof showProgress>["listener"];
  },
): Promise<Job> {
  let isCancelled = false;
  for (;;) {
    const job = await getJob(deps, jobId);
    if (isFinished(job)) return job;
    if (job.progress !== null) listener(job.progress);
    if (signal.aborted && !isCancelled) {
      isCancelled = true;
      await cancelJob(deps, caller, jobId);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
