/**
 * Every channel, and which of those that are named could send.
 *
 * @module
 */
import type { Settings } from "../core/settings.ts";
import type { ChannelKind } from "./channel.ts";
import { email } from "./email.ts";
import { pagerduty } from "./pagerduty.ts";
import { slack } from "./slack.ts";
import { webhook } from "./webhook.ts";

const KINDS: readonly ChannelKind[] = [email, slack, webhook, pagerduty];

/** A channel that is named, and why it cannot send. */
export interface NamedChannel {
  name: string;
  /** Null for a name that no channel has. */
  kind: ChannelKind | null;
  /** What is missing, with what sets it; null when nothing is. */
  problem: string | null;
}

/** @param names as in the settings; each is answered once */
export function findChannels(names: readonly string[], settings: Settings): NamedChannel[] {
  return [...new Set(names)].map((name) => {
    const kind = KINDS.find((one) => one.name === name) ?? null;
    return { name, kind, problem: problemOf(name, kind, settings) };
  });
}

function problemOf(name: string, kind: ChannelKind | null, settings: Settings): string | null {
  if (kind === null) {
    return `there is no channel ${name}: there are ${KINDS.map((one) => one.name).join(", ")}`;
  }
  const missing = kind.needs.filter(({ key }) => {
    const value = settings[key];
    return value === undefined || (Array.isArray(value) && value.length === 0);
  });
  if (missing.length === 0) return null;
  const set = missing.map(({ variable, what }) => `${variable}=${what}`).join(" ");
  return `channel ${name} has no address: supabase secrets set ${set}`;
}
