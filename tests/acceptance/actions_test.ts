/**
 * One request, and its result, for each action that the guide does not have; and that no action is without.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ACTIONS } from "../../supabase/functions/backup/actions/mod.ts";
import { actionsOf, readGuideRequests } from "../support/guide_requests.ts";
import type { Answer } from "../support/service.ts";
import { ask, startWholeProject, tell, type WholeProject } from "../support/whole_project.ts";

// One project for the file: the last test stops it.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<WholeProject> | undefined;
const start = () => starting ??= startPlace();

async function startPlace(): Promise<WholeProject> {
  const project = await startWholeProject();
  await project.files.addBucket("avatars");
  await project.files.put("avatars", "a/1.png", "one");
  await project.files.session.execute("create table public.notes as select 1 as id");
  const { status, body } = await tell(project, "init");
  assert.equal(status, 200, JSON.stringify(body));
  return project;
}

/** In an order in which each finds what it needs. */
const EXAMPLES: Record<string, (project: WholeProject) => Promise<void>> = {
  async "backup-files"(project) {
    const { status, body } = await tell(project, "backup-files&wait=60", { reason: "a new logo" });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.data.status, body.data.reason], ["completed", "a new logo"]);
    const read = project.files.requests.filter((line) => line.endsWith("/avatars/a/1.png"));
    assert.equal(read.length, 1);
  },

  async create(project) {
    const { status, body } = await tell(project, "create", {
      ...{ type: "manual", reason: "before the migration", priorityLevel: "high" },
      includeComponents: ["database", "configurations"],
    });
    assert.equal(status, 202, JSON.stringify(body));
    const { backupId, recoveryPointsCreated, scheduledComponents } = body.data;
    assert.equal(recoveryPointsCreated, 1);
    const types = scheduledComponents.map(({ type }: { type: string }) => type);
    assert.deepEqual(types.toSorted(), ["config", "database"]);
    const point = await until(
      project,
      "recovery-points",
      ({ points }) => points.find(({ pointId }: { pointId: string }) => pointId === backupId),
    );
    assert.equal(point.reason, "manual, high priority: before the migration");
  },

  async "recovery-points"(project) {
    const all = (await ask(project, "recovery-points")).body.data;
    assert.deepEqual([all.points.length, all.backups.length, all.damaged], [1, 3, []]);
    const until = all.points[0].createdAt;
    const before = await ask(project, `recovery-points&to=${encodeURIComponent(until)}&limit=5`);
    assert.deepEqual(
      before.body.data.backups.map(({ type }: { type: string }) => type),
      ["files"],
    );
  },

  async verify(project) {
    const { status, body } = await tell(project, "verify&wait=60", { level: "full" });
    assert.equal(status, 200, JSON.stringify(body));
    const rows = await project.files.session.query(
      "select verification_type, count(*)::int as n from backup_verification group by 1",
    );
    assert.deepEqual(rows.map((row) => ({ ...row })), [{
      verification_type: "integrity_check",
      n: 3,
    }]);
  },

  async health(project) {
    const { status, body } = await ask(project, "health");
    assert.equal(status, 200, JSON.stringify(body));
    const of = (name: string) =>
      body.data.checks.find((check: { name: string }) => check.name === name).severity;
    assert.deepEqual(["database", "storage", "integrity"].map(of), ["ok", "ok", "ok"]);
    assert.deepEqual(["last-backup-files", "last-backup-function"].map(of), ["ok", "warning"]);
    assert.equal(body.data.severity, "warning");
  },

  async replicate(project) {
    const path = await Deno.makeTempDir({ prefix: "supabase-backup-copy-" });
    const setTo = async (...destinations: unknown[]) => {
      const { status, body } = await tell(project, "update-config", { updates: { destinations } });
      assert.equal(status, 200, JSON.stringify(body));
    };
    await setTo({ name: "shelf", type: "local", path });
    try {
      const { status, body } = await tell(project, "replicate&wait=60", { destination: "shelf" });
      assert.equal(status, 200, JSON.stringify(body));
      const { backups, problems } = body.data.result;
      assert.deepEqual([backups.added.length, problems], [3, []]);
      const rows = await project.files.session.query(
        `select locations->1->>'copy' as copy from backup_jobs where status = 'completed'`,
      );
      assert.deepEqual(rows.map(({ copy }) => copy), ["shelf", "shelf", "shelf"]);
      const [copy] = (await ask(project, "status")).body.data.destinations;
      assert.deepEqual(copy, {
        ...{ name: "shelf", type: "local", failures: 0, nextAt: copy.nextAt, why: null },
        lastCopy: { jobId: body.data.jobId, at: body.data.completedAt },
      });
    } finally {
      await setTo();
      await Deno.remove(path, { recursive: true });
    }
  },

  async "test-restore"(project) {
    const { backups } = (await ask(project, "recovery-points")).body.data;
    const of = (type: string) => backups.find((each: { type: string }) => each.type === type);
    const { backupId } = of("database");
    const { status, body } = await tell(project, "test-restore&wait=60", { backupId });
    assert.equal(status, 200, JSON.stringify(body));
    assert.deepEqual([body.data.backupId, body.data.reason], [backupId, "restore test"]);
    const [row] = await project.files.session.query(
      "select success, backup_id from backup_tests order by completed_at desc limit 1",
    );
    assert.deepEqual({ ...row }, { success: true, backup_id: backupId });
    const scratch = await project.files.session.query(
      "select from pg_database where datname like 'backup_scratch%'",
    );
    assert.equal(scratch.length, 0);
    for (const id of [of("files").backupId, "backup_1234567890", "../x"]) {
      const refused = await tell(project, "test-restore", { backupId: id });
      assert.equal(refused.status, 404, JSON.stringify(refused.body));
    }
  },

  async cancel(project) {
    await project.files.put("avatars", "b/2.png", "two");
    const arrived = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    project.files.faults.push({
      request: /^GET .*b\/2\.png/,
      before() {
        arrived.resolve();
        return leave.promise;
      },
    });
    const { body: { data: { jobId } } } = await tell(project, "backup-files");
    await arrived.promise;
    const { status, body } = await tell(project, "cancel", { jobId });
    leave.resolve();
    assert.equal(status, 200, JSON.stringify(body));
    const job = await until(
      project,
      `job&jobId=${jobId}`,
      (job) => job.completedAt !== null && job,
    );
    assert.equal(job.status, "cancelled");
  },

  async "enable-plan"(project) {
    const change = (enabled: boolean) =>
      tell(project, "enable-plan", { planId: "config_corruption", enabled });
    assert.equal((await change(false)).body.data.plan.enabled, false);
    const trigger = { planId: "config_corruption", trigger: "config_corruption_detected" };
    const refused = await tell(project, "disaster-recovery", trigger);
    assert.ok([404, 409].includes(refused.status), JSON.stringify(refused.body));
    assert.match(refused.body.error.message, /disabled/);
    assert.match(
      refused.body.error.hint,
      /: curl -s -X POST "\$URL\?action=enable-plan" .*"enabled":true\}'$/,
    );
    assert.equal((await change(true)).body.data.plan.enabled, true);
  },

  async executions(project) {
    const drill = { planId: "config_corruption", trigger: "test_trigger" };
    const run = await tell(project, "disaster-recovery&wait=60", drill);
    assert.equal(run.status, 200, JSON.stringify(run.body));
    const list = (await ask(project, "executions&mode=drill&limit=1")).body.data;
    assert.deepEqual([list.total, list.executions[0].executionId], [1, run.body.data.executionId]);
    assert.equal((await ask(project, "executions&mode=live")).body.data.total, 0);
  },

  async execution(project) {
    const [listed] = (await ask(project, "executions")).body.data.executions;
    const { status, body } = await ask(project, `execution&executionId=${listed.executionId}`);
    assert.equal(status, 200);
    assert.deepEqual([body.data.mode, body.data.status], ["drill", "success"]);
    assert.ok(body.data.steps.length >= 3);
    assert.equal((await ask(project, "execution&executionId=recovery_1234567890")).status, 404);
  },

  async tick(project) {
    await project.files.session.execute(
      "update backup_internal.migrations set applied_at = applied_at - interval '10 minutes'",
    );
    await project.files.session.execute(
      `update backup_jobs set started_at = started_at - interval '8 days',
         completed_at = completed_at - interval '8 days'`,
    );
    const { status, body } = await tell(project, "tick");
    assert.equal(status, 202);
    assert.equal(typeof body.data.waiting, "number");
    // What has no backup yet is due, and what has one of eight days ago; one that ends stands for all.
    const { jobs } = await until(
      project,
      "jobs",
      (page) =>
        page.jobs.some((job: { type: string; status: string }) =>
          job.type === "secrets" && job.status === "completed"
        ) && page,
    );
    type Listed = { jobId: string; type: string; status: string; createdBy: string };
    const started = jobs.filter(({ createdBy }: Listed) => createdBy === "schedule");
    assert.deepEqual(
      started.map(({ type }: Listed) => type).sort(),
      ["config", "database", "files", "function", "secrets"],
    );
    // The Management API is asked once a second: the others would take long.
    for (const { jobId } of started) await tell(project, "cancel", { jobId });
  },

  async openapi(project) {
    const { status, body } = await ask(project, "openapi");
    assert.equal(status, 200);
    assert.deepEqual(
      Object.keys(body.data.paths),
      ACTIONS.map(({ name }) => `/?action=${name}`),
    );
  },

  async uninstall(project) {
    const { session } = project.files;
    const stored = async () => (await Array.fromAsync(Deno.readDir(project.folder))).length;
    const before = await stored();
    assert.equal((await tell(project, "uninstall", { confirm: "yes" })).status, 400);
    const confirm = "remove everything but the backups";
    const { status, body } = await untilIdle(() => tell(project, "uninstall", { confirm }));
    assert.equal(status, 200, JSON.stringify(body));
    const [row] = await session.query("select to_regclass('public.backup_jobs') as found");
    assert.equal(row?.found, null);
    assert.equal(await stored(), before);
    assert.equal((await session.query("select id from public.notes")).length, 1);
  },
};

/** What the tick has started stands against it until it ends. */
async function untilIdle(work: () => Promise<Answer>): Promise<Answer> {
  for (let tries = 0; tries < 600; tries++) {
    const answer = await work();
    if (answer.body.error?.code !== "conflict") return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("what runs never ends");
}

/** Asks until there is an answer of this kind. */
async function until<T>(
  project: WholeProject,
  query: string,
  // deno-lint-ignore no-explicit-any -- tests look at answers field by field
  find: (data: any) => T,
  // deno-lint-ignore no-explicit-any -- as above
): Promise<any> {
  for (let tries = 0; tries < 600; tries++) {
    const { body } = await ask(project, query);
    const found = body.data && find(body.data);
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${query} never answers what it should`);
}

Deno.test("every action has an example: the guide's, or one of these", async () => {
  const guide = new Set((await readGuideRequests()).flatMap(actionsOf));
  const others = ACTIONS.map(({ name }) => name).filter((name) => !guide.has(name));
  assert.deepEqual(Object.keys(EXAMPLES).toSorted(), others.toSorted());
});

for (const [name, check] of Object.entries(EXAMPLES)) {
  Deno.test(`the action ${name} does what it says`, shared, async () => await check(await start()));
}

Deno.test("the project of the actions stops cleanly", shared, async () => {
  await (await start())[Symbol.asyncDispose]();
});
