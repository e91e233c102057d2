/**
 * Settings over HTTP: changes and their versions, callers at the same moment, wrong values and wrong rows.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type RunningService, startService } from "../../scripts/start_service.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { startReceiver } from "../support/receiver.ts";
import { type Answer, call, KEYS, post } from "../support/service.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

type Run = (sql: string) => Promise<Record<string, unknown>[]>;

/** A service on a database of its own. */
async function openService(more: Record<string, string> = {}) {
  const database = await temporaryDatabase("t_settings");
  const folder = await Deno.makeTempDir({ prefix: "supabase-backup-settings-" });
  const service = startService({
    SUPABASE_DB_URL: database.url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEYS.secret }),
    BACKUP_STORAGE_TYPE: "local",
    BACKUP_STORAGE_PATH: folder,
    BACKUP_ENCRYPTION_KEY: toBase64(crypto.getRandomValues(new Uint8Array(32))),
    BACKUP_DATABASE_PROFILE: "plain",
    BACKUP_WEBHOOK_URL: "https://hooks.example/x",
    ...more,
  });
  const session = await connect({ url: database.url });
  assert.equal((await post(service, "init")).status, 200);
  const run: Run = (sql) => session.query(sql);
  return {
    service,
    run,
    folder,
    async [Symbol.asyncDispose]() {
      await session.close();
      await service.stop();
      await database[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

let shared: ReturnType<typeof openService> | null = null;
const quiet = { sanitizeResources: false, sanitizeOps: false };

/** With the service that the tests share, whose settings nobody has changed. */
async function withService(
  work: (service: RunningService, run: Run) => Promise<void>,
): Promise<void> {
  const { service, run } = await (shared ??= openService());
  await run("delete from backup_config");
  await run("delete from backup_internal.config_versions");
  await work(service, run);
}

function update(service: RunningService, body: Record<string, unknown>): Promise<Answer> {
  return post(service, "update-config", body);
}

async function settingsOf(service: RunningService): Promise<Record<string, unknown>> {
  return (await call(service, "status")).body.data.settings;
}

Deno.test(
  "update-config keeps versions, shows outcomes dry, goes back, takes back, and audits",
  quiet,
  async () => {
    await withService(async (service, run) => {
      const guide = { databaseBackupInterval: 12, enableCompression: false };
      const first = await update(service, { updates: guide });
      assert.equal(first.status, 200);
      assert.deepEqual(first.body.data.changed, ["databaseBackupInterval", "enableCompression"]);
      assert.equal(first.body.data.version, 1);

      const again = await update(service, { updates: guide });
      assert.deepEqual([again.body.data.version, again.body.data.changed], [1, []]);
      const dry = await update(service, { updates: { maxWorkers: 9 }, dryRun: true });
      assert.deepEqual([dry.body.data.version, dry.body.data.settings.maxWorkers], [2, 9]);
      assert.equal((await settingsOf(service)).maxWorkers, 4);

      await update(service, {
        updates: { databaseBackupInterval: 6 },
        unset: ["enableCompression"],
      });
      const taken = await settingsOf(service);
      assert.deepEqual([taken.databaseBackupInterval, taken.enableCompression], [6, true]);
      const back = await update(service, { rollbackTo: 1 });
      assert.deepEqual([back.body.data.version, back.body.data.changed], [
        3,
        ["databaseBackupInterval", "enableCompression"],
      ]);
      assert.equal((await update(service, { rollbackTo: 0 })).body.data.version, 4);
      assert.equal((await settingsOf(service)).databaseBackupInterval, 24);
      for (
        const [body, status] of [
          [{ rollbackTo: 999 }, 404],
          [{ rollbackTo: -1 }, 400],
          [{}, 400],
          [{ updates: {}, rollbackTo: 1 }, 400],
          [{ unset: ["x"], rollbackTo: 1 }, 400],
          [{ unset: ["maxWorkersX"] }, 400],
        ] as const
      ) assert.equal((await update(service, body)).status, status, JSON.stringify(body));

      const { settingsVersions } = (await call(service, "status")).body.data;
      const versions = settingsVersions.map((
        { version, changed }: { version: number; changed: string[] },
      ) => [version, changed]);
      const both = ["databaseBackupInterval", "enableCompression"];
      assert.deepEqual(versions, [[4, both], [3, both], [2, both], [1, both]]);
      const audited = await run(
        "select subject, details ->> 'rollbackTo' as target from backup_audit_log " +
          "where action = 'update-config' order by occurred_at desc limit 2",
      );
      assert.deepEqual(audited.map((row) => [row.subject, row.target]), [
        ["version 4", "0"],
        ["version 3", "1"],
      ]);
    });
  },
);

Deno.test(
  "of callers at the same moment none loses what another has set, and who wants a version gets it or 409",
  quiet,
  async () => {
    await withService(async (service) => {
      const both = await Promise.all([
        update(service, { updates: { databaseBackupInterval: 3 } }),
        update(service, { updates: { configBackupInterval: 4 } }),
      ]);
      assert.deepEqual(both.map(({ body }) => body.data.version).sort(), [1, 2]);
      const { databaseBackupInterval, configBackupInterval } = await settingsOf(service);
      assert.deepEqual([databaseBackupInterval, configBackupInterval], [3, 4]);

      const rivals = await Promise.all(
        [5, 6].map((databaseBackupInterval) =>
          update(service, { updates: { databaseBackupInterval }, expectedVersion: 2 })
        ),
      );
      const [won, lost] = rivals.sort((a, b) => a.status - b.status);
      assert.deepEqual([won!.status, lost!.status], [200, 409]);
      assert.deepEqual(lost!.body.error.details, { version: 3, expectedVersion: 2 });
      const now = (await settingsOf(service)).databaseBackupInterval;
      assert.equal(now, won!.body.data.settings.databaseBackupInterval);
    });
  },
);

Deno.test(
  "wrong values are refused with what is allowed, secrets without being said",
  quiet,
  async () => {
    await withService(async (service, run) => {
      const secret = "c2VjcmV0LXZhbHVlLW9mLWEta2V5";
      const refused: [Record<string, unknown>, RegExp][] = [
        [
          { databaseBackupInterval: "soon" },
          /updates\.databaseBackupInterval: "soon" is not a number above 0 up to 8784 \(BACKUP_DATABASE_INTERVAL\)/,
        ],
        [{ notificationChannels: ["sms"] }, /"sms" does not belong into a list of email, slack, /],
        [{ compressionAlgorithm: "gzip", compressionLevel: 12 }, /gzip has levels 1 to 9/],
        [{ nonsense: 1 }, /updates\.nonsense: is not known/],
        [{ encryptionKey: secret }, /encryptionKey: must be a reference/],
        [{ slackWebhookUrl: `https://hooks.slack.com/${secret}` }, /must be a reference/],
        [{ slackWebhookUrl: "env:SUPABASE_SERVICE_ROLE_KEY" }, /must be env:BACKUP_SLACK_/],
        [{ backupStorageConfig: { secretKey: secret } }, /secretKey: must be a reference/],
        [
          { webhookUrl: "vault://backup_hook" },
          /Cannot change webhookUrl: the environment .* fixes/,
        ],
        [
          { destinations: [{ name: "offsite", type: "s3", secretKey: secret }] },
          /updates\.destinations\.0\.secretKey: must be a reference/,
        ],
        [{ destinations: secret }, /destinations: the value is not a list of at most 8 objects/],
        [
          {
            destinations: [{ name: "offsite", type: "supabase", endpoint: "https://evil.example" }],
          },
          /Cannot use the supabase endpoint evil\.example:443: the environment does not allow/,
        ],
        [
          { destinations: [{ name: "offsite", type: "local", path: (await shared!).folder }] },
          /destinations\.0: offsite is at the place of the storage itself/,
        ],
        [{ databaseBackupRetention: 0 }, /0 is not a whole number from 1 up to 3660/],
      ];
      for (const [updates, message] of refused) {
        const { status, body } = await update(service, { updates });
        assert.equal(status, 400, JSON.stringify(updates));
        assert.match(body.error.message, message);
        assert.ok(!JSON.stringify(body).includes(secret), JSON.stringify(body));
      }
      const [rows] = await run(
        "select (select count(*)::int from backup_config) as rows, " +
          "(select count(*)::int from backup_internal.config_versions) as versions",
      );
      assert.deepEqual({ ...rows }, { rows: 0, versions: 0 });
    });
  },
);

Deno.test(
  "a wrong row stops neither backup nor restore, is told of by status and init, and can be taken back",
  quiet,
  async () => {
    await withService(async (service, run) => {
      await run(`insert into backup_config (config_key, config_value) values
      ('databaseBackupInterval', '"soon"'), ('ofALaterRelease', '1'), ('maxWorkers', '2')`);
      const backup = await post(service, "backup-database&wait=60");
      assert.equal(backup.status, 200, JSON.stringify(backup.body));
      const { jobId } = backup.body.data;
      const restore = await post(service, "restore&wait=60", {
        ...{ backupId: jobId, type: "database", dryRun: true },
      });
      assert.equal(restore.status, 200, JSON.stringify(restore.body));
      const status = (await call(service, "status")).body.data;
      assert.deepEqual([status.settings.databaseBackupInterval, status.settings.maxWorkers], [
        24,
        2,
      ]);
      assert.deepEqual(status.settingsProblems.map(({ path }: { path: string }) => path).sort(), [
        "databaseBackupInterval",
        "ofALaterRelease",
      ]);
      assert.equal(status.healthy, false);
      const { steps } = (await post(service, "init")).body.data;
      const step = steps.find(({ step }: { step: string }) => step === "settings");
      assert.equal(step.done, false);
      const [, unset] = /update-config" .* -d '(\{.*?\})'/.exec(step.next)!;
      assert.equal((await update(service, { updates: { maxWorkers: 3 } })).status, 400);
      assert.equal((await update(service, JSON.parse(unset!))).status, 200);
      const mended = (await call(service, "status")).body.data;
      assert.deepEqual([mended.settingsProblems, mended.settings.maxWorkers], [[], 2]);
    });
  },
);

Deno.test(
  "destinations are set by a request, tried by test, and a wrong row of them stops no backup",
  quiet,
  async () => {
    await withService(async (service, run) => {
      const { folder } = await shared!;
      const shelf = { name: "shelf", type: "local", path: `${folder}-shelf` };
      const outcome = await update(service, { updates: { destinations: [shelf] } });
      assert.deepEqual(outcome.body.data?.changed, ["destinations"], JSON.stringify(outcome.body));
      const { checks } = (await call(service, "test")).body.data;
      const tried = checks.find(({ name }: { name: string }) => name === "destination shelf");
      assert.equal(tried.ok, true, JSON.stringify(tried));
      assert.match(tried.found, /^wrote, read, listed and deleted at file:.*-shelf/);

      await run(`update backup_config set config_value = '[{"name": "shelf", "type": "floppy"}]'
        where config_key = 'destinations'`);
      const backup = await post(service, "backup-database&wait=60");
      assert.equal(backup.status, 200, JSON.stringify(backup.body));
      const { settings, settingsProblems } = (await call(service, "status")).body.data;
      assert.deepEqual(settings.destinations, []);
      assert.deepEqual(settingsProblems.map(({ path }: { path: string }) => path), [
        "destinations.0.type",
      ]);
      await Deno.remove(shelf.path, { recursive: true });
    });
  },
);

Deno.test(
  "tables that are lost get the settings back from storage, and going back keeps the confirmed key",
  async () => {
    await using place = await openService();
    const { service, run } = place;
    const stepOf = (answer: Answer) =>
      answer.body.data.steps.find(({ step }: { step: string }) => step === "settings");
    const confirmedKeyId = "0123456789abcdef";
    const named = { databaseBackupRetention: 365, confirmedKeyId };
    assert.deepEqual((await update(service, { updates: named })).body.data.warnings, []);
    const before = await update(service, { updates: { maxWorkers: 3 } });
    assert.equal(before.body.data.version, 2);

    await run("drop schema backup_internal cascade");
    await run("drop table backup_config");
    // What is said in the same request is said over what comes back.
    const again = stepOf(await post(service, "init", { config: { maxWorkers: 5 } }));
    assert.match(
      again.found,
      /^valid; brought back from storage, as of 20.*Z: confirmedKeyId, databaseBackupRetention, maxWorkers$/,
    );
    const settings = await settingsOf(service);
    assert.deepEqual([settings.databaseBackupRetention, settings.maxWorkers], [365, 5]);
    assert.equal(stepOf(await post(service, "init")).found, "valid");
    // Whoever makes the tables again brings the settings along.
    await run("drop schema public, backup_internal cascade; create schema public");
    assert.equal((await call(service, "plans")).status, 200);
    assert.equal((await settingsOf(service)).maxWorkers, 5);

    await update(service, { rollbackTo: 0 });
    const back = await settingsOf(service);
    assert.deepEqual([back.databaseBackupRetention, back.confirmedKeyId], [30, confirmedKeyId]);
  },
);

Deno.test("a change of settings that storage does not take holds, and says so", quiet, async () => {
  await using place = await openService();
  const { service, run, folder } = place;
  await Deno.rename(`${folder}/repository.json`, `${folder}/elsewhere.json`);
  const { status, body } = await update(service, { updates: { maxWorkers: 3 } });
  assert.equal(status, 200);
  assert.match(
    body.data.warnings[0],
    /version 1 is in the tables only, not in storage \(repository_missing: .*init keeps it there/,
  );
  await Deno.rename(`${folder}/elsewhere.json`, `${folder}/repository.json`);
  await post(service, "init");
  await run("drop schema backup_internal cascade");
  await run("drop table backup_config");
  await post(service, "init");
  assert.equal((await settingsOf(service)).maxWorkers, 3);
});

Deno.test(
  "status, test and init say what channels lack, and when they are well",
  quiet,
  async () => {
    await using receiver = startReceiver();
    {
      await using place = await openService({ BACKUP_NOTIFICATION_CHANNELS: "email,slack" });
      const { service } = place;
      const { notifications } = (await call(service, "status")).body.data;
      assert.equal(notifications.ok, false);
      for (const words of ["BACKUP_EMAIL_TO=", "BACKUP_SLACK_WEBHOOK_URL="]) {
        assert.ok(notifications.found.includes(words), notifications.found);
      }
      assert.equal((await post(service, "backup-database&wait=60")).status, 200);
      const named = await update(service, { updates: { notificationChannels: ["pagerduty"] } });
      assert.match(named.body.data.warnings[0], /channel pagerduty has no address/);
    }
    {
      await using place = await openService({ BACKUP_WEBHOOK_URL: "" });
      const { service } = place;
      const { notifications, settings } = (await call(service, "status")).body.data;
      assert.deepEqual(settings.notificationChannels, ["email", "slack"]);
      assert.equal(notifications.ok, false);
      assert.match(
        notifications.found,
        /^nobody is told: .*BACKUP_EMAIL_TO=.*BACKUP_SLACK_WEBHOOK_URL=/,
      );
      const { steps } = (await post(service, "init")).body.data;
      const step = steps.find(({ step }: { step: string }) => step === "channels");
      assert.deepEqual([step.done, step.found], [false, notifications.found]);
      const { ok, checks } = (await call(service, "test")).body.data;
      assert.deepEqual([ok, checks.at(-1).found], [true, notifications.found]);
      const other = await update(service, { updates: { maxWorkers: 2 } });
      assert.deepEqual(other.body.data.warnings, []);
      const [sent] = await place.run(
        "select count(*) as messages from backup_internal.notifications",
      );
      assert.equal(Number(sent?.messages), 0);
    }
    await using place = await openService({
      BACKUP_NOTIFICATION_CHANNELS: "slack,webhook",
      BACKUP_WEBHOOK_URL: receiver.url,
      BACKUP_SLACK_WEBHOOK_URL: "https://your-slack-webhook",
      BACKUP_NOTIFY_ON_SUCCESS: "true",
    });
    assert.equal((await post(place.service, "backup-database&wait=60")).status, 200);
    await receiver.until(1);
    const { channels } = (await call(place.service, "status")).body.data.notifications;
    assert.deepEqual(channels.map(({ name }: { name: string }) => name), ["slack", "webhook"]);
    assert.match(channels[0].problem, /slackWebhookUrl: it is a placeholder/);
    assert.equal(channels[1].problem, null);
  },
);

Deno.test("the shared service stops", quiet, async () => {
  await (await shared)?.[Symbol.asyncDispose]();
});
