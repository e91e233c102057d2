import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import {
  CRON_JOB,
  installSchedule,
  kickTick,
  pruneRuns,
  readSchedule,
  removeSchedule,
} from "../../supabase/functions/backup/schedule/cron_schedule.ts";
import { callTick, LONGEST_CHAIN } from "../../supabase/functions/backup/schedule/call_tick.ts";
import { StateDatabase } from "../../supabase/functions/backup/state/database.ts";
import { debianServer, hasDebianServer } from "../support/debian_server.ts";
import { startNetStandIn } from "../support/net_stand_in.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const KEY = new Secret("backup_scheduler_test-key");

/** A receiver of calls, in the function's place. */
function receiver() {
  const calls: { url: string; apikey: string | null; body: string }[] = [];
  let arrived = Promise.withResolvers<void>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      calls.push({
        url: new URL(request.url).pathname + new URL(request.url).search,
        apikey: request.headers.get("apikey"),
        body: await request.text(),
      });
      arrived.resolve();
      arrived = Promise.withResolvers();
      return new Response("{}", { status: 202 });
    },
  );
  return {
    calls,
    next: () => arrived.promise,
    giveUp: () => arrived.reject(new Error("nobody has called")),
    target: { url: `http://127.0.0.1:${server.addr.port}/functions/v1/backup`, key: KEY },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function openState(url: string) {
  const database = new StateDatabase(new Secret(url));
  await database.run("connect", (sql) => sql`select 1`);
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() });
}

Deno.test("installSchedule by two callers at once and again makes one job that calls tick with the key", async () => {
  await using temporary = await temporaryDatabase("e2_cron");
  await using net = await startNetStandIn(temporary.url);
  await using database = await openState(temporary.url);
  await using other = await openState(temporary.url);
  await using here = receiver();
  const reports = await Promise.all([
    installSchedule(database, here.target),
    installSchedule(other, here.target),
  ]);
  reports.push(await installSchedule(database, here.target));
  assert.deepEqual(reports.map(({ installed }) => installed), [true, true, true]);
  const jobs = await database.run("look", (sql) => sql`select jobname, command from cron.job`);
  assert.deepEqual(jobs.map(({ jobname }) => jobname), [CRON_JOB]);
  // Without it pg_net would give up after two seconds.
  assert.match(jobs[0]?.command, /timeout_milliseconds := \d{4,}\)/);
  assert.doesNotMatch(jobs[0]?.command, /test-key|127\.0\.0\.1/, "the job's text holds a secret");
  assert.equal((await readSchedule(database, here.target)).installed, true);

  const called = here.next();
  await net.runCronJob(CRON_JOB);
  await called;
  assert.deepEqual(here.calls, [{
    url: "/functions/v1/backup?action=tick",
    apikey: KEY.reveal(),
    body: "{}",
  }]);
});

Deno.test("installSchedule renews address and key that have changed", async () => {
  await using temporary = await temporaryDatabase("e2_cron");
  await using net = await startNetStandIn(temporary.url);
  await using database = await openState(temporary.url);
  await using here = receiver();
  await installSchedule(database, { url: "http://127.0.0.1:1/old", key: new Secret("old") });
  assert.equal((await readSchedule(database, here.target)).installed, false);
  await installSchedule(database, here.target);
  const called = here.next();
  await net.runCronJob(CRON_JOB);
  await called;
  assert.equal(here.calls[0]?.apikey, KEY.reveal());
});

Deno.test("kickTick calls once everything is installed", async () => {
  await using temporary = await temporaryDatabase("e2_cron");
  await using _net = await startNetStandIn(temporary.url);
  await using database = await openState(temporary.url);
  await using here = receiver();
  assert.equal(await kickTick(database), false, "nothing is installed yet");
  await installSchedule(database, here.target);
  const called = here.next();
  assert.equal(await kickTick(database), true);
  await called;
  assert.equal(here.calls[0]?.body, "{}");

  // A chain of calls that has become long begins anew from the database; so does one that reaches nobody.
  let asked = 0;
  const options = {
    database,
    environment: {
      ...{ functionUrl: "https://here/backup", serviceRoleKey: null, allowedKeys: null },
      secretKeys: [{ name: "default", key: KEY }],
    },
    clock: { now: () => new Date(), sleep: () => Promise.resolve() },
    fetch: () => {
      asked++;
      return Promise.reject(new TypeError("refused"));
    },
  };
  for (const [depth, byItself] of [[LONGEST_CHAIN, 0], [0, 2]] as const) {
    const again = here.next();
    assert.deepEqual(await callTick({ depth }, options), { state: "asked-database" });
    await again;
    assert.equal(asked, byItself);
  }
});

Deno.test("installSchedule says what the database lacks and changes nothing", async () => {
  await using temporary = await temporaryDatabase("e2_cron");
  await using database = await openState(temporary.url);
  const report = await installSchedule(database, { url: "http://127.0.0.1:1", key: KEY });
  assert.equal(report.installed, false);
  assert.match(report.found, /lacks pg_cron, pg_net, supabase_vault/);
  assert.match(report.next ?? "", /create extension if not exists pg_cron;/);
  assert.deepEqual(await removeSchedule(database), { removed: [], left: [] });
  assert.equal(await kickTick(database), false);
});

Deno.test("installSchedule without an address or a key says so", async () => {
  await using temporary = await temporaryDatabase("e2_cron");
  await using _net = await startNetStandIn(temporary.url);
  await using database = await openState(temporary.url);
  const report = await installSchedule(database, null);
  assert.equal(report.installed, false);
  assert.match(report.found, /own address/);
});

Deno.test("pruneRuns forgets old runs of the own job only", async () => {
  await using temporary = await temporaryDatabase("e2_cron");
  await using _net = await startNetStandIn(temporary.url);
  await using database = await openState(temporary.url);
  await installSchedule(database, { url: "http://127.0.0.1:1", key: KEY });
  await database.run("prepare", (sql) =>
    sql.unsafe(`
      select cron.schedule('theirs', '* * * * *', 'select 1');
      insert into cron.job_run_details (jobid, end_time)
      select jobid, now() - age from cron.job,
        unnest(array[interval '1 day', interval '8 days', interval '9 days']) age`));
  assert.deepEqual(await pruneRuns(database), [`2 runs of ${CRON_JOB}`]);
  assert.deepEqual(await pruneRuns(database), []);
  const [left] = await database.run(
    "look",
    (sql) => sql`select count(*)::integer as runs from cron.job_run_details`,
  );
  assert.equal(left?.runs, 4);
});

Deno.test("removeSchedule takes the job and its secrets, and nothing of others", async () => {
  await using temporary = await temporaryDatabase("e2_cron");
  await using _net = await startNetStandIn(temporary.url);
  await using database = await openState(temporary.url);
  await database.run("prepare", async (sql) => {
    await sql`select cron.schedule('theirs', '* * * * *', 'select 1')`;
    await sql`select vault.create_secret('x', 'theirs')`;
  });
  await installSchedule(database, { url: "http://127.0.0.1:1", key: KEY });
  const { removed } = await removeSchedule(database);
  assert.equal(removed.length, 3);
  assert.deepEqual(await removeSchedule(database), { removed: [], left: [] });
  const [left] = await database.run("look", (sql) =>
    sql`
      select (select string_agg(jobname, ',') from cron.job) as jobs,
        (select string_agg(name, ',') from vault.secrets) as secrets`);
  assert.deepEqual({ ...left }, { jobs: "theirs", secrets: "theirs" });
});

const CRON_REASON = hasDebianServer(["pg_cron"]) ? "" : " (skipped: needs Debian's pg_cron)";

Deno.test({
  name:
    `installSchedule has the real pg_cron call tick, also as a role that is no superuser${CRON_REASON}`,
  ignore: CRON_REASON !== "",
  async fn() {
    await using server = (await debianServer({ preload: ["pg_cron"] }))!;
    await using _net = await startNetStandIn(server.url(), { cron: false });
    await using admin = await openState(server.url());
    await admin.run("prepare", (sql) =>
      sql.unsafe(`
        create extension pg_cron;
        create role project login bypassrls;
        grant usage on schema cron to project;
        grant select on cron.job to project;
        select cron.schedule('theirs', '* * * * *', 'select 1')`));
    await using database = await openState(server.url("postgres", "project"));
    await using here = receiver();
    await installSchedule(database, { url: "http://127.0.0.1:1/old", key: KEY });
    await Promise.all([
      installSchedule(database, here.target),
      installSchedule(database, here.target),
    ]);
    const state = await readSchedule(database, here.target);
    assert.equal(state.installed, true, state.found);
    const jobs = await admin.run(
      "look",
      (sql) => sql`select jobname, username, schedule, active from cron.job order by jobname`,
    );
    assert.deepEqual(jobs.map((job) => ({ ...job })), [
      { jobname: CRON_JOB, username: "project", schedule: "* * * * *", active: true },
      { jobname: "theirs", username: "postgres", schedule: "* * * * *", active: true },
    ]);
    // pg_cron's own clock, which strikes once a minute.
    const late = setTimeout(() => here.giveUp(), 90_000);
    await here.next();
    clearTimeout(late);
    const [call] = here.calls;
    assert.deepEqual([call?.apikey, call?.body], [KEY.reveal(), "{}"]);
    assert.match(call!.url, /action=tick/);
    assert.equal((await removeSchedule(database)).removed.length, 3);
    const left = await admin.run("look", (sql) => sql`select jobname from cron.job`);
    assert.deepEqual(left.map(({ jobname }) => jobname), ["theirs"]);
  },
});
