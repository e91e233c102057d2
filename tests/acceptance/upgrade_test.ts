/**
 * Another release of the function than the tables, the storage or a running job are of.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startProject } from "../../scripts/demo/start_project.ts";
import { startService } from "../../scripts/start_service.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { JOB_FORM } from "../../supabase/functions/backup/core/release.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { MIGRATIONS } from "../../supabase/functions/backup/state/migrations.ts";
import { temporaryFolder } from "../support/deployment.ts";
import { call, KEYS, post } from "../support/service.ts";

/** Tables of the first release: two migrations. */
const FIRST = MIGRATIONS.slice(0, 2);
const LATER = MIGRATIONS.slice(2).map(({ version }) => version);
const JOB = "backup_20261121T112813260Z_xfvv17b7h5";
const RESTORE = "restore_20261121T112813260Z_xfvv17b7h5";

/** A backup as the first release began it: its worker took the first part and was killed. */
const BACKUP = `
  insert into public.backup_jobs (job_id, type, status, started_at, components, reason, created_by)
  values ('${JOB}', 'database', 'running', now(), '["database"]', 'before the upgrade', 'default');
  insert into backup_internal.job_runs
    (job_id, kind, request, first_parts, max_workers, max_attempts, max_rounds, next_part, parts)
  values ('${JOB}', 'backup',
    '{"caller":{"name":"default","requestId":"req_w0demp97sqc6twff"},"action":"backup-database","task":"backup"}',
    '[{"step":0,"name":"locking-tables","payload":null,"bytes":0}]', 4, 8, 5, 2, 1);
  insert into backup_internal.job_parts
    (job_id, part, round, step, name, payload, attempt, worker, token, lease_until)
  values ('${JOB}', 1, 1, 0, 'locking-tables', 'null', 1, '49jetfza3yvgh3zd', 1, now() - interval '1 minute')`;

/** A project, storage with a repository, and services on both. */
async function openPlace() {
  const project = await startProject();
  const folder = await temporaryFolder();
  const session = await connect({ url: project.databaseUrl });
  const start = () => {
    const service = startService({
      SUPABASE_DB_URL: project.databaseUrl,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secret }),
      BACKUP_STORAGE_TYPE: "local",
      BACKUP_STORAGE_PATH: folder.path,
      BACKUP_ENCRYPTION_KEY: toBase64(new Uint8Array(32).map((_, at) => at * 7)),
    });
    return { ...service, [Symbol.asyncDispose]: () => service.stop() };
  };
  return {
    ...{ session, start },
    repositoryFile: `${folder.path}/repository.json`,
    async [Symbol.asyncDispose]() {
      await session.close();
      await project[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Puts the tables back to what the first release had made. */
async function beFirstRelease(session: Session): Promise<void> {
  const tables = await session.query(`
    select c.oid::regclass::text as name from pg_class c
    where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'backup_internal'::regnamespace)`);
  const names = tables.map(({ name }) => String(name));
  await session.execute(
    `drop table ${names.join(", ")} cascade; drop schema backup_internal cascade`,
  );
  for (const { sql } of FIRST) await session.execute(sql);
}

async function ledger(session: Session): Promise<string[]> {
  const rows = await session.query("select version from backup_internal.migrations order by 1");
  return rows.map(({ version }) => String(version));
}

/** The first end of a job that is asked for again and again. */
async function endOf(
  service: { url: string; stop(): Promise<void> },
  jobId: string,
  type = "backup",
) {
  for (;;) {
    const { body } = await call(service, `job&jobId=${jobId}&type=${type}`);
    if (body.data?.status !== "running") return body.data;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// One project for the file.
const shared = { sanitizeOps: false, sanitizeResources: false };
let opening: ReturnType<typeof openPlace> | undefined;
const open = () => opening ??= openPlace();

Deno.test(
  "a newer function brings older tables along, and a backup that ran begins again",
  shared,
  async () => {
    const place = await open();
    const { session } = place;
    {
      await using service = place.start();
      await post(service, "init");
    }
    await beFirstRelease(session);
    await session.execute(BACKUP);
    {
      await using service = place.start();
      const tick = await post(service, "tick");
      assert.deepEqual(
        [tick.status, tick.body.data?.state],
        [202, "started"],
        JSON.stringify(tick),
      );
      const job = await endOf(service, JOB);
      assert.equal(job.status, "completed", JSON.stringify(job.error));
      assert.equal(job.reason, "before the upgrade");
      assert.deepEqual(await ledger(session), MIGRATIONS.map(({ version }) => version));
      const [entry] = await session.query(
        "select details::text as details from public.backup_audit_log where action = 'upgrade-tables'",
      );
      assert.deepEqual(JSON.parse(String(entry?.details)), { applied: LATER });
    }
  },
);

/** A part of another's job: a backup in the present form with a part that nobody knows, a restore in the older one. */
const LEFT = `
  ${BACKUP.replaceAll(JOB, `${JOB}2`).replaceAll("locking-tables", "counting-sheep")};
  update backup_internal.job_runs set form = ${JOB_FORM};
  insert into public.restore_jobs (job_id, backup_id, type, status, started_at, created_by)
  values ('${RESTORE}', '${JOB}', 'function', 'running', now(), 'default');
  insert into backup_internal.job_runs
    (job_id, kind, request, first_parts, max_workers, max_attempts, max_rounds, next_part, parts)
  values ('${RESTORE}', 'restore',
    '{"caller":{"name":"default","requestId":"req_w0demp97sqc6twff"},"action":"restore","task":"restore","backupId":"${JOB}","targetDatabaseUrl":null,"request":{"mode":"replace"}}',
    '[{"step":0,"name":"planning","payload":null,"bytes":0}]', 4, 8, 5, 3, 2);
  insert into backup_internal.job_parts (job_id, part, round, step, name, payload, attempt)
  values ('${RESTORE}', 2, 1, 4, 'loading', '{"of": "older"}', 0)`;

Deno.test(
  "what an older function has left of a job is not done: a backup begins again, a restore ends and says so",
  shared,
  async () => {
    const { session, start } = await open();
    await session.execute(LEFT);
    await using service = start();
    await post(service, "tick");
    const backup = await endOf(service, `${JOB}2`);
    assert.equal(backup.status, "completed", JSON.stringify(backup.error));
    const restore = await endOf(service, RESTORE, "restore");
    assert.deepEqual([restore.status, restore.error.code], ["failed", "other_release"]);
    assert.match(restore.error.message, /an older release began it/);
    assert.match(restore.error.hint, /Start it again/);
  },
);

Deno.test(
  "an older function says that the tables, or the storage, are newer, and what to do",
  shared,
  async () => {
    await using place = await open();
    await using service = place.start();
    await post(service, "init");
    await place.session.execute(`
    insert into backup_internal.migrations values ('29990101000000', 'later');
    alter table public.backup_jobs add column later text`);

    const { body: { data: init } } = await post(service, "init");
    const step = init.steps.find((one: { step: string }) => one.step === "tables");
    assert.equal(step.done, false);
    assert.match(step.found, /newer release.*29990101000000/);
    assert.match(step.next, /Deploy/);
    const { body: { data: test } } = await call(service, "test");
    const check = test.checks.find(({ name }: { name: string }) => name === "tables");
    assert.deepEqual([test.ok, check.ok, check.error.code], [false, false, "conflict"]);
    // Newer tables only have more, so what matters goes on.
    const backup = await post(service, "backup-database&wait=60");
    assert.equal(backup.status, 200, JSON.stringify(backup.body));
    assert.deepEqual((await ledger(place.session)).at(-1), "29990101000000");

    const file = JSON.parse(await Deno.readTextFile(place.repositoryFile));
    await Deno.writeTextFile(place.repositoryFile, JSON.stringify({ ...file, format: 2 }));
    const refused = await post(service, "backup-database&wait=60");
    assert.equal(refused.status >= 400, true);
    assert.equal(refused.body.error.code, "repository_format");
    assert.match(refused.body.error.message, /format is 2/);
    assert.ok(refused.body.error.hint);
  },
);
