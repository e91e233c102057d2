import assert from "node:assert/strict";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import type { Job } from "../../supabase/functions/backup/core/job.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { startCronStandIn } from "../support/cron_stand_in.ts";
import { type PlatformOptions, startHostedPlatform } from "../support/hosted_platform.ts";
import { startS3Server } from "../support/s3_server.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const KEY = "sb_secret_hosted_0123456789abcdef";

/** The function on the played platform, over a database that pg_cron's stand-in runs in, with S3. */
async function startHosted(schema: string, options: Partial<PlatformOptions> = {}) {
  const database = await temporaryDatabase("e2_hosted");
  const session = await connect({ url: database.url });
  await session.execute(schema);
  await session.close();
  const cron = await startCronStandIn(database.url);
  const s3 = await startS3Server();
  const log: string[] = [];
  const platform = startHostedPlatform({
    variables: {
      SUPABASE_DB_URL: database.url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEY }),
      BACKUP_STORAGE_TYPE: "s3",
      BACKUP_STORAGE_BUCKET: "backups",
      BACKUP_STORAGE_ENDPOINT: s3.endpoint,
      BACKUP_STORAGE_ACCESS_KEY: s3.credentials.AWS_ACCESS_KEY_ID,
      BACKUP_STORAGE_SECRET_KEY: s3.credentials.AWS_SECRET_ACCESS_KEY,
      BACKUP_ALLOWED_HOSTS: "127.0.0.1",
      BACKUP_ENCRYPTION_KEY: toBase64(crypto.getRandomValues(new Uint8Array(32))),
      BACKUP_DATABASE_PROFILE: "plain",
      // Ticks begin nothing but what the tests ask for.
      BACKUP_ENABLE_CONFIG_BACKUP: "false",
      BACKUP_ENABLE_FILES_BACKUP: "false",
      BACKUP_ENABLE_VERIFICATION: "false",
    },
    onLog: (line) => void log.push(line),
    ...options,
  });
  /** Calls until the platform gives an answer of the service: one that was killed meanwhile gives none. */
  const call = async (query: string, method = "POST") => {
    for (let attempt = 1;; attempt++) {
      const answer = await fetch(`${platform.url}?action=${query}`, {
        method,
        headers: { apikey: KEY },
      });
      const body = await answer.json();
      if (answer.status !== 546 || attempt === 10) return { status: answer.status, body };
    }
  };
  /** Starts a job; one that was recorded before its starter was killed is found by the refusal. */
  const begin = async (action: string): Promise<Pick<Job, "jobId" | "kind">> => {
    const { status, body } = await call(action);
    if (status === 409) return body.error.details;
    assert.equal(status, 202, JSON.stringify(body));
    return body.data;
  };
  /** Waits for a job's end; the clock ticks once a second. */
  const finish = async ({ jobId, kind }: Pick<Job, "jobId" | "kind">): Promise<Job> => {
    for (;;) {
      const { body } = await call(`job&jobId=${jobId}&type=${kind}`, "GET");
      if (body.success && !["pending", "running"].includes(body.data.status)) return body.data;
      await call("tick");
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  };
  return {
    url: database.url,
    platform,
    log,
    call,
    begin,
    finish,
    async [Symbol.asyncDispose]() {
      await platform[Symbol.asyncDispose]();
      await cron[Symbol.asyncDispose]();
      await s3.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

const SCHEMA = `
  create table notes (id integer primary key, body text not null, at timestamptz not null);
  insert into notes select i, repeat(md5(i::text), 10), to_timestamp(i) from generate_series(1, 20000) i;
  create table people (id integer primary key, name text, data jsonb);
  insert into people select i, 'person ' || i, jsonb_build_object('k', md5(i::text))
    from generate_series(1, 20000) i;
  create index on people (name);`;

Deno.test("a backup and its verification come through on the platform while workers are killed", async () => {
  await using hosted = await startHosted(SCHEMA, {
    kills: { seed: 11, betweenMs: [1000, 2500], share: 1, most: 1 },
  });
  const init = await hosted.call("init");
  assert.equal(init.status, 200, JSON.stringify(init.body));
  const backup = await hosted.finish(await hosted.begin("backup-database"));
  const log = hosted.log.join("\n");
  assert.equal(backup.status, "completed", JSON.stringify(backup.error) + log);
  const result = backup.result as { totals: { rows: number }; consistency: { level: string } };
  assert.equal(result.totals.rows, 40000);
  assert.equal(result.consistency.level, "one-moment");

  const verified = await hosted.finish(await hosted.begin("verify"));
  assert.equal(verified.status, "completed", JSON.stringify(verified.error) + log);
  const { ended } = hosted.platform.figures();
  assert.deepEqual({ cpu: ended.cpu, crash: ended.crash }, { cpu: 0, crash: 0 }, log);
  assert.ok(ended.random > 0, "nobody was killed");
});

/** Connections that the smallest instances have. */
const SMALL_INSTANCE = 60;

/** Some seconds of work, so that further workers may be called. */
const MANY_ROWS = `
  create table rows_0 as
    select i as id, (select string_agg(md5((i * 100 + j)::text), '') from generate_series(1, 20) j) as body
      from generate_series(1, 12000) i;` +
  Array.from(
    { length: 15 },
    (_, at) =>
      `create table rows_${at + 1} as select id, '${at} ' || reverse(body) as body from rows_0;`,
  )
    .join("\n");

Deno.test("the workers of a backup take less than half of a small instance's connections", async () => {
  await using hosted = await startHosted(MANY_ROWS);
  const init = await hosted.call("init");
  assert.equal(init.status, 200, JSON.stringify(init.body));
  const session = await connect({ url: hosted.url });
  let most = 0;
  let isOver = false;
  const looking = (async () => {
    while (!isOver) {
      const [now] = await session.query(`
        select count(*)::int as connections from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()`);
      most = Math.max(most, now!.connections);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  try {
    const backup = await hosted.finish(await hosted.begin("backup-database"));
    assert.equal(backup.status, "completed", JSON.stringify(backup.error) + hosted.log.join("\n"));
  } finally {
    isOver = true;
    await looking;
    await session.close();
  }
  assert.ok(most > 0 && most <= SMALL_INSTANCE / 2, `${most} connections`);
});
