import assert from "node:assert/strict";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import type { NotifyEvent } from "../../supabase/functions/backup/core/notify_event.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import type { Deps } from "../../supabase/functions/backup/usecases/deps.ts";
import { sendUnsent } from "../../supabase/functions/backup/usecases/people/notify_people.ts";
import { readNotifications } from "../../supabase/functions/backup/usecases/people/read_notifications.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const quiet = { sanitizeResources: false, sanitizeOps: false }; // the pool of the state tables

/** Dependencies with a webhook to the receiver, over a database of their own, made once. */
let database: ReturnType<typeof temporaryDatabase> | null = null;

async function withDeps(
  variables: Record<string, string>,
  work: (deps: Deps, receiver: Receiver, log: string[]) => Promise<void>,
): Promise<void> {
  const isFirst = database === null;
  const { url } = await (database ??= temporaryDatabase("notify"));
  await using receiver = startReceiver();
  const all: Record<string, string> = {
    SUPABASE_DB_URL: url,
    BACKUP_NOTIFICATION_CHANNELS: "webhook",
    BACKUP_WEBHOOK_URL: `${receiver.url}/hook`,
    ...variables,
  };
  const deps = createDeps({ environment: readEnvironment((name) => all[name] || undefined) });
  const log: string[] = [];
  deps.reportError = (error) => void log.push(error.message);
  try {
    if (isFirst) await deps.state.migrate();
    if (all.SUPABASE_DB_URL === url) await clear(deps);
    await work(deps, receiver, log);
  } finally {
    await deps.idle();
    await deps.state.close();
  }
}

async function clear({ state }: Deps): Promise<void> {
  await state.database.run("clear", async (sql) => {
    await sql`truncate backup_internal.alerts, backup_internal.notifications,
      public.backup_config, public.backup_audit_log`;
  });
}

function failed(jobId: string, others: Partial<NotifyEvent> = {}): NotifyEvent {
  return { kind: "job-failed", type: "database", jobId, message: "Cannot: no room", ...others };
}

function recovered(jobId: string): NotifyEvent {
  return { kind: "job-recovered", type: "database", jobId, message: "good" };
}

/** What the receiver was told, in order. */
async function told(deps: Deps, { received }: Receiver): Promise<string[]> {
  await deps.idle();
  return received.map(({ body }) => body.data.event);
}

Deno.test(
  "notify() tells of a failure once, escalates at the threshold, and tells of the recovery once",
  quiet,
  async () => {
    await withDeps({ BACKUP_FAILURE_THRESHOLD: "2" }, async (deps, receiver) => {
      for (const jobId of ["backup_1", "backup_2", "backup_3"]) await deps.notify(failed(jobId));
      await deps.notify(recovered("backup_4"));
      await deps.notify(recovered("backup_5"));
      assert.deepEqual(await told(deps, receiver), ["opened", "escalated", "recovered"]);
      const jobs = receiver.received.map(({ body }) => body.data.jobId);
      assert.deepEqual(jobs, ["backup_1", "backup_2", "backup_4"]);
      const incidents = new Set(receiver.received.map(({ body }) => body.data.incidentId));
      assert.equal(incidents.size, 1);
      await deps.notify(failed("backup_6"));
      await told(deps, receiver);
      assert.ok(!incidents.has(receiver.received[3]!.body.data.incidentId));
      assert.deepEqual((await deps.state.alerts.open()).map(({ key }) => key), ["backup:database"]);
    });
  },
);

Deno.test("notify() in two processes at once opens one incident", quiet, async () => {
  await withDeps({}, async (deps, receiver) => {
    await withDeps({ BACKUP_WEBHOOK_URL: `${receiver.url}/other` }, async (other) => {
      await Promise.all([deps.notify(failed("backup_1")), other.notify(failed("backup_2"))]);
      await other.idle();
      assert.deepEqual(await told(deps, receiver), ["opened"]);
      assert.equal((await deps.state.alerts.open())[0]?.count, 2);
    });
  });
});

Deno.test(
  "notify() is silent for every event but words when notifications are off",
  quiet,
  async () => {
    await withDeps({ BACKUP_ENABLE_NOTIFICATIONS: "false" }, async (deps, receiver) => {
      const report = await deps.notify(failed("backup_1"));
      assert.equal(report.silencedBy, "enableBackupNotifications is off");
      await deps.notify({ ...failed("verify_1"), kind: "damage" });
      const words = { kind: "message", type: "plan", jobId: null, message: "Look at it" } as const;
      assert.deepEqual((await deps.notify(words)).sent, ["webhook"]);
      assert.deepEqual(await told(deps, receiver), ["message"]);
    });
  },
);

Deno.test("notify() tells of success where the setting says so", quiet, async () => {
  await withDeps({ BACKUP_NOTIFY_ON_SUCCESS: "true" }, async (deps, receiver) => {
    await deps.notify(recovered("backup_1"));
    await deps.notify(recovered("backup_1"));
    assert.deepEqual(await told(deps, receiver), ["completed"]);
  });
});

Deno.test(
  "notify() sends the words of one id once, also when it is asked again",
  quiet,
  async () => {
    await withDeps({}, async (deps, receiver) => {
      const words: NotifyEvent = {
        ...{ kind: "message", type: "plan", jobId: null, message: "Look at it" },
        ...{
          id: "execution ü/step",
          priority: "critical",
          channels: ["webhook", "email", "pigeon"],
        },
      };
      const first = await deps.notify(words);
      assert.deepEqual(first.sent, ["webhook"]);
      assert.deepEqual(first.failed.map(({ channel }) => channel), ["email", "pigeon"]);
      assert.deepEqual((await deps.notify(words)).sent, ["webhook"]);
      assert.equal((await told(deps, receiver)).length, 1);
      assert.equal(receiver.received[0]!.body.data.priority, "critical");
      assert.match(receiver.received[0]!.headers.get("webhook-id")!, /^message_[0-9a-f]{64}$/);
    });
  },
);

Deno.test(
  "notify() without the guide's addresses says what to set and stands against nothing",
  quiet,
  async () => {
    await withDeps({ BACKUP_NOTIFICATION_CHANNELS: "email,slack" }, async (deps, receiver) => {
      const { silencedBy } = await deps.notify(failed("backup_1"));
      assert.match(silencedBy!, /channel email has no address: .*BACKUP_EMAIL_TO=/);
      assert.match(silencedBy!, /channel slack has no address: .*BACKUP_SLACK_WEBHOOK_URL=/);
      assert.equal(receiver.received.length, 0);
    });
  },
);

Deno.test(
  "notify() where nobody named a channel: those that have an address are told, the others wait in silence",
  quiet,
  async () => {
    const nobody = { BACKUP_NOTIFICATION_CHANNELS: "" };
    await withDeps({ ...nobody, BACKUP_WEBHOOK_URL: "" }, async (deps, _receiver, log) => {
      const { settings } = await deps.settings();
      assert.deepEqual(settings.notificationChannels, ["email", "slack"]);
      const words = { kind: "message", type: "plan", jobId: null, message: "look" } as const;
      for (const event of [failed("backup_1"), words]) {
        const { silencedBy, failed } = await deps.notify(event);
        assert.match(silencedBy!, /channel email has no address: .*BACKUP_EMAIL_TO=/);
        assert.deepEqual(failed, []);
      }
      const status = await readNotifications(deps, settings);
      assert.equal(status.ok, false);
      assert.match(status.found, /^nobody is told: .*BACKUP_EMAIL_API_KEY=.*BACKUP_SLACK_WEBHOOK/);
      assert.deepEqual([log, await deps.state.alerts.channels()], [[], []]);
    });
    await withDeps(nobody, async (deps, receiver, log) => {
      const { settings } = await deps.settings();
      const status = await readNotifications(deps, settings);
      assert.deepEqual([status.ok, status.found], [true, "by webhook"]);
      await deps.notify(failed("backup_1"));
      assert.deepEqual(await told(deps, receiver), ["opened"]);
      assert.deepEqual((await deps.state.alerts.channels()).map(({ channel }) => channel), [
        "webhook",
      ]);
      assert.deepEqual(log, []);
    });
  },
);

Deno.test(
  "a message that no channel took is told of and sent again by a tick, until one takes it",
  quiet,
  async () => {
    await withDeps({}, async (deps, receiver, log) => {
      receiver.answers.push(403);
      await deps.notify(failed("backup_1"));
      await told(deps, receiver);
      const [record] = await deps.state.alerts.channels();
      assert.equal(record?.unsent, 1);
      assert.match(record?.lastError ?? "", /the channel webhook: it answers 403$/);
      assert.ok(log.every((line) => !line.includes("127.0.0.1")), log.join());
      const audited = await deps.state.database.run(
        "look",
        (sql) => sql`select outcome, details from public.backup_audit_log where action = 'notify'`,
      );
      assert.deepEqual(audited.map((row) => [row.outcome, row.details.channel]), [
        ["failed", "webhook"],
      ]);
      await sendUnsent(deps); // whoever recorded it may still be at it
      assert.equal(receiver.received.length, 1);
      await timePasses(deps, "2 minutes");
      await sendUnsent(deps);
      assert.deepEqual(receiver.received.map(({ headers }) => headers.get("webhook-id")), [
        receiver.received[0]!.headers.get("webhook-id"),
        receiver.received[0]!.headers.get("webhook-id"),
      ]);
      const [sent] = await deps.state.alerts.channels();
      assert.deepEqual([sent?.unsent, sent?.lastError], [0, null]);
      await timePasses(deps, "2 minutes");
      await sendUnsent(deps);
      assert.equal(receiver.received.length, 2);
    });
  },
);

Deno.test(
  "notify() reaches the guide's channels at the addresses of the environment, each in its form",
  quiet,
  async () => {
    await using mail = startReceiver();
    const variables = {
      BACKUP_NOTIFICATION_CHANNELS: "email,slack",
      BACKUP_EMAIL_TO: "ops@example.com",
      BACKUP_EMAIL_FROM: "backup@example.com",
      BACKUP_EMAIL_API_KEY: "re_123",
      BACKUP_EMAIL_API_URL: `${mail.url}/emails`,
      BACKUP_SLACK_WEBHOOK_URL: `${mail.url}/services/T0`,
      BACKUP_PROJECT_REF: "abcdefghijklmnopqrst",
    };
    await withDeps(variables, async (deps) => {
      await deps.notify(failed("backup_1", { todo: "Make room." }));
      await deps.idle();
      const bodies = Object.fromEntries(mail.received.map(({ path, body }) => [path, body]));
      const title = "Backup (database) has failed (abcdefghijklmnopqrst)";
      assert.equal(bodies["/emails"].subject, `[high] ${title}`);
      assert.ok(bodies["/services/T0"].text.startsWith(`[HIGH] ${title}`));
      for (const text of [bodies["/emails"].text, bodies["/services/T0"].text]) {
        for (
          const words of ["Cannot: no room", "What to do: Make room.", "backup_1", "incident_"]
        ) {
          assert.ok(text.includes(words), text);
        }
      }
      const well = await deps.state.alerts.channels();
      assert.deepEqual(well.map(({ channel, unsent }) => [channel, unsent]), [
        ["email", 0],
        ["slack", 0],
      ]);
    });
  },
);

Deno.test(
  "a worker that is lost between sending and recording leaves a message that comes again under its id",
  quiet,
  async () => {
    await withDeps({}, async (deps, receiver) => {
      const markSent = deps.state.alerts.markSent.bind(deps.state.alerts);
      deps.state.alerts.markSent = () => Promise.reject(new Error("the worker is gone"));
      await deps.notify(failed("backup_1"));
      assert.deepEqual(await told(deps, receiver), ["opened"]);
      deps.state.alerts.markSent = markSent;
      await timePasses(deps, "2 minutes");
      await sendUnsent(deps);
      assert.equal(receiver.received.length, 2);
      assert.equal(receiver.received[0]!.body.data.id, receiver.received[1]!.body.data.id);
      await timePasses(deps, "2 hours");
      await sendUnsent(deps);
      assert.equal(receiver.received.length, 2);
    });
  },
);

Deno.test(
  "a message that nobody takes for a day is given up, and the audit log says so",
  quiet,
  async () => {
    await withDeps({}, async (deps, receiver) => {
      receiver.answers.push(403, 403);
      await deps.notify(failed("backup_1"));
      await deps.idle();
      await timePasses(deps, "25 hours");
      await sendUnsent(deps);
      await timePasses(deps, "2 hours");
      await sendUnsent(deps);
      assert.equal(receiver.received.length, 2);
      const audited = await deps.state.database.run(
        "look",
        (sql) =>
          sql`select details from public.backup_audit_log where action = 'notify' order by occurred_at`,
      );
      assert.deepEqual(
        audited.map((row) => row.details.givenUp),
        [false, true],
      );
    });
  },
);

Deno.test(
  "notify() sends without the database, and the memory of the process tells repetitions",
  quiet,
  async () => {
    const nowhere = { SUPABASE_DB_URL: "postgres://nobody@127.0.0.1:1/none" };
    await withDeps(nowhere, async (deps, receiver) => {
      for (const jobId of ["backup_1", "backup_2"]) await deps.notify(failed(jobId));
      assert.deepEqual(await told(deps, receiver), ["opened"]);
      await deps.notify(recovered("backup_3"));
      assert.deepEqual(await told(deps, receiver), ["opened", "recovered"]);
    });
  },
);

Deno.test(
  "a row of the settings cannot send messages to a host that the environment does not allow",
  quiet,
  async () => {
    const variables = { BACKUP_ALLOWED_HOSTS: "allowed.example", BACKUP_EMAIL_X: "re_123" };
    await withDeps(
      { ...variables, BACKUP_NOTIFICATION_CHANNELS: "" },
      async (deps, receiver, log) => {
        await deps.state.config.change(
          () => ({
            ...{
              notificationChannels: ["email"],
              emailTo: ["a@example.com"],
              emailFrom: "b@example.com",
            },
            ...{ emailApiUrl: receiver.url, emailApiKey: "env:BACKUP_EMAIL_X" },
          }),
          { changedBy: null, check: () => {} },
        );
        await deps.notify(failed("backup_1"));
        await deps.idle();
        assert.equal(receiver.received.length, 0);
        assert.match(
          log.join(),
          /the channel email at .*: the environment does not allow this host/,
        );
      },
    );
  },
);

/** Makes all that is recorded so much older. */
async function timePasses({ state }: Deps, span: string): Promise<void> {
  await state.database.run("let time pass", (sql) =>
    sql`
      update backup_internal.notifications
         set next_at = next_at - ${span}::interval, created_at = created_at - ${span}::interval`);
}

Deno.test("the database of these tests is dropped", async () => {
  await (await database)?.[Symbol.asyncDispose]();
});
