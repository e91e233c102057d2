/**
 * What the service says of those who hold moments in its database, and whom it ends.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { DISARMED } from "../../supabase/functions/backup/dump/keeper_command.ts";
import { newHolderName } from "../../supabase/functions/backup/dump/snapshot_names.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  describeHeldMoments,
  endStrayKeepers,
} from "../../supabase/functions/backup/usecases/service/held_moments.ts";
import { readStatus } from "../../supabase/functions/backup/usecases/service/read_status.ts";
import { tick } from "../../supabase/functions/backup/usecases/service/tick.ts";
import { startCronStandIn } from "../support/cron_stand_in.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

Deno.test("keepers of jobs that are over are seen and ended, those of others are left alone", async () => {
  await using database = await temporaryDatabase("t_moments");
  const variables = new Map([["SUPABASE_DB_URL", database.url]]);
  const environment = readEnvironment((name) => variables.get(name));
  const deps = createDeps({ environment, strayGraceSeconds: 0 });
  const usual = createDeps({ environment });
  const admin = await connect({ url: database.url });
  /** A process that looks as a keeper of the job does. */
  const keeper = async (jobId: string) => {
    const name = newHolderName(jobId);
    const session = await connect({ url: database.url, applicationName: `${name}/here` });
    await session.execute("begin");
    return { name, session };
  };
  try {
    await deps.state.migrate();
    const quiet = await describeHeldMoments(deps);
    assert.deepEqual(quiet, { ok: true, found: "none is held" });

    await admin.execute(`insert into public.backup_jobs (job_id, type, status)
      values ('backup_works', 'database', 'running'), ('backup_over', 'database', 'completed')`);
    const [works, over] = [await keeper("backup_works"), await keeper("backup_over")];
    const young = await describeHeldMoments(usual);
    assert.ok(young.ok && young.found.includes(works.name) && young.found.includes(over.name));
    const { ok, found } = await describeHeldMoments(deps);
    assert.equal(ok, false);
    assert.match(found, new RegExp(`hold back VACUUM: ${over.name} \\(keeper\\) for \\d+ s;`));
    assert.ok(!found.includes(works.name));
    assert.equal((await readStatus(usual)).heldMoments.ok, true);
    assert.equal((await readStatus(deps)).heldMoments.ok, false);

    assert.deepEqual(await endStrayKeepers(deps), [over.name]);
    await works.session.query("select 1");
    await assert.rejects(over.session.query("select 1"), { code: "database_unreachable" });
    assert.equal((await describeHeldMoments(deps)).ok, true);
    await works.session.close();
    await over.session.close();
  } finally {
    await admin.close();
    for (const each of [deps, usual]) {
      await each.idle();
      await each.state.close();
    }
  }
});

Deno.test("a tick takes keepers' jobs off pg_cron that nobody has ended, and no others", async () => {
  await using database = await temporaryDatabase("t_moments");
  await using cron = await startCronStandIn(database.url);
  cron.starting = false;
  const variables = new Map([
    ["SUPABASE_DB_URL", database.url],
    ["SUPABASE_SECRET_KEYS", JSON.stringify({ default: "sb_secret_moments" })],
  ]);
  const deps = createDeps({ environment: readEnvironment((name) => variables.get(name)) });
  const admin = await connect({ url: database.url });
  try {
    await deps.state.migrate();
    const left = newHolderName("backup_over");
    for (const name of [left, "theirs", "backup/theirs"]) {
      await admin.query("select cron.schedule($1, '0 0 1 1 *', $2)", [name, DISARMED]);
    }
    await tick(deps, { depth: 1 });
    await deps.idle();
    assert.equal((await admin.query("select from cron.job")).length, 3, "not the clock's own tick");
    await tick(deps, { depth: 0 });
    await deps.idle();
    const jobs = await admin.query("select jobname from cron.job order by 1");
    assert.deepEqual(jobs.map(({ jobname }) => jobname), ["backup/theirs", "theirs"]);
  } finally {
    await admin.close();
    await deps.idle();
    await deps.state.close();
  }
});
