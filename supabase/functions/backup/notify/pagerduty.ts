/**
 * PagerDuty, by its Events API v2. An incident here is one there: it opens with the first failure and is
 * resolved when what failed works again.
 *
 * @module
 */
import type { NotifyPriority } from "../core/notify_event.ts";
import type { ChannelKind } from "./channel.ts";
import { readSecret } from "./read_secret.ts";

const SEVERITIES: Record<NotifyPriority, string> = {
  low: "info",
  medium: "warning",
  high: "error",
  critical: "critical",
};

/** See the module. */
export const pagerduty: ChannelKind = {
  name: "pagerduty",
  needs: [{ key: "pagerdutyRoutingKey", variable: "BACKUP_PAGERDUTY_ROUTING_KEY", what: "…" }],
  async request(message, context) {
    if (message.event === "completed") return null; // nobody is called because all is well
    const isOver = message.event === "recovered";
    return {
      url: "https://events.pagerduty.com/v2/enqueue",
      isTrusted: true,
      usualHost: "events.pagerduty.com",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        routing_key: await readSecret("pagerdutyRoutingKey", context),
        event_action: isOver ? "resolve" : "trigger",
        dedup_key: message.incidentId ?? message.id,
        payload: {
          summary: message.title,
          source: "supabase-backup",
          severity: SEVERITIES[message.priority],
          timestamp: message.at,
          custom_details: {
            ...Object.fromEntries(message.facts),
            text: message.text,
            todo: message.todo,
          },
        },
        ...(message.link === null ? {} : { links: [{ href: message.link, text: "Details" }] }),
      }),
    };
  },
};
