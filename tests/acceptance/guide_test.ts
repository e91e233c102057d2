/**
 * Every example request of the guide, as it stands and in its order, on a project of the platform's shape; the
 * result of each is looked at, not only its status. Longer than usual: it is read beside the guide, as one table.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { initializeBackup, updateBackupConfig } from "../../supabase/functions/backup/config.ts";
import {
  type GuideRequest,
  hasCurl,
  readGuideRequests,
  sendGuideRequest,
} from "../support/guide_requests.ts";
import {
  CONTRACT_REF,
  CONTRACT_TOKEN,
  startManagementContract,
} from "../support/management_contract.ts";
import {
  type Answer,
  call,
  KEYS,
  type ServiceUnderTest,
  startServiceUnderTest,
} from "../support/service.ts";
import { deploy } from "../support/whole_project.ts";

// One project for the file: the last test stops it.
const shared = { sanitizeOps: false, sanitizeResources: false };

/** What the examples find: a table with rows, a function, a setting and a secret of the project. */
interface Place extends ServiceUnderTest {
  management: ReturnType<typeof startManagementContract>;
  // deno-lint-ignore no-explicit-any -- rows are looked at column by column
  sql(text: string): Promise<Record<string, any>[]>;
}

let starting: Promise<Place> | undefined;
const start = () => starting ??= startPlace();

async function startPlace(): Promise<Place> {
  const management = startManagementContract();
  management.resources.config.auth.site_url = "https://shop.example";
  management.resources.secrets.secrets.set("STRIPE_KEY", "sk_live_1");
  await deploy(management, "export default 'good';");
  const test = await startServiceUnderTest({
    BACKUP_PROJECT_REF: CONTRACT_REF,
    BACKUP_MANAGEMENT_URL: management.url,
    BACKUP_MANAGEMENT_TOKEN: CONTRACT_TOKEN,
    BACKUP_MANAGEMENT_REQUESTS_PER_MINUTE: "6000",
    BACKUP_DATABASE_INTERVAL: "6",
    // The guide has four types.
    BACKUP_ENABLE_FILES_BACKUP: "false",
  });
  const session = await test.admin();
  const own = await connect({ url: test.project.databaseUrl });
  await own.execute(`create table public.notes as
    select i as id, 'note ' || i as body from generate_series(1, 50) i`);
  await own.close();
  return {
    ...test,
    management,
    sql: (text) => session.query(text),
    async stop() {
      await session.close();
      await test.stop();
      await management.close();
    },
  };
}

const data = ({ body }: Answer) => body.data;

async function status({ service }: Place): Promise<Answer["body"]> {
  return data(await call(service, "status"));
}

/** Asks until there is an answer of this kind. */
async function until(
  { service }: Place,
  query: string,
  find: (data: Answer["body"]) => Answer["body"],
): Promise<Answer["body"]> {
  for (let tries = 0; tries < 600; tries++) {
    const found = find(data(await call(service, query)));
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${query} never answers what it should`);
}

/** The job as it is at its end. */
const finished = (place: Place, { jobId }: { jobId: string }) =>
  until(place, `job&jobId=${jobId}`, (job) => job.completedAt !== null && job);

/** A backup was started, has come to its end and can be recovered. */
function backsUp(type: string): Check {
  return async (place, [answer]) => {
    assert.equal(answer!.status, 202);
    assert.deepEqual([data(answer!).kind, data(answer!).type], ["backup", type]);
    const job = await finished(place, data(answer!));
    assert.equal(job.status, "completed", JSON.stringify(job));
    const { backups } = data(await call(place.service, "recovery-points"));
    const stored = backups.find(({ backupId }: { backupId: string }) => backupId === job.backupId);
    assert.deepEqual([stored?.type, stored?.partial], [type, false]);
  };
}

/** What there is to see after an example. Answers are those of the block's requests. */
type Check = (place: Place, answers: Answer[], request: GuideRequest) => void | Promise<void>;

const noBackup: Check = (_, [answer]) => {
  assert.equal(answer!.status, 404);
  assert.match(answer!.body.error.code, /not_found$/);
  assert.ok(answer!.body.error.hint, "says what to do");
};

/** The scratch database was made, compared and dropped. */
const testsRestore: Check = async (place, [answer]) => {
  assert.equal(answer!.status, 202);
  const job = await finished(place, data(answer!));
  assert.equal(job.status, "completed", JSON.stringify(job));
  assert.equal(job.result.databaseVerified ?? true, true);
  const scratch = await place.sql(
    "select datname from pg_database where datname like 'backup_scratch%'",
  );
  assert.deepEqual(scratch, []);
  const [row] = await place.sql(
    `select success, backup_id from backup_tests where job_id = '${job.jobId}'`,
  );
  assert.deepEqual([row?.success, row?.backup_id], [true, job.backupId]);
};

/** A drill: everything is done on a scratch target. */
const drills: Check = async (place, [answer]) => {
  assert.equal(answer!.status, 202);
  const before = await place.sql("select id, body from notes order by id");
  const job = await finished(place, data(answer!));
  assert.equal(job.status, "completed", JSON.stringify(job));
  const run = data(await call(place.service, `execution&executionId=${job.jobId}`));
  assert.deepEqual([run.mode, run.status], ["drill", "success"], JSON.stringify(run));
  assert.ok(run.steps.every((step: { status: string }) => step.status === "done"));
  assert.deepEqual(await place.sql("select id, body from notes order by id"), before);
};

const cleans: Check = async (place, [answer]) => {
  assert.equal(answer!.status, 202);
  const backups = async () => data(await call(place.service, "recovery-points")).backups.length;
  const before = await backups();
  const job = await finished(place, data(answer!));
  assert.equal(job.status, "completed", JSON.stringify(job));
  assert.equal(await backups(), before, "nothing is old enough");
};

const proves: Check = (_, [answer]) => {
  assert.equal(answer!.status, 200);
  assert.equal(data(answer!).ok, true, JSON.stringify(data(answer!)));
  assert.ok(data(answer!).checks.length > 4);
};

/** By the guide's headings, in its order. */
const EXAMPLES: readonly [title: string, check: Check][] = [
  ["Environment Variables", checkEnvironment],
  ["Configuration Management", checkProgram],
  ["Get Backup Status", (place, [answer]) => {
    assert.equal(answer!.status, 200);
    const { settings, healthy, database } = data(answer!);
    assert.deepEqual([healthy, database.ok], [false, false], "nothing is set up yet");
    assert.equal(settings.databaseBackupInterval, 6);
    const { BACKUP_ENCRYPTION_KEY } = place.variables;
    assert.ok(!JSON.stringify(answer!.body).includes(BACKUP_ENCRYPTION_KEY!));
  }],
  ["Initialize Backup System", async (place, [answer]) => {
    assert.equal(answer!.status, 200);
    const steps = new Map(data(answer!).steps.map((one: { step: string }) => [one.step, one]));
    for (const step of ["tables", "settings", "storage", "repository", "recovery-plans"]) {
      assert.equal((steps.get(step) as { done: boolean }).done, true, step);
    }
    const { settings, database } = await status(place);
    assert.deepEqual([settings.databaseBackupInterval, database.ok], [24, true]);
  }],
  ["Create Database Backup", backsUp("database")],
  ["Create Function Backup", backsUp("function")],
  ["Create Configuration Backup", backsUp("config")],
  ["Create Secrets Backup", backsUp("secrets")],
  ["Create All Backups", async (place, [answer]) => {
    assert.equal(answer!.status, 202);
    const { recoveryPointId, jobs, skipped } = data(answer!);
    assert.deepEqual(
      jobs.map(({ type }: { type: string }) => type).sort(),
      ["config", "database", "function", "secrets"],
    );
    assert.deepEqual(skipped.map(({ type }: { type: string }) => type), ["files"]);
    for (const job of jobs) assert.equal((await finished(place, job)).status, "completed");
    const point = await until(
      place,
      "recovery-points",
      ({ points }) =>
        points.find(({ pointId }: { pointId: string }) => pointId === recoveryPointId),
    );
    assert.equal(point.status, "completed", JSON.stringify(point));
  }],
  ["Restore from Backup", async (place, answers, request) => {
    await noBackup(place, answers, request);
    const [{ job_id: id } = {}] = await place.sql(
      "select job_id from backup_jobs where type = 'database' order by started_at desc limit 1",
    );
    const before = await place.sql("select id, body from notes order by id");
    await place.sql("delete from notes where id > 10");
    const [answer] = await send(place, withText(request, "backup_1234567890", String(id)));
    assert.equal(answer!.status, 202, JSON.stringify(answer!.body));
    const job = await finished(place, data(answer!));
    assert.equal(job.status, "completed", JSON.stringify(job));
    assert.deepEqual(await place.sql("select id, body from notes order by id"), before);
  }],
  ["Get Backup Jobs", async (place, [answer]) => {
    assert.equal(answer!.status, 200);
    const rows = await place.sql("select job_id from backup_jobs order by started_at desc, job_id");
    const { jobs, total } = data(answer!);
    assert.ok(total >= 8, "four alone, four at once");
    assert.deepEqual(
      jobs.map(({ jobId }: { jobId: string }) => jobId).sort(),
      rows.map((row) => row.job_id).sort(),
    );
  }],
  ["Get Specific Job", async (place, answers, request) => {
    await noBackup(place, answers, request);
    const { jobs } = data(await call(place.service, "jobs&of=config"));
    const [answer] = await send(place, withText(request, "backup_1234567890", jobs[0].jobId));
    assert.equal(answer!.status, 200);
    assert.deepEqual(data(answer!), jobs[0]);
  }],
  ["Execute Disaster Recovery Plan", async (place, [answer]) => {
    assert.equal(answer!.status, 202);
    await finished(place, data(answer!));
    const run = data(await call(place.service, `execution&executionId=${data(answer!).jobId}`));
    assert.deepEqual([run.mode, run.status], ["live", "success"], JSON.stringify(run));
    assert.match(run.steps[1].found, /nothing to restore/);
    assert.equal(run.steps[1].status, "skipped");
  }],
  ["Get Disaster Recovery Plans", (_, [answer]) => {
    assert.equal(answer!.status, 200);
    const told = Object.fromEntries(
      data(answer!).plans.map((plan: { id: string }) => [plan.id, plan]),
    );
    assert.deepEqual(
      Object.fromEntries(Object.entries(told).map(([id, plan]) => [id, summaryOf(plan as Plan)])),
      GUIDE_PLANS,
    );
  }],
  ["Add Disaster Recovery Plan", async (place, [answer]) => {
    assert.equal(answer!.status, 200, JSON.stringify(answer!.body));
    const [row] = await place.sql(
      "select * from disaster_recovery_plans where plan_id = 'custom_plan'",
    );
    assert.deepEqual(
      [row?.name, row?.priority, row?.triggers.join(), row?.estimated_recovery_time],
      [
        ...["Custom Recovery Plan", "medium", "custom_trigger", 30],
      ],
    );
    const { plans } = data(await call(place.service, "plans&planId=custom_plan"));
    assert.deepEqual([plans[0].enabled, plans[0].steps[0].id], [true, "tell"]);
  }],
  ["Remove Disaster Recovery Plan", async (place, [answer]) => {
    assert.equal(answer!.status, 200);
    assert.deepEqual(data(answer!).kept, "nothing");
    assert.deepEqual(data(await call(place.service, "plans&planId=custom_plan")).plans, []);
  }],
  ["Update Backup Configuration", async (place, [answer]) => {
    assert.equal(answer!.status, 200);
    assert.deepEqual(data(answer!).changed.sort(), ["databaseBackupInterval", "enableCompression"]);
    const { settings, backups } = await status(place);
    assert.deepEqual([settings.databaseBackupInterval, settings.enableCompression], [12, false]);
    const { last, nextDueAt } = backups.database;
    const hours = (Date.parse(nextDueAt) - Date.parse(last.completedAt)) / 3_600_000;
    assert.ok(hours > 11.9 && hours < 12.1, `${hours} hours to the next one`);
  }],
  ["Cleanup Old Data", cleans],
  ["Test Backup System", proves],
  ["get_backup_statistics(days_back)", async (place, _, request) => {
    const rows = await asServiceRole(place, request.text);
    assert.deepEqual(
      rows.filter((row) => Number(row.completed_backups) > 1).map((row) => row.backup_type).sort(),
      ["config", "database", "function", "secrets"],
    );
  }],
  ["get_restore_statistics(days_back)", async (place, _, request) => {
    const rows = await asServiceRole(place, request.text);
    const [row] = rows.filter((row) => row.restore_type === "database");
    assert.equal(Number(row?.completed_restores), 1);
  }],
  ["get_disaster_recovery_plans(priority, enabled)", async (place, _, request) => {
    const rows = await asServiceRole(place, request.text);
    assert.deepEqual(rows.map((row) => row.plan_id).sort(), [
      "database_failure",
      "secrets_compromise",
    ]);
  }],
  ["cleanup_backup_data()", async (place, _, request) => {
    const rows = await asServiceRole(place, request.text);
    assert.ok(rows.some((row) => row.table_name === "backup_jobs"), JSON.stringify(rows));
    assert.ok(rows.every((row) => Number(row.removed_rows) === 0), JSON.stringify(rows));
  }],
  ["get_backup_dashboard()", async (place, _, request) => {
    const rows = await asServiceRole(place, request.text);
    assert.equal(rows.length, 1);
    const { total_backups: all, completed_backups: completed, enabled_plans: plans } = rows[0]!;
    assert.deepEqual([Number(all) >= 8, completed, Number(plans)], [true, all, 4]);
  }],
  ["Backup Failures", (_, answers) => {
    assert.deepEqual(answers.map((answer) => answer.status), [200, 200]);
    assert.equal(data(answers[0]!).healthy, true, JSON.stringify(data(answers[0]!)));
    assert.ok(data(answers[1]!).jobs.length >= 8);
  }],
  ["Restore Failures", testsRestore],
  ["Disaster Recovery Plan Failures", drills],
  ["Configuration Issues", proves],
  ["Check Backup System Status", async (place, [answer]) => {
    assert.equal(answer!.status, 200);
    const [row] = await place.sql("select count(*)::int as n from backup_tests where success");
    assert.equal(row?.n, 2, "a test and a drill");
    assert.equal(data(answer!).healthy, true);
  }],
  ["Test Backup Creation", backsUp("database")],
  ["Test Restore Functionality", testsRestore],
  ["Test Disaster Recovery", drills],
  ["Cleanup Old Data", cleans],
];

interface Plan {
  priority: string;
  triggers: string[];
  estimatedRecoveryTime: number;
  steps: { name: string }[];
}

const summaryOf = ({ priority, triggers, estimatedRecoveryTime, steps }: Plan) => [
  priority,
  triggers.join(),
  estimatedRecoveryTime,
  steps.map(({ name }) => name).join(),
];

/** The plans as the guide lists them. */
const GUIDE_PLANS = {
  database_failure: [
    "critical",
    "database_unavailable,database_corruption,database_performance_degraded",
    90,
    "Assess Database Status,Restore Database Backup,Verify Database Restore",
  ],
  function_failure: [
    "high",
    "function_deployment_failed,function_runtime_error,function_timeout",
    45,
    "Assess Function Status,Redeploy Functions,Verify Function Deployment",
  ],
  config_corruption: [
    "medium",
    "config_validation_failed,config_corruption_detected",
    30,
    "Assess Configuration Status,Restore Configuration Backup,Restart Services",
  ],
  secrets_compromise: [
    "critical",
    "secrets_compromise_detected,unauthorized_access",
    60,
    "Assess Security Breach,Rotate Compromised Secrets,Restore Secrets Backup," +
    "Verify Security Restoration",
  ],
};

/** A real step for the place where the guide leaves them out. */
const STEP = {
  ...{ id: "tell", name: "Tell", description: "Tells the team", type: "notification", order: 1 },
  ...{ timeout: 5, retryCount: 1, dependencies: [], parameters: { message: "It has happened" } },
};

/** The guide's environment: its placeholders are refused by name, with real values it works. */
async function checkEnvironment(place: Place, _: Answer[], { text }: GuideRequest): Promise<void> {
  const guide = Object.fromEntries(
    text.split("\n").filter((line) => line.startsWith("BACKUP_")).map((line) => line.split("=")),
  );
  const { BACKUP_STORAGE_PATH, BACKUP_ENCRYPTION_KEY } = place.variables;
  const path = `${BACKUP_STORAGE_PATH}_of_the_guide`;
  const asItStands = { ...guide, BACKUP_STORAGE_PATH: path };
  const errorOf = async (variables: Record<string, string>, check: string) => {
    await using service = place.variant(variables);
    const { checks } = data(await call(service, "test"));
    const { error } = checks.find(({ name }: { name: string }) => name === check);
    return error === null ? "" : `${error.message} ${error.hint}`;
  };
  assert.match(
    await errorOf(asItStands, "repository"),
    /encryption key: it is a placeholder.* BACKUP_ENCRYPTION_KEY=/,
  );
  assert.match(
    await errorOf({ ...asItStands, BACKUP_STORAGE_TYPE: "s3" }, "storage"),
    /ACCESS_KEY is a placeholder.* BACKUP_STORAGE_ACCESS_KEY=/,
  );
  const withKey = { ...asItStands, BACKUP_ENCRYPTION_KEY: BACKUP_ENCRYPTION_KEY! };
  assert.equal(await errorOf(withKey, "repository"), "");
  await using service = place.variant(withKey);
  const { settings } = data(await call(service, "status"));
  assert.deepEqual(settings.notificationChannels, ["email", "slack"]);
  assert.deepEqual([settings.compressionLevel, settings.failureNotificationThreshold], [6, 3]);
}

/** The guide's program, run as it stands, in front of a service that starts afterwards. */
async function checkProgram(place: Place, _: Answer[], { text }: GuideRequest): Promise<void> {
  const run = new Function("initializeBackup", "updateBackupConfig", `${text}\nreturn config`);
  try {
    const config = run(initializeBackup, updateBackupConfig);
    assert.deepEqual([config.databaseBackupInterval, config.enableCompression], [24, true]);
    await using service = place.variant({});
    const { settings } = data(await call(service, "status"));
    assert.deepEqual([settings.databaseBackupInterval, settings.enableCompression], [12, false]);
  } finally {
    initializeBackup({});
  }
}

async function asServiceRole(place: Place, text: string): ReturnType<Place["sql"]> {
  await place.sql("set role service_role");
  try {
    return await place.sql(text);
  } finally {
    await place.sql("reset role");
  }
}

function send(place: Place, request: GuideRequest): Promise<Answer[]> {
  return sendGuideRequest(request, { service: place.service.url, key: KEYS.serviceRole });
}

const withText = (request: GuideRequest, from: string, to: string) => ({
  ...request,
  text: request.text.replaceAll(from, to),
});

const requests = await readGuideRequests();
const curl = await hasCurl();

Deno.test("every example of the guide has its test, in the guide's order", () => {
  assert.deepEqual(requests.map(({ title }) => title), EXAMPLES.map(([title]) => title));
});

requests.forEach((request, at) => {
  const ignore = request.kind === "shell" && !curl;
  Deno.test({
    name: `the guide's example ${at + 1}, ${request.title}${ignore ? " (no curl here)" : ""}`,
    ignore,
    ...shared,
    fn: async () => {
      const place = await start();
      const check = EXAMPLES[at]![1];
      const isSent = request.kind === "http" || request.kind === "shell";
      const answers = isSent
        ? await send(place, withText(request, "[...]", JSON.stringify([STEP])))
        : [];
      for (const { headers, body } of answers) {
        assert.match(headers.get("x-request-id")!, /^req_/);
        assert.equal(typeof body.success, "boolean");
      }
      await check(place, answers, request);
    },
  });
});

Deno.test("the guide's project stops cleanly", shared, async () => {
  await (await start()).stop();
});
