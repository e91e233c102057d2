import assert from "node:assert/strict";
import { freePort } from "../../scripts/embedded_postgres.ts";
import { startService } from "../../scripts/start_service.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { startNetStandIn } from "../support/net_stand_in.ts";
import { call, post, startServiceUnderTest } from "../support/service.ts";

const UNINSTALL = { confirm: "remove everything but the backups" };

/** What a project holds that is not the service's, with names like the service's. */
const THEIRS = `
  create table public.backup_notes (id bigint primary key, note text);
  create function public.get_backup_notes() returns bigint language sql as 'select 1::bigint';
  create schema backup_private;
  create table backup_private.migrations (version text);
  select cron.schedule('theirs', '* * * * *', 'select 1');
  select cron.schedule('backup-of-theirs', '* * * * *', 'select 2');
  select vault.create_secret('x', 'backup_secret_of_theirs')`;

const CATALOGS = [
  "class",
  "proc",
  "type",
  "namespace",
  "constraint",
  "trigger",
  "policy",
  "rewrite",
]
  .concat(["attrdef", "default_acl", "event_trigger", "extension", "publication", "cast"]);

/** Everything that was made in the database, with its rights, and what the clock and the Vault hold. */
async function contents(session: Session): Promise<string[]> {
  const objects = CATALOGS.map((name) =>
    `select i.type || ' ' || i.identity as line
     from pg_catalog.pg_${name} o, pg_identify_object('pg_${name}'::regclass, o.oid, 0) i
     where o.oid >= 16384 and i.schema is distinct from 'pg_toast'`
  );
  const rows = await session.query(`
    ${objects.join(" union all ")}
    union all select 'rights ' || nspname || coalesce(nspacl::text, '') from pg_catalog.pg_namespace
    union all select 'role ' || rolname from pg_catalog.pg_roles
    union all select 'database ' || datname from pg_catalog.pg_database
    union all select 'cron ' || jobname from cron.job
    union all select 'vault ' || name from vault.secrets
    order by 1`);
  return rows.map(({ line }) => String(line));
}

async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) files.push(...await filesBelow(`${folder}/${name}`));
    else files.push(`${folder}/${name}`);
  }
  return files.sort();
}

async function connectTo(url: string) {
  const session = await connect({ url });
  return Object.assign(session, { [Symbol.asyncDispose]: () => session.close() });
}

Deno.test("uninstall leaves the database as it was before init, and the backups where they are", async () => {
  const place = await startServiceUnderTest();
  const net = await startNetStandIn(place.project.adminUrl);
  const port = freePort();
  const url = `http://127.0.0.1:${port}/functions/v1/backup`;
  const service = startService({ ...place.variables, BACKUP_FUNCTION_URL: url }, { port });
  const admin = await place.admin();
  try {
    await admin.execute(THEIRS);
    const before = await contents(admin);
    const init = await post(service, "init");
    assert.ok(
      init.body.data.steps.every(({ step, done }: { step: string; done: boolean }) =>
        done || ["key-saved", "first-backup", "first-restore-test", "channels"].includes(step)
      ),
      JSON.stringify(init.body),
    );
    assert.equal((await post(service, "backup-database&wait=60")).status, 200);
    const tested = { backupId: "test_backup", type: "database" };
    assert.equal((await post(service, "restore&wait=60", tested)).status, 200);
    assert.notDeepEqual(await contents(admin), before);
    await admin.execute(`
      select cron.schedule('nightly', '0 2 * * *',
        $$select net.http_post((select decrypted_secret from vault.decrypted_secrets
          where name = 'supabase_backup_function_url') || '?action=backup-all')$$)`);

    await admin.execute("create view public.theirs as select job_id from public.backup_jobs");
    const used = await post(service, "uninstall", UNINSTALL);
    assert.deepEqual([used.status, used.body.error.code], [409, "conflict"]);
    assert.match(used.body.error.message, /depend/);
    assert.equal((await call(service, "jobs")).body.data.from, "tables", "nothing was removed");
    await admin.execute("drop view public.theirs");
    await using project = await connectTo(place.project.databaseUrl);
    await project.execute("select cron.schedule('backup/0123456789ab', '* * * * *', 'select 1')");

    const stored = await filesBelow(place.variables.BACKUP_STORAGE_PATH!);
    const { status, body } = await post(service, "uninstall", UNINSTALL);
    assert.equal(status, 200, JSON.stringify(body));
    const { removed } = body.data;
    assert.ok(
      removed.includes("pg_cron job backup/0123456789ab"),
      "a keeper of a worker that is gone",
    );
    assert.equal(body.data.next[0].split(";")[0], "select cron.unschedule('nightly')");
    await admin.execute("select cron.unschedule('nightly')");
    assert.deepEqual(await contents(admin), before);
    assert.deepEqual(await filesBelow(place.variables.BACKUP_STORAGE_PATH!), stored);
  } finally {
    await admin[Symbol.asyncDispose]();
    await service.stop();
    await net[Symbol.asyncDispose]();
    await place.stop();
  }
});
