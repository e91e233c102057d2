/**
 * The clock that `init` installs and the schedules that the docs let users write, with the real pg_cron.
 *
 * Versions before 1.5 start jobs by the minute. A job at `@reboot` starts with the server, so the test does
 * not wait for one.
 *
 * @module
 */
import assert from "node:assert/strict";
import { freePort } from "../../scripts/embedded_postgres.ts";
import { type RunningService, startService } from "../../scripts/start_service.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { CRON_JOB } from "../../supabase/functions/backup/schedule/cron_schedule.ts";
import { DEBIAN_REASON, debianServer, hasDebianServer } from "../support/debian_server.ts";
import { fillIn, linesOf, temporaryFolder } from "../support/deployment.ts";
import { type NetStandIn, startNetStandIn } from "../support/net_stand_in.ts";
import { call, KEYS, post } from "../support/service.ts";

const skipped = !hasDebianServer(["pg_cron"]);

/** Waits for so many answers in all, and gives the last of them. */
async function answers(net: NetStandIn, count: number) {
  for (;;) {
    const all = await net.responses();
    if (all.length >= count) return all;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

Deno.test({
  name: "init's clock and the documented schedules call the service from the real pg_cron" +
    (skipped ? ` (${DEBIAN_REASON} with pg_cron)` : ""),
  ignore: skipped,
  async fn() {
    await using server = (await debianServer({ preload: ["pg_cron"] }))!;
    await using folder = await temporaryFolder();
    let net = await startNetStandIn(server.url(), { cron: false });
    const port = freePort();
    const service = startService({
      SUPABASE_DB_URL: server.url(),
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secret, schedules: KEYS.other }),
      BACKUP_FUNCTION_URL: `http://127.0.0.1:${port}/functions/v1/backup`,
      BACKUP_STORAGE_TYPE: "local",
      BACKUP_STORAGE_PATH: `${folder.path}/backups`,
      BACKUP_ENCRYPTION_KEY: toBase64(crypto.getRandomValues(new Uint8Array(32))),
    }, { port });
    let session = await connect({ url: server.url() });
    try {
      const init = await post(service, "init");
      const clock = init.body.data.steps.find(({ step }: { step: string }) => step === "schedule");
      assert.equal(clock.done, true, `init switches pg_cron on: ${clock.found}`);
      // At once: a minute that begins meanwhile would bring a call that nobody counts on.
      const atReboot = (name: string) =>
        session.query(
          "select cron.alter_job(jobid, schedule := '@reboot') from cron.job where jobname = $1",
          [name],
        );
      await atReboot(CRON_JOB);
      await post(service, "backup-database&wait=60");

      const [key, ...statements] = await linesOf(
        ...["docs/deployment.md", "Schedules of your own, by SQL", "sql"] as const,
      );
      await session.execute(fillIn(key!, { "<a-secret-key-of-the-project>": KEYS.other }));
      const schedules = statements.filter((one) => one.includes("cron.schedule("));
      const others = statements.filter((one) => !one.includes("cron.schedule("));
      assert.ok(schedules.length >= 4 && others.length === 2);
      for (const statement of schedules) await session.execute(statement);
      const jobs = await session.query("select jobname from cron.job order by jobid");
      assert.equal(jobs[0]?.jobname, CRON_JOB);
      const [first, ...rest] = jobs.slice(1);

      // The clock and a schedule by pg_cron's own hand.
      await atReboot(String(first?.jobname));
      await session.close();
      await net[Symbol.asyncDispose]();
      await server.stop("fast");
      await server.start();
      net = await startNetStandIn(server.url(), { cron: false });
      const byCron = await answers(net, 2);
      assert.deepEqual(byCron.map(({ statusCode }) => statusCode), [202, 202]);
      await followed(service, byCron.map(({ content }) => content));

      // The others' commands one after another, as two backups at a time would get in each other's way.
      for (const [at, { jobname }] of rest.entries()) {
        await net.runCronJob(String(jobname));
        const answer = (await answers(net, at + 3)).at(-1);
        assert.equal(answer?.statusCode, 202, `${jobname}: ${answer?.content}`);
        await followed(service, [answer.content]);
      }
      session = await connect({ url: server.url() });
      for (const statement of others) assert.ok((await session.query(statement)).length > 0);
    } finally {
      await session.close();
      await service.stop();
      await net[Symbol.asyncDispose]();
    }
  },
});

/** Waits for the jobs that answers tell of, which are of the schedules' own key. */
async function followed(service: RunningService, contents: (string | null)[]): Promise<void> {
  for (const content of contents) {
    const { data } = JSON.parse(content ?? "{}");
    for (const { jobId, kind } of data.jobs ?? (data.jobId === undefined ? [] : [data])) {
      for (;;) {
        const { body } = await call(service, `job&jobId=${jobId}&type=${kind ?? "backup"}`);
        if (body.data?.status !== "running") {
          assert.equal(body.data?.status, "completed", JSON.stringify(body));
          assert.equal(body.data.createdBy, "schedules");
          break;
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }
}
