/**
 * A keeper of a backup's moment that has outlived its job: the service says so, and a tick ends it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type RunningService, startService } from "../../scripts/start_service.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import {
  createSnapshotHolder,
  type HeldSnapshot,
} from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { startCronStandIn } from "../support/cron_stand_in.ts";
import { DEBIAN_REASON, debianServer, hasDebianServer } from "../support/debian_server.ts";
import { DUMP_OPTIONS } from "../support/memory_backup.ts";
import { call, KEYS, NOTHING_DUE, post } from "../support/service.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

const SAMPLE = "create table public.notes as select i from generate_series(1, 100) i";

/** Keepers and what they were to be started by, as the server shows them to their own role. */
const LEFT = `
  select a.application_name as left from pg_stat_activity a
   where a.datname = current_database() and a.application_name like 'backup/%'
  union all
  select j.jobname from cron.job j where j.jobname like 'backup/%'`;

/** Opens a keeper for a job, as a worker does that is killed before it can end it. */
async function leaveKeeper(url: string): Promise<HeldSnapshot> {
  const holder = createSnapshotHolder({ connect: () => connect({ url }), hosted: true });
  const dump = { ...DUMP_OPTIONS, includeSchemas: ["public"] };
  const held = await holder.open({ jobId: newJobId("backup", new Date()), dump });
  assert.equal(held.strategy, "keeper");
  return held;
}

/** What the service says of its own health, and of those who hold moments. */
async function look(service: RunningService) {
  const { body: { data } } = await call(service, "status");
  const { body: { data: { checks } } } = await call(service, "health");
  const check = checks.find(({ name }: { name: string }) => name === "held-moments");
  return { healthy: data.healthy, heldMoments: data.heldMoments, severity: check.severity };
}

/** Asks until nothing is left of a keeper. */
async function untilNothingLeft(session: Session): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if ((await session.query(LEFT)).length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("the keeper is never ended");
}

/** See the module. @param url the database, with pg_cron or what stands in for it */
async function seeAndEnd(url: string): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-stray-" });
  const service = startService({
    SUPABASE_DB_URL: url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secret }),
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: folder,
    BACKUP_ENABLE_ENCRYPTION: "false",
    ...NOTHING_DUE,
  }, { strayGraceSeconds: 0 });
  const session = await connect({ url });
  try {
    const { status, body } = await post(service, "init");
    assert.equal(status, 200, JSON.stringify(body));
    const before = {
      healthy: true,
      heldMoments: { ok: true, found: "none is held" },
      severity: "ok",
    };
    assert.deepEqual(await look(service), before);

    const held = await leaveKeeper(url);
    const { healthy, heldMoments, severity } = await look(service);
    assert.deepEqual([healthy, heldMoments.ok, severity], [false, false, "warning"]);
    assert.match(
      heldMoments.found,
      new RegExp(`^keepers of jobs that are over hold back VACUUM: ${held.name} `),
    );
    const holding = await session.query(
      "select pid from pg_stat_activity where backend_xmin is not null and pid = $1",
      [held.backend.pid],
    );
    assert.equal(holding.length, 1, "it is a real keeper");

    assert.equal((await post(service, "tick")).status, 202);
    await untilNothingLeft(session);
    assert.deepEqual(await look(service), before);
    const found = await session.query("select from pg_locks where pid = $1", [held.backend.pid]);
    assert.equal(found.length, 0);
    await session.execute("begin; lock table notes in access exclusive mode nowait; rollback");
  } finally {
    await session.close();
    await service.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a keeper that has outlived its job is seen, and ended by a tick", async () => {
  await using database = await temporaryDatabase("t_stray");
  await runSql(database.url, SAMPLE);
  await using _cron = await startCronStandIn(database.url);
  await seeAndEnd(database.url);
});

const skipped = !hasDebianServer(["pg_cron"]);

Deno.test({
  name: "a keeper of the real pg_cron that has outlived its job is seen, and ended by a tick" +
    (skipped ? ` (${DEBIAN_REASON} with pg_cron)` : ""),
  ignore: skipped,
  async fn() {
    await using server = await debianServer({ preload: ["pg_cron"] });
    assert.ok(server !== null);
    await runSql(
      server.url(),
      `create extension pg_cron;
       create role app login;
       grant usage on schema cron to app;
       grant create on database postgres to app;
       alter schema public owner to app;
       set role app;
       ${SAMPLE}`,
    );
    await seeAndEnd(server.url("postgres", "app"));
  },
});
