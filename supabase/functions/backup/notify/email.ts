/**
 * E-mail, by an HTTP API: hosted functions cannot reach mail servers on their usual ports.
 *
 * @module
 */
import type { ChannelKind } from "./channel.ts";
import { escapeHtml } from "./escape.ts";
import { readSecret } from "./read_secret.ts";
import { type Message, plainText } from "./write_message.ts";

/** See the module. */
export const email: ChannelKind = {
  name: "email",
  needs: [
    { key: "emailTo", variable: "BACKUP_EMAIL_TO", what: "you@example.com" },
    { key: "emailFrom", variable: "BACKUP_EMAIL_FROM", what: "backup@example.com" },
    { key: "emailApiKey", variable: "BACKUP_EMAIL_API_KEY", what: "…" },
  ],
  async request(message, context) {
    const { emailApiUrl, emailFrom, emailTo } = context.settings;
    const text = plainText(message);
    return {
      url: emailApiUrl,
      isTrusted: context.isFromEnvironment("emailApiUrl"),
      usualHost: "api.resend.com",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${await readSecret("emailApiKey", context)}`,
        "idempotency-key": message.id,
        "user-agent": "supabase-backup",
      },
      body: JSON.stringify({
        from: emailFrom,
        to: emailTo,
        subject: subjectOf(message),
        text,
        html: `<pre style="font: inherit; white-space: pre-wrap">${escapeHtml(text)}</pre>`,
      }),
    };
  },
};

function subjectOf({ priority, title }: Message): string {
  return `[${priority}] ${title}`;
}
