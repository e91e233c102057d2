/**
 * Slack, by an incoming webhook.
 *
 * @module
 */
import type { ChannelKind } from "./channel.ts";
import { escapeSlack } from "./escape.ts";
import { readAddress } from "./read_secret.ts";
import { type Message, plainText } from "./write_message.ts";

/** Slack cuts longer texts itself, in the middle of an escape. */
const TEXT_LENGTH = 3500;

/** See the module. */
export const slack: ChannelKind = {
  name: "slack",
  needs: [{
    key: "slackWebhookUrl",
    variable: "BACKUP_SLACK_WEBHOOK_URL",
    what: "https://hooks.slack.com/services/…",
  }],
  async request(message, context) {
    return {
      ...await readAddress("slackWebhookUrl", context),
      usualHost: "hooks.slack.com",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        text: escapeSlack(textOf(message)),
        unfurl_links: false,
        unfurl_media: false,
      }),
    };
  },
};

function textOf(message: Message): string {
  const text = `[${message.priority.toUpperCase()}] ${plainText(message)}`;
  return text.length > TEXT_LENGTH ? `${text.slice(0, TEXT_LENGTH - 1)}…` : text;
}
