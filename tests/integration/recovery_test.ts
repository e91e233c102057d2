import assert from "node:assert/strict";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import { newJob } from "../../supabase/functions/backup/core/job.ts";
import { END_PART, type JobEnd, type Lease } from "../../supabase/functions/backup/core/part.ts";
import type {
  Execution,
  RecoveryPlan,
  RecoveryStep,
} from "../../supabase/functions/backup/core/recovery.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import {
  type AskedExecution,
  defineExecution,
  firstOfExecution,
} from "../../supabase/functions/backup/recovery/define_execution.ts";
import { newExecution } from "../../supabase/functions/backup/recovery/execution.ts";
import { Journal } from "../../supabase/functions/backup/recovery/journal.ts";
import type { StepContext, StepKind } from "../../supabase/functions/backup/recovery/step.ts";
import { STEP_KINDS } from "../../supabase/functions/backup/recovery/steps/mod.ts";
import { PartTables } from "../../supabase/functions/backup/state/part_tables.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const LEASE_MS = 1_000_000;

/** The service's tables in a database of their own, and storage in a folder. */
async function open() {
  const database = await temporaryDatabase("p_recovery");
  const folder = await Deno.makeTempDir({ prefix: "p_recovery_" });
  const variables: Record<string, string> = {
    SUPABASE_DB_URL: database.url,
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: folder,
    BACKUP_ENABLE_ENCRYPTION: "false",
  };
  const deps = createDeps({ environment: readEnvironment((name) => variables[name]) });
  deps.inBackground = () => {};
  await deps.state.migrate();
  await deps.openRepository((await deps.settings()).settings, { create: true });
  return {
    deps,
    async [Symbol.asyncDispose]() {
      await deps.idle();
      await deps.state.close();
      await database[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

// One database for the file: each test has plans of its own.
const shared = { sanitizeOps: false, sanitizeResources: false };
let opening: ReturnType<typeof open> | undefined;

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);

type Opened = Awaited<ReturnType<typeof open>>;

function planOf(id: string, count = 1): RecoveryPlan {
  const steps = Array.from({ length: count }, (_, at): RecoveryStep => ({
    ...{ id: `s${at}`, name: `Step ${at}`, description: "", type: "backup_restore", order: at },
    ...{ timeout: 10, retryCount: 0, dependencies: at === 0 ? [] : [`s${at - 1}`], parameters: {} },
  }));
  return {
    ...{ id, name: id, description: "", priority: "high", triggers: ["t"], steps },
    ...{ estimatedRecoveryTime: 1, enabled: true },
  };
}

function askedOf(plan: RecoveryPlan, idempotencyKey: string | null = null): AskedExecution {
  const at = new Date();
  const caller = { name: "test", requestId: "r" };
  const request = { trigger: "t", mode: "live" as const, force: false, rotate: [] as string[] };
  return {
    ...{ task: "recovery", executionId: newJobId("recovery", at), plan, journaled: true },
    ...{ startedAt: at.toISOString(), request: { ...request, idempotencyKey, caller } },
  };
}

/** Begins an execution without letting this process's own worker at it. */
async function begin({ deps }: Opened, parts: PartTables, asked: AskedExecution): Promise<void> {
  const { executionId: jobId, plan } = asked;
  assert.equal(await deps.state.executions.begin({ execution: newExecution(asked), plan }), null);
  await new Journal(deps, jobId).begin(asked);
  const of = { jobId, kind: "recovery" as const, type: "database" as const, backupId: plan.id };
  const job = newJob({ ...of, reason: null, createdBy: null }, new Date());
  const bounds = { maxWorkers: 1, maxAttempts: 8, maxRounds: 1 };
  await parts.begin(job, { parts: firstOfExecution(), bounds, request: null });
}

Deno.test(
  "workers that are lost before and after each part: no step that has ended is run again, and the record is whole",
  shared,
  async () => {
    const opened = await (opening ??= open());
    const { deps } = opened;
    let aheadMs = 0;
    const parts = new PartTables(deps.state.database, { aheadMs: () => aheadMs });
    const ran: string[] = [];
    const kind: StepKind = {
      ...STEP_KINDS.backup_restore,
      run: ({ step, earlier }: StepContext) => {
        assert.equal(earlier.size, ran.length);
        ran.push(step.id);
        return Promise.resolve({
          ...{ state: "done" as const, found: `did ${step.id}`, byHand: [] },
          details: {
            restored: true,
            backupType: "database",
            backupId: newJobId("backup", new Date(0)),
          },
        });
      },
    };
    const asked = askedOf(planOf("lossy", 6));
    await begin(opened, parts, asked);
    let lost = 0;
    for (let turn = 0; turn < 60; turn++) {
      const lease = await parts.claim({ worker: `w${turn}`, leaseMs: LEASE_MS });
      if (lease === null) break;
      // Of each part the first worker is lost before it, the second after it and before it could say so.
      const fate = turn % 3;
      const definition = defineExecution(deps, asked, { ...STEP_KINDS, backup_restore: kind });
      const outcome = fate === 0 ? null : await workOn(definition, { lease, parts });
      if (outcome !== null && fate === 2) await parts.complete(lease, outcome);
      else {
        lost += 1;
        aheadMs += LEASE_MS;
      }
    }
    assert.equal(lost, 2 * (6 + 2), "two for each step, the summing up and the end");
    assert.deepEqual(ran, ["s0", "s1", "s2", "s3", "s4", "s5"]);
    const execution = (await deps.state.executions.get(asked.executionId))!;
    assert.equal(execution.status, "success");
    assert.deepEqual(new Set(execution.steps.map(({ status }) => status)), new Set(["done"]));
    const [row] = await deps.state.database.run("look", (sql) =>
      sql`
    select recovery_type, data_loss_minutes > 0 as lost, duration_ms >= 0 as timed, job_id
      from public.disaster_recovery_executions where plan_id = 'lossy'`);
    assert.deepEqual({ ...row }, {
      ...{ recovery_type: "full_restore", lost: true, timed: true, job_id: asked.executionId },
    });
    assert.equal((await deps.state.jobs.get(asked.executionId, "recovery"))?.status, "completed");
    const audit = await deps.state.database.run("look", (sql) =>
      sql`
    select from public.backup_audit_log where subject = ${asked.executionId}`);
    assert.ok(audit.length >= 1);
  },
);

/** What a part comes to; the end part too. */
async function workOn(
  definition: ReturnType<typeof defineExecution>,
  { lease, parts }: { lease: Lease; parts: PartTables },
) {
  const { signal } = new AbortController();
  const results = (name: string) => parts.results(lease, name);
  if (lease.name !== END_PART) {
    return await definition.run(lease, { signal, onProgress: () => {}, results });
  }
  await definition.end!(lease.payload as JobEnd, { results });
  return { result: null };
}

Deno.test(
  "of many executions of a plan that begin at once one does, and the others find it",
  shared,
  async () => {
    const opened = await (opening ??= open());
    const { executions } = opened.deps.state;
    const plan = planOf("contested");
    const attempts = Array.from({ length: 12 }, () => askedOf(plan));
    const found = await Promise.all(
      attempts.map((asked) => executions.begin({ execution: newExecution(asked), plan })),
    );
    const winners = attempts.filter((_, at) => found[at] === null);
    assert.equal(winners.length, 1);
    for (const other of found) {
      if (other !== null) assert.equal(other.executionId, winners[0]!.executionId);
    }
    const drill = { ...newExecution(askedOf(plan)), mode: "drill" as const };
    assert.equal(await executions.begin({ execution: drill, plan }), null);
  },
);

Deno.test(
  "a key gives its execution again after the end, and another plan's too",
  shared,
  async () => {
    const opened = await (opening ??= open());
    const { executions } = opened.deps.state;
    const plan = planOf("keyed");
    const first = newExecution(askedOf(plan, "key"));
    assert.equal(await executions.begin({ execution: first, plan }), null);
    const ended = { ...first, status: "success" as const, completedAt: new Date().toISOString() };
    assert.equal(await executions.write({ execution: ended, plan }), true);
    const again = await executions.begin({ execution: newExecution(askedOf(plan, "key")), plan });
    assert.deepEqual([again?.executionId, again?.status], [first.executionId, "success"]);
    const other = planOf("other");
    const theirs = await executions.begin({
      execution: newExecution(askedOf(other, "key")),
      plan: other,
    });
    assert.equal(theirs?.planId, "keyed");
  },
);

Deno.test(
  "an execution that ended stays as it ended; one without a job and without life is marked",
  shared,
  async () => {
    const opened = await (opening ??= open());
    const { executions, database } = opened.deps.state;
    const plan = planOf("silent");
    const execution: Execution = newExecution(askedOf(plan));
    await executions.begin({ execution, plan });
    await database.run("age", (sql) =>
      sql`
    update public.disaster_recovery_executions set updated_at = now() - interval '2 minutes'
     where plan_id = 'silent'`);
    const found = (await executions.get(execution.executionId))!;
    assert.deepEqual([found.status, found.error?.code], ["failed", "interrupted"]);
    assert.ok(found.durationMs !== null && found.completedAt !== null);
    assert.equal(await executions.write({ execution, plan }), true);
    assert.equal((await executions.get(execution.executionId))?.status, "failed");
    const partial = { ...execution, status: "partial" as const, message: "known better" };
    await executions.write({ execution: partial, plan });
    assert.equal((await executions.get(execution.executionId))?.message, "known better");
  },
);

Deno.test(
  "sync brings journals that the tables lack, and leaves those alone that may still run",
  shared,
  async () => {
    const opened = await (opening ??= open());
    const { deps } = opened;
    const plan = planOf("journaled", 2);
    const ended = askedOf(plan);
    const journal = new Journal(deps, ended.executionId);
    await journal.begin(ended);
    const [record] = newExecution(ended).steps;
    await journal.stepEnds(0, { ...record!, status: "done", found: "did it" });
    const end = {
      completedAt: new Date().toISOString(),
      durationMs: 5,
      message: "so so",
      error: null,
    };
    await journal.end({ status: "partial", ...end });
    const running = askedOf(plan);
    await new Journal(deps, running.executionId).begin(running);
    const silent = { ...askedOf(plan), executionId: newJobId("recovery", daysAgo(2)) };
    await new Journal(deps, silent.executionId).begin(silent);
    const old = { ...askedOf(plan), executionId: newJobId("recovery", daysAgo(31)) };
    await new Journal(deps, old.executionId).begin(old);
    const damaged = newJobId("recovery", daysAgo(3));
    const { settings } = await deps.settings();
    const storage = await deps.openStorage(settings);
    await storage.put(`documents/executions/${damaged}/begin`, new Uint8Array(100));
    await storage.put("documents/plans/damaged/000001", new Uint8Array(100));
    const { executions } = await deps.recovery.sync({ days: 30 });
    assert.deepEqual(executions, [silent.executionId, ended.executionId]);
    const found = (await deps.state.executions.get(ended.executionId))!;
    assert.deepEqual([found.status, found.steps[0]?.found], ["partial", "did it"]);
    assert.equal((await deps.state.executions.get(silent.executionId))?.error?.code, "interrupted");
    assert.equal(await deps.state.executions.get(running.executionId), null);
    assert.equal(await deps.state.executions.get(old.executionId), null);
    assert.deepEqual((await deps.recovery.sync({ days: 30 })).executions, []);
  },
);

Deno.test("the database of the recovery tests is taken away", shared, async () => {
  await (await opening)?.[Symbol.asyncDispose]();
});
