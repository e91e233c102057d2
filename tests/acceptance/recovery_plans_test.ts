/**
 * What the default recovery plans assess, do, leave alone and record, over HTTP. Longer than usual: the plans are
 * read beside each other, each on a project of its own, and share how that is made and how it is asked.
 *
 * @module
 */
import assert from "node:assert/strict";
import { toBase64, utf8 } from "../../supabase/functions/backup/core/bytes.ts";
import type { Execution, StepRecord } from "../../supabase/functions/backup/core/recovery.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { openRepository, type Repository } from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { breakOffRestore } from "../support/broken_off_restore.ts";
import { databaseState } from "../support/database_state.ts";
import { PLAN, STEP } from "../support/recovery_plan.ts";
import { startReceiver } from "../support/receiver.ts";
import { call, KEYS } from "../support/service.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";
import {
  ask,
  deploy,
  startWholeProject,
  tell,
  type WholeProject,
} from "../support/whole_project.ts";

/** A project with rows, a function and settings, all of it backed up. */
async function startSavedProject(
  types: readonly string[],
  variables: Record<string, string> = {},
): Promise<WholeProject> {
  const project = await startWholeProject(variables);
  const { files, management } = project;
  await files.session.execute(`
    create table public.notes as select i as id, 'note ' || i as body from generate_series(1, 50) i;
    create table public.queue as select 1 as id;
    create schema auth; create table auth.users as select 'ada' as email;
    create schema supabase_migrations;
    create table supabase_migrations.schema_migrations as select '20260101000000' as version;`);
  management.resources.config.auth.site_url = "https://shop.example";
  management.resources.secrets.secrets.set("STRIPE_KEY", "sk_live_1");
  if (types.includes("function")) {
    for (const slug of ["hello", "second", "third"]) await deploy(management, GOOD, slug);
  }
  const init = await tell(project, "init");
  assert.equal(init.status, 200, JSON.stringify(init.body));
  for (const type of types) {
    const { status, body } = await tell(project, `backup-${type}&wait=60`);
    assert.equal(status, 200, JSON.stringify(body));
  }
  return project;
}

const GOOD = "export default 'good';";

type Answered = Execution & { joined: boolean };

/** Posts a trigger and waits for the execution's end. */
async function run(project: WholeProject, body: Record<string, unknown>): Promise<Answered> {
  const answer = await tell(project, "disaster-recovery&wait=60", body);
  assert.ok([200, 500].includes(answer.status), JSON.stringify(answer.body));
  assert.ok(answer.body.data, JSON.stringify(answer.body));
  return answer.body.data;
}

const stepOf = ({ steps }: Execution, id: string): StepRecord =>
  steps.find(({ stepId }) => stepId === id)!;

const statusOf = (execution: Execution) => [
  execution.status,
  ...execution.steps.map(({ stepId, status }) => `${stepId}: ${status}`),
];

/** The project's own part of the database: rows of the service change with every step. */
const shown = async ({ files }: WholeProject) => {
  const state = await databaseState(files.databaseUrl, { excludeSchemas: ["backup_internal"] });
  const own = /"public"\."(backup_|restore_|recovery_|disaster_)/;
  return Object.entries(state).flatMap(([, lines]) => lines.filter((line) => !own.test(line)));
};

const TRIGGER = { planId: "database_failure", trigger: "database_unavailable" };

Deno.test("database_failure leaves a sound database alone and restores one that is empty", async () => {
  await using project = await startSavedProject(["database"], {
    BACKUP_DATABASE_PROFILE: "supabase",
    // Limits, as in a function, but so wide that no worker has to stop.
    BACKUP_WORKER_CPU_SECONDS: "3600",
  });
  const { session } = project.files;
  const notes = async () =>
    (await session.query("select count(*)::int as n from public.notes"))[0]?.n;

  await session.execute(`
    alter table public.queue rename to jobs; insert into public.notes values (51, 'new');
    insert into supabase_migrations.schema_migrations values ('20260102000000')`);
  const sound = await run(project, TRIGGER);
  assert.deepEqual(statusOf(sound), [
    "success",
    "assess_database: done",
    "restore_database: skipped",
    "verify_database: skipped",
  ], JSON.stringify(sound));
  assert.match(stepOf(sound, "restore_database").found!, /nothing to restore: sound/);
  assert.match(JSON.stringify(stepOf(sound, "assess_database").details.remarks), /queue/);
  assert.equal(await notes(), 51);

  await session.execute("truncate public.notes");
  const slow = await run(project, { ...TRIGGER, trigger: "database_performance_degraded" });
  assert.equal(slow.status, "success");
  assert.match(stepOf(slow, "assess_database").found!, /^damaged/);
  assert.match(stepOf(slow, "restore_database").found!, /never restores without force/);
  assert.equal(await notes(), 0);

  const before = await shown(project);
  const drill = await run(project, { planId: "database_failure", trigger: "test_trigger" });
  assert.deepEqual(statusOf(drill), ["success", ...ALL_DONE], JSON.stringify(drill));
  assert.equal(drill.mode, "drill");
  assert.deepEqual(await shown(project), before);
  const scratch = await session.query(
    "select datname from pg_database where datname like 'backup_scratch_%'",
  );
  assert.deepEqual(scratch, []);

  // The service's own tables go with it, and are made again.
  await session.execute("drop schema public cascade; create schema public");
  const [first, second] = await Promise.all([run(project, TRIGGER), run(project, TRIGGER)]);
  assert.equal(first.executionId, second.executionId);
  assert.deepEqual([first.joined, second.joined].sort(), [false, true]);
  assert.deepEqual(statusOf(first), ["success", ...ALL_DONE], JSON.stringify(first));
  const restored = stepOf(first, "restore_database");
  assert.match(String(restored.details.safetyBackupId), /^safety_/);
  assert.deepEqual([restored.details.differences, restored.details.tables], [[], null]);
  assert.match(stepOf(first, "verify_database").found!, /^sound/);
  assert.equal(await notes(), 50);
  const [jobs] = await session.query(
    "select count(*)::int as n from public.restore_jobs where reason like '%' || $1",
    [first.executionId],
  );
  assert.equal(jobs?.n, 1);
  await session.execute("insert into public.notes values (1, 'new')");
  const forced = await run(project, { ...TRIGGER, force: true });
  assert.equal(stepOf(forced, "restore_database").status, "done", JSON.stringify(forced));
  assert.equal(await notes(), 50);

  // Too large for one transaction within limits: it is done in parts, because its tables stand empty.
  await session.execute(`
    create table public.pages (id int primary key, next int references public.pages, body text);
    insert into public.pages select i, i, repeat(md5(i::text), 1024) from generate_series(1, 550) i`);
  assert.equal((await tell(project, "backup-database&wait=60")).status, 200);
  await session.execute("truncate public.pages, public.notes");
  const inParts = await run(project, TRIGGER);
  assert.deepEqual(statusOf(inParts), ["success", ...ALL_DONE], JSON.stringify(inParts));
  const { rowsLoaded, safetyBackupId, differences } = stepOf(inParts, "restore_database").details;
  assert.deepEqual([rowsLoaded, safetyBackupId, differences], [600, null, []]);
  const [pages] = await session.query(
    "select count(*)::int as n, sum(length(body))::text as of from public.pages",
  );
  assert.deepEqual(pages, { n: 550, of: String(550 * 32 * 1024) });

  // A restore that was broken off, and of which no table of jobs knows: the database is half filled.
  await session.execute("delete from public.pages where id > 20");
  const whole = await shown(project);
  const { backupId } = (await tell(project, "backup-database&wait=60")).body.data;
  await session.execute("truncate public.pages, public.notes");
  const lost = await breakOffRestore(project.variables.SUPABASE_DB_URL!, {
    ...{ repository: await repositoryOf(project), backupId: String(backupId) },
  });
  assert.notDeepEqual(await shown(project), whole);
  const half = await tell(project, "backup-database&wait=60");
  assert.match(
    half.body.data.result.consistency.remarks.join(),
    new RegExp(`half restored.*${lost}`),
  );
  const latest = await tell(project, "restore", { type: "database", backupId: "latest" });
  assert.match(latest.body.error.message, /holds half a database/);
  const status = (await ask(project, "status")).body.data;
  assert.match(status.backups.database.halfRestored, new RegExp(lost));
  assert.match(status.unfinishedRestores.join(), new RegExp(`${lost} .* not complete: 1 of `));
  assert.equal(status.healthy, false);
  const completed = await run(project, TRIGGER);
  assert.deepEqual(statusOf(completed), ["success", ...ALL_DONE], JSON.stringify(completed));
  assert.match(
    stepOf(completed, "assess_database").found!,
    new RegExp(`^damaged .*: restore ${lost}`),
  );
  const { details } = stepOf(completed, "restore_database");
  assert.deepEqual([details.backupId, details.safetyBackupId], [backupId, null]);
  assert.deepEqual(await shown(project), whole);
  assert.deepEqual((await ask(project, "status")).body.data.unfinishedRestores, []);
});

async function repositoryOf({ folder, encryptionKey }: WholeProject): Promise<Repository> {
  return await openRepository({ storage: localStorage(folder), key: new Secret(encryptionKey) });
}

const ALL_DONE = ["assess_database: done", "restore_database: done", "verify_database: done"];

Deno.test("database_failure restores alone what is lost alone, and names what it does not hold for damage", async () => {
  await using receiver = startReceiver();
  await using project = await startSavedProject(["database"], {
    BACKUP_DATABASE_PROFILE: "supabase",
    BACKUP_WEBHOOK_URL: `${receiver.url}/hook`,
    BACKUP_NOTIFICATION_CHANNELS: "webhook",
    BACKUP_ENABLE_NOTIFICATIONS: "true",
  });
  const { session } = project.files;
  const counts = async () =>
    (await session.query(`
      select (select count(*)::int from public.notes) as notes, (select count(*)::int from auth.users) as users,
             (select count(*)::int from public.profiles) as profiles,
             to_regclass('public.queue') is not null as queue`))[0];
  await session.execute(`
    alter table auth.users add primary key (email);
    create table public.profiles (email text primary key references auth.users on delete cascade);
    insert into public.profiles values ('ada');
    alter table public.queue add primary key (id); create table public.lines (id int references public.queue, line int)`);
  assert.equal((await tell(project, "backup-database&wait=60")).status, 200);

  const step = { ...STEP, id: "restore_database", type: "backup_restore", timeout: 5 };
  const parameters = { backupType: "database", useLatest: true };
  const plan = { ...PLAN, id: "at_once", steps: [{ ...step, parameters }] };
  assert.equal((await tell(project, "add-plan", { plan })).status, 200);

  // What is newer stays as it is: rows, and a column.
  await session.execute(`
    insert into public.notes values (51, 'newer'); alter table public.profiles add column since text;
    drop table public.queue cascade; delete from auth.users`);
  const small = await run(project, TRIGGER);
  assert.deepEqual(statusOf(small), ["success", ...ALL_DONE], JSON.stringify(small));
  const { findings } = stepOf(small, "assess_database").details;
  assert.match(JSON.stringify(findings), /users.* has no rows.*queue.* is gone/);
  const { details } = stepOf(small, "restore_database");
  const lost = ["auth.users", "public.profiles", "public.queue"];
  assert.deepEqual((details.tables as string[]).toSorted(), lost);
  assert.match(String(details.safetyBackupId), /^safety_/);
  assert.match(small.message!, /what was lost is restored from backup .*: 3 rows/);
  assert.deepEqual(await counts(), { notes: 51, users: 1, profiles: 1, queue: true });
  assert.equal((await session.query("select since from public.profiles")).length, 1);
  const [recorded] = await session.query(
    "select recovery_type from public.disaster_recovery_executions where execution_id = $1",
    [small.executionId],
  );
  assert.equal(recorded?.recovery_type, "partial_restore");
  const again = await run(project, TRIGGER);
  assert.match(again.message!, /nothing to restore: sound/);

  // What cannot be looked at is no assessment.
  await session.execute(`
    alter table public.notes rename to kept; create view public.notes as select * from public.kept`);
  const unseen = await run(project, { planId: "at_once", trigger: "custom_trigger" });
  assert.equal(unseen.status, "failed", JSON.stringify(unseen));
  const why = stepOf(unseen, "restore_database").error!;
  assert.equal(why.code, "database_error");
  assert.match(why.message, /could not be looked at: "public"."notes" is not known/);
  await session.execute("drop view public.notes; alter table public.kept rename to notes");

  // Renamed by hand, perhaps: nothing is restored, and people are told.
  await session.execute("alter table public.queue rename to jobs");
  const renamed = await run(project, TRIGGER);
  assert.deepEqual(statusOf(renamed)[0], "success");
  assert.match(renamed.message!, /nothing to restore: sound.*1 of them gone or without rows/);
  const [line] = stepOf(renamed, "restore_database").byHand;
  assert.match(line!, /public.jobs holds rows and is not in the backup.*"queue" is gone/);
  assert.deepEqual(requestOf(line!).tables, ["public.queue"]);
  assert.ok(receiver.received.some(({ text }) => text.includes("public.queue")), "they are told");

  // What refers to it cannot come back without it: that is refused, and nothing is changed.
  await session.execute("drop table public.lines");
  const unclean = await run(project, { planId: "at_once", trigger: "custom_trigger" });
  assert.equal(unclean.status, "failed", JSON.stringify(unclean));
  const { hint, message } = stepOf(unclean, "restore_database").error!;
  assert.match(message, /"lines_id_fkey" .*needs it, and it is gone, too/);
  assert.deepEqual(requestOf(hint!).tables, ["public.lines"]);
  assert.equal((await counts())?.queue, false);

  // A backup that saved the loss is the newest one: it is named, and the one before it.
  await session.execute("truncate public.notes");
  assert.equal((await tell(project, "backup-database&wait=60")).status, 200);
  const late = await run(project, TRIGGER);
  assert.equal(late.status, "success", JSON.stringify(late));
  assert.match(late.message!, /nothing to restore: sound.*but beside the earlier backup/);
  const fuller = String(small.steps[0]!.details.backupId);
  const { byHand } = stepOf(late, "restore_database");
  assert.match(byHand[0]!, new RegExp(`^backup ${fuller} of 20\\S+Z holds \\d+ rows`));
  assert.deepEqual(requestOf(byHand[0]!), { backupId: fuller, type: "database" });
});

/** The body of the request that a sentence holds. */
function requestOf(line: string): { backupId: string; tables?: string[] } {
  return JSON.parse(/action=restore" .* -d '(\{.*?\})'/.exec(line)![1]!);
}

Deno.test("function_failure deploys what is changed or gone, and nothing else", async () => {
  await using project = await startSavedProject(["function"]);
  const { functions } = project.management.resources;
  const sourceOf = (slug: string) => functions.deployedWith(slug).files;
  const deployments = () =>
    project.management.seen.filter((line) => /v1-deploy-a-function 2/.test(line)).length;
  const sound = await run(project, { trigger: "function_deployment_failed" });
  assert.equal(sound.planId, "function_failure");
  assert.deepEqual(statusOf(sound), [
    "success",
    "assess_functions: done",
    "redeploy_functions: skipped",
    "verify_functions: skipped",
  ], JSON.stringify(sound));
  assert.equal(deployments(), 3);

  const evil = "export default 'evil';";
  await deploy(project.management, evil);
  functions.functions.delete("second");
  const drill = await run(project, { planId: "function_failure", trigger: "test_trigger" });
  assert.equal(drill.status, "success", JSON.stringify(drill));
  assert.match(stepOf(drill, "redeploy_functions").found!, /2 would be restored/);
  assert.deepEqual(sourceOf("hello"), { "index.ts": toBase64(utf8(evil)) });
  assert.equal(deployments(), 4);

  const changed = await run(project, {
    ...{ planId: "function_failure", trigger: "function_runtime_error" },
  });
  assert.deepEqual(statusOf(changed), [
    "success",
    "assess_functions: done",
    "redeploy_functions: done",
    "verify_functions: done",
  ], JSON.stringify(changed));
  assert.equal(deployments(), 6, "the third was left alone");
  for (const slug of ["hello", "second"]) {
    assert.deepEqual(sourceOf(slug), { "index.ts": toBase64(utf8(GOOD)) });
  }
});

Deno.test("config_corruption puts a changed setting back and leaves what can do harm to a person", async () => {
  await using project = await startSavedProject(["config"]);
  const { config } = project.management.resources;
  const trigger = { planId: "config_corruption", trigger: "config_corruption_detected" };
  config.auth.site_url = "https://evil.example";
  config.ssl.database = !config.ssl.database;
  const before = JSON.stringify({ ...config, handlers: null });
  const drill = await run(project, { planId: "config_corruption", trigger: "test_trigger" });
  assert.deepEqual(statusOf(drill), [
    "success",
    "assess_config: done",
    "restore_config: done",
    "restart_services: skipped",
  ], JSON.stringify(drill));
  assert.match(stepOf(drill, "restore_config").found!, /a drill: 2 would be restored/);
  assert.equal(JSON.stringify({ ...config, handlers: null }), before);

  // One process asks the Management API sixty times a minute and no more.
  await using other = project.again();

  const changed = await run(other, trigger);
  assert.deepEqual(statusOf(changed), [
    "success",
    "assess_config: done",
    "restore_config: done",
    "restart_services: skipped",
  ], JSON.stringify(changed));
  assert.equal(config.auth.site_url, "https://shop.example");
  const { byHand, details } = stepOf(changed, "restore_config");
  assert.match(byHand.join("\n"), /database-ssl is left as it is/);
  assert.match(String(details.safetyBackupId), /^safety_/);
  assert.match(stepOf(changed, "restart_services").found!, /auth: ACTIVE_HEALTHY/);
  assert.equal(config.restarted, false);
});

Deno.test("secrets_compromise rotates what is named, and nothing that is not", async () => {
  await using project = await startSavedProject(["secrets"], {
    SUPABASE_SERVICE_ROLE_KEY: KEYS.serviceRole,
  });
  const legacy = async () =>
    (await call(project.service, "plans", { key: KEYS.serviceRole })).status;
  assert.equal(await legacy(), 200);
  const { secrets } = project.management.resources;
  const trigger = { planId: "secrets_compromise", trigger: "secrets_compromise_detected" };
  const before = JSON.stringify(secrets.keys);

  const unnamed = await run(project, trigger);
  assert.deepEqual(statusOf(unnamed), [
    "success",
    "assess_breach: done",
    "rotate_secrets: skipped",
    "restore_secrets: skipped",
    "verify_security: done",
  ], JSON.stringify(unnamed));
  assert.deepEqual(stepOf(unnamed, "assess_breach").details.rotatable, [
    "publishable_key:default",
    "api_key:default",
    "legacy_keys",
    "database_password",
  ]);
  assert.match(stepOf(unnamed, "assess_breach").byHand.join("\n"), /issuers.*STRIPE_KEY/);
  assert.equal(JSON.stringify(secrets.keys), before);

  const drill = await run(project, {
    ...{ planId: "secrets_compromise", trigger: "test_trigger" },
    rotate: ["api_key:default", "legacy_keys"],
  });
  assert.equal(drill.status, "success", JSON.stringify(drill));
  assert.match(stepOf(drill, "rotate_secrets").found!, /would rotate api_key:default, legacy_keys/);
  assert.equal(JSON.stringify(secrets.keys), before);
  assert.equal(secrets.legacy, true);

  secrets.secrets.delete("STRIPE_KEY");
  const named = await run(project, { ...trigger, rotate: ["api_key:default", "legacy_keys"] });
  assert.deepEqual(statusOf(named), [
    "partial",
    "assess_breach: done",
    "rotate_secrets: done",
    "restore_secrets: skipped",
    "verify_security: failed",
  ], JSON.stringify(named));
  assert.match(stepOf(named, "verify_security").error!.message, /STRIPE_KEY is missing/);
  const key = secrets.keys.find(({ type }) => type === "secret")!;
  assert.equal(key.name, "default");
  assert.doesNotMatch(before, new RegExp(key.value));
  assert.doesNotMatch(JSON.stringify(named), new RegExp(key.value));
  assert.equal(secrets.legacy, false);
  const { body } = await ask(project, "status");
  assert.equal(body.data.settings.allowLegacyServiceRoleKey, false);
  assert.equal(await legacy(), 403, "the environment goes on holding a dead key");
});

Deno.test("a plan of one's own moves data, changes a setting and tells people; its drill does none of it", async () => {
  const told: string[] = [];
  await using receiver = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      told.push(await request.text());
      return new Response("ok");
    },
  );
  await using other = await temporaryDatabase("moved");
  await using project = await startSavedProject(["database"], {
    OTHER_DB_URL: other.url,
    BACKUP_WEBHOOK_URL: `http://127.0.0.1:${receiver.addr.port}/hook`,
    BACKUP_NOTIFICATION_CHANNELS: "webhook",
    BACKUP_ENABLE_NOTIFICATIONS: "false",
  });
  const step = (id: string, type: string, parameters: unknown, dependencies: string[] = []) => {
    const words = { name: id, description: `does ${id}`, timeout: 5, retryCount: 0 };
    return { id, type, order: 1, ...words, dependencies, parameters };
  };
  const plan = {
    id: "move_out",
    name: "Move out",
    description: "Brings the data into another database",
    priority: "medium",
    triggers: ["provider_leaves"],
    estimatedRecoveryTime: 30,
    enabled: true,
    steps: [
      step("move", "data_migration", {
        source: "latest",
        destination: "env:OTHER_DB_URL",
        migrationType: "backup_to_database",
      }),
      step("slower", "config_update", { configKey: "databaseBackupInterval", configValue: 48 }),
      step("tell", "notification", { message: "We have moved", priority: "high" }, ["move"]),
    ],
  };
  const added = await tell(project, "add-plan", { plan });
  assert.equal(added.status, 200, JSON.stringify(added.body));
  const interval = async () =>
    (await ask(project, "status")).body.data.settings.databaseBackupInterval;
  const session = await connect({ url: other.url });
  const notes = async () =>
    (await session.query("select to_regclass('public.notes') is not null as there"))[0]?.there;

  const drill = await run(project, { planId: "move_out", trigger: "test_trigger" });
  assert.deepEqual(statusOf(drill), ["success", "move: done", "slower: done", "tell: skipped"]);
  assert.match(stepOf(drill, "move").found!, /nothing was changed$/);
  assert.equal(await interval(), 24);
  assert.equal(await notes(), false);
  assert.ok(told.every((text) => !text.includes("We have moved")));

  const moved = await run(project, { trigger: "provider_leaves" });
  assert.deepEqual(statusOf(moved), ["success", "move: done", "slower: done", "tell: done"]);
  assert.equal(await interval(), 48);
  assert.equal(await notes(), true);
  assert.equal(told.filter((text) => text.includes("We have moved")).length, 1);
  await session.close();
});
