import assert from "node:assert/strict";
import { startReceiver } from "../../../../tests/support/receiver.ts";
import { fromBase64, toBase64, utf8 } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import type { NotifyEvent } from "../core/notify_event.ts";
import { Secret } from "../core/secret.ts";
import {
  DEFAULT_SETTINGS,
  mergeSettings,
  type Settings,
  type SettingsPatch,
} from "../core/settings.ts";
import type { Outgoing } from "./channel.ts";
import { channelsOf, findChannels } from "./channels.ts";
import { sendMessage, type SendOptions } from "./send_message.ts";
import { type Message, writeMessage } from "./write_message.ts";

const NOW = new Date("2026-01-02T03:04:05.000Z");

function message(event: Partial<NotifyEvent> = {}, others: Partial<Message> = {}): Message {
  const written = writeMessage({
    event: {
      kind: "job-failed",
      type: "database",
      jobId: "backup_1",
      message: "Cannot store: no room",
      todo: "Make room.",
      details: { code: "storage_full" },
      ...event,
    },
    tell: "opened",
    alert: {
      ...{ incidentId: "incident_1", key: event.key ?? "backup:database", count: 1 },
      lastJobId: "backup_1",
      ...{ firstAt: NOW.toISOString(), lastAt: NOW.toISOString(), details: {} },
      ...{ notifiedAt: null, escalatedAt: null },
    },
    now: NOW,
    id: "incident_1/opened",
    project: "shop",
    serviceUrl: "https://p.supabase.co/functions/v1/backup",
  });
  return { ...written, ...others };
}

/** Sends, and says how long it would have waited between tries. */
async function send(
  name: string,
  { settings, secrets = {}, sent = message(), ...others }: {
    settings: Partial<Settings>;
    secrets?: Record<string, string>;
    sent?: Message;
  } & Partial<SendOptions>,
): Promise<number[]> {
  const pauses: number[] = [];
  const whole = { ...DEFAULT_SETTINGS, ...settings };
  const [found] = findChannels([name], whole);
  assert.equal(found?.problem, null);
  await sendMessage(found.kind!, sent, {
    context: {
      settings: whole,
      isFromEnvironment: () => true,
      secret: (reference) => Promise.resolve(new Secret(secrets[reference] ?? "")),
      now: () => NOW,
    },
    fetch,
    clock: {
      now: () => NOW,
      sleep: (ms) => {
        pauses.push(ms);
        return Promise.resolve();
      },
    },
    allow: () => {},
    ...others,
  });
  return pauses;
}

const SLACK = { slackWebhookUrl: "env:BACKUP_SLACK_WEBHOOK_URL" };
const WEBHOOK = {
  webhookUrl: "env:BACKUP_WEBHOOK_URL",
  webhookSecret: "env:BACKUP_WEBHOOK_SECRET",
};

Deno.test("slack gets what happened, what to do and where to look, with nothing left to mention or link", async () => {
  await using receiver = startReceiver();
  await send("slack", {
    settings: SLACK,
    secrets: { [SLACK.slackWebhookUrl]: `${receiver.url}/services/T0` },
    sent: message({ message: "Cannot: <!channel> & <https://evil|here>\u202e\u0007" }),
  });
  const { path, body } = receiver.received[0]!;
  assert.equal(path, "/services/T0");
  for (
    const words of [
      "[HIGH] Backup (database) has failed (shop)",
      "&lt;!channel&gt; &amp; &lt;https://evil|here&gt;",
      "What to do: Make room.",
      "Job: backup_1",
      "code: storage_full",
      "Incident: incident_1",
      "https://p.supabase.co/functions/v1/backup?action=job&amp;jobId=backup_1&amp;type=backup",
    ]
  ) assert.ok(body.text.includes(words), `${words} in ${body.text}`);
  for (const character of "<>\u202e\u0007") assert.ok(!body.text.includes(character));
});

Deno.test("webhook signs what it posts, so that the receiver can check it", async () => {
  for (const secret of ["a shared secret", `whsec_${toBase64(utf8("0123456789abcdef"))}`]) {
    await using receiver = startReceiver();
    await send("webhook", {
      settings: WEBHOOK,
      secrets: { [WEBHOOK.webhookUrl]: receiver.url, [WEBHOOK.webhookSecret]: secret },
    });
    const { headers, text, body } = receiver.received[0]!;
    assert.equal(body.type, "backup.opened");
    assert.equal(body.data.incidentId, "incident_1");
    const content = `incident_1/opened.${NOW.getTime() / 1000 | 0}.${text}`;
    const raw = secret.startsWith("whsec_") ? fromBase64(secret.slice(6)) : utf8(secret);
    const key = await crypto.subtle.importKey(
      "raw",
      new Uint8Array(raw),
      { name: "HMAC", hash: "SHA-256" },
      false,
      ["verify"],
    );
    const [version, signature = ""] = headers.get("webhook-signature")!.split(",");
    assert.equal(version, "v1");
    const bytes = new Uint8Array(fromBase64(signature));
    assert.ok(await crypto.subtle.verify("HMAC", key, bytes, new TextEncoder().encode(content)));
    assert.equal(headers.get("webhook-id"), "incident_1/opened");
  }
});

Deno.test("email posts to the mail API with its key and escapes what it shows", async () => {
  await using receiver = startReceiver();
  await send("email", {
    settings: {
      emailTo: ["a@example.com", "b@example.com"],
      emailFrom: "Backups <backup@example.com>",
      emailApiKey: "env:BACKUP_EMAIL_API_KEY",
      emailApiUrl: `${receiver.url}/emails`,
    },
    secrets: { "env:BACKUP_EMAIL_API_KEY": "re_123" },
    sent: message({ message: "<script>alert('x')</script>\r\nBcc: c@example.com" }),
  });
  const { path, headers, body } = receiver.received[0]!;
  assert.equal(path, "/emails");
  assert.equal(headers.get("authorization"), "Bearer re_123");
  assert.equal(headers.get("idempotency-key"), "incident_1/opened");
  assert.deepEqual(body.to, ["a@example.com", "b@example.com"]);
  assert.equal(body.from, "Backups <backup@example.com>");
  assert.equal(body.subject, "[high] Backup (database) has failed (shop)");
  assert.match(body.text, /<script>/);
  assert.match(body.html, /&lt;script&gt;alert\(&#39;x&#39;\)/);
  assert.doesNotMatch(body.html, /<script/);
});

Deno.test("a title says what has failed, and of what where that says something", () => {
  const titleOf = (key: string, type: string) =>
    message({ key, type }, {}).title.replace(" (shop)", "");
  assert.equal(titleOf("backup:files", "files"), "Backup (files) has failed");
  assert.equal(titleOf("cleanup:database", "database"), "Cleanup has failed");
  assert.equal(titleOf("verify:database", "database"), "Verification has failed");
  assert.equal(titleOf("replicate:offsite", "database"), "Copying to offsite has failed");
  assert.equal(titleOf("replicate:copy", "database"), "Copying to copy has failed");
  assert.equal(titleOf("cleanup:copy:offsite", "database"), "Cleanup of offsite has failed");
  assert.equal(titleOf("verify:copy:offsite", "database"), "Verification of offsite has failed");
  const damaged = (key: string) => message({ kind: "damage", key }).title.replace(" (shop)", "");
  assert.equal(damaged("damage:backup_1"), "Stored backups are damaged (database)");
  assert.equal(damaged("damage:copy:offsite:backup_1"), "The copy offsite is damaged");
});

Deno.test("a subject is one line, whatever the message is", () => {
  const { title } = writeMessage({
    event: { kind: "message", type: "plan", jobId: null, message: `one\ntwo ${"x".repeat(500)}` },
    ...{ tell: "message", alert: null, now: NOW, id: "1", project: null, serviceUrl: null },
  });
  assert.ok(title.startsWith("one two") && title.length <= 150);
});

Deno.test("pagerduty opens and resolves one incident, and calls nobody because all is well", async () => {
  await using receiver = startReceiver();
  const settings = { pagerdutyRoutingKey: "env:BACKUP_PAGERDUTY_ROUTING_KEY" };
  const options = {
    settings,
    secrets: { "env:BACKUP_PAGERDUTY_ROUTING_KEY": "R0" },
    fetch:
      ((url: string, init: RequestInit) =>
        fetch(url.replace("https://events.pagerduty.com", receiver.url), init)) as typeof fetch,
  };
  for (const event of ["opened", "recovered", "completed"] as const) {
    await send("pagerduty", { ...options, sent: message({}, { event }) });
  }
  assert.deepEqual(
    receiver.received.map(({ body }) => [body.event_action, body.dedup_key, body.payload.severity]),
    [["trigger", "incident_1", "error"], ["resolve", "incident_1", "error"]],
  );
  assert.equal(receiver.received[0]!.path, "/v2/enqueue");
});

function to(url: string) {
  return { settings: SLACK, secrets: { [SLACK.slackWebhookUrl]: url } };
}

Deno.test("sendMessage() tries again what may pass, with pauses, and asks no more than three times", async () => {
  await using receiver = startReceiver();
  receiver.answers.push(503, 500);
  assert.deepEqual(await send("slack", to(receiver.url)), [1000, 2000]);
  assert.equal(receiver.received.length, 3);
  receiver.answers.push(500, 502, 503);
  await assert.rejects(send("slack", to(receiver.url)), isFailure(/it answers 503$/));
  assert.equal(receiver.received.length, 6);
});

Deno.test("sendMessage() waits as long as it is asked to, and leaves what is too long to a later tick", async () => {
  await using receiver = startReceiver();
  const wait = (seconds: string) => () =>
    new Response(null, { status: 429, headers: { "retry-after": seconds } });
  receiver.answers.push(wait("3"));
  assert.deepEqual(await send("slack", to(receiver.url)), [3000]);
  receiver.answers.push(wait("3600"));
  await assert.rejects(send("slack", to(receiver.url)), isFailure(/it answers 429$/));
  assert.equal(receiver.received.length, 3);
});

Deno.test("sendMessage() does not repeat what is refused, and follows nobody elsewhere", async () => {
  await using elsewhere = startReceiver();
  await using receiver = startReceiver();
  receiver.answers.push(404);
  await assert.rejects(send("slack", to(receiver.url)), isFailure(/it answers 404$/));
  receiver.answers.push(() => Response.redirect(elsewhere.url, 307));
  await assert.rejects(send("slack", to(receiver.url)), isFailure(/channel slack/));
  assert.deepEqual([receiver.received.length, elsewhere.received.length], [2, 0]);
});

Deno.test("sendMessage() bounds a receiver that hangs, and never says the address", async () => {
  await using receiver = startReceiver();
  const free = Promise.withResolvers<void>();
  receiver.answers.push(() => free.promise.then(() => new Response()));
  const hanging = send("slack", { ...to(`${receiver.url}/secret`), timeoutMs: 50, tries: 1 });
  await assert.rejects(hanging, isFailure(/no answer within 0.05 s$/));
  free.resolve();
  const nobody = send("slack", { ...to("http://127.0.0.1:1/secret"), tries: 1 });
  await assert.rejects(nobody, isFailure(/no connection$/));
});

Deno.test("sendMessage() refuses placeholders and addresses that are none, without saying them", async () => {
  for (const value of ["https://your-webhook.example/secret", "secret", "ftp://secret.example"]) {
    await assert.rejects(send("slack", to(value)), (error: unknown) => {
      assert.ok(error instanceof BackupError && error.code === "invalid_config");
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  }
});

Deno.test("webhook refuses a secret that is not what its beginning says", async () => {
  const secrets = {
    [WEBHOOK.webhookUrl]: "http://127.0.0.1:1",
    [WEBHOOK.webhookSecret]: "whsec_*",
  };
  await assert.rejects(send("webhook", { settings: WEBHOOK, secrets }), (error: unknown) => {
    assert.ok(error instanceof BackupError && error.code === "invalid_config");
    return /webhookSecret: what follows whsec_ is not base64$/.test(error.message);
  });
});

Deno.test("an address is trusted when a variable holds it, and looked at when the Vault does", async () => {
  for (
    const [reference, isTrusted] of [["env:BACKUP_SLACK_X", true], [
      "vault://backup",
      false,
    ]] as const
  ) {
    const refuse = (outgoing: Outgoing) => {
      assert.deepEqual([outgoing.isTrusted, outgoing.usualHost], [isTrusted, "hooks.slack.com"]);
      throw new BackupError("invalid_config", "Cannot: seen before anything was sent");
    };
    const sending = send("slack", {
      settings: { slackWebhookUrl: reference },
      secrets: { [reference]: "http://127.0.0.1:1/" },
      allow: refuse,
    });
    await assert.rejects(sending, /seen before anything was sent/);
  }
});

Deno.test("findChannels() says of each named channel what it lacks, and what sets it", () => {
  const found = findChannels(["email", "slack", "slack", "pigeon"], {
    ...DEFAULT_SETTINGS,
    ...SLACK,
    emailTo: ["a@example.com"],
  });
  assert.deepEqual(found.map(({ name, problem }) => [name, problem]), [
    [
      "email",
      "channel email has no address: supabase secrets set BACKUP_EMAIL_FROM=backup@example.com " +
      "BACKUP_EMAIL_API_KEY=…",
    ],
    ["slack", null],
    ["pigeon", "there is no channel pigeon: there are email, slack, webhook, pagerduty"],
  ]);
});

Deno.test("channelsOf() waits for the addresses of channels that nobody named, and takes those that have one", () => {
  const shown = (patch: SettingsPatch) =>
    channelsOf(mergeSettings([{ name: "a test", patch }])).map(({ name, problem, isWaiting }) =>
      `${name} ${isWaiting ? "waits" : problem === null ? "ready" : "lacks"}`
    );
  const hook = { webhookUrl: "env:BACKUP_WEBHOOK_URL" };
  assert.deepEqual(shown({}), ["email waits", "slack waits"]);
  assert.deepEqual(shown({ notificationChannels: ["email", "slack"] }), [
    "email lacks",
    "slack lacks",
  ]);
  assert.deepEqual(shown({ ...hook, emailTo: ["a@example.com"] }), [
    "email lacks",
    "slack waits",
    "webhook ready",
  ]);
  assert.deepEqual(shown({ ...hook, notificationChannels: ["slack"] }), ["slack lacks"]);
  assert.deepEqual(shown({ ...hook, notificationChannels: [] }), []);
});

function isFailure(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof BackupError && error.code === "channel_failed", String(error));
    assert.match(error.message, message);
    assert.doesNotMatch(`${error.message} ${error.hint}`, /127\.0\.0\.1|secret/);
    return true;
  };
}
