/**
 * Every channel, and which of those that are named could send.
 *
 * @module
 */
import { hasDefaultChannels, type Settings } from "../core/settings.ts";
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
  /** Whether nobody asked for it and nothing of its address is there: then nothing is wrong with it. */
  isWaiting: boolean;
}

/**
 * The channels of the settings. Where nobody names any they are all that have something of an address, which
 * is there for nothing else, and those of the default, which wait for theirs.
 */
export function channelsOf(settings: Settings): NamedChannel[] {
  const names = settings.notificationChannels;
  if (!hasDefaultChannels(settings)) return findChannels(names, settings);
  const begun: string[] = KINDS.filter(({ needs }) => needs.some(({ key }) => isSet(settings[key])))
    .map(({ name }) => name);
  return findChannels([...names, ...begun], settings).map((channel) => {
    if (begun.includes(channel.name)) return channel;
    return { ...channel, isWaiting: true };
  });
}

/** @param names as in the settings; each is answered once */
export function findChannels(names: readonly string[], settings: Settings): NamedChannel[] {
  return [...new Set(names)].map((name) => {
    const kind = KINDS.find((one) => one.name === name) ?? null;
    return { name, kind, problem: problemOf(name, kind, settings), isWaiting: false };
  });
}

function problemOf(name: string, kind: ChannelKind | null, settings: Settings): string | null {
  if (kind === null) {
    return `there is no channel ${name}: there are ${KINDS.map((one) => one.name).join(", ")}`;
  }
  const missing = kind.needs.filter(({ key }) => !isSet(settings[key]));
  if (missing.length === 0) return null;
  const set = missing.map(({ variable, what }) => `${variable}=${what}`).join(" ");
  return `channel ${name} has no address: supabase secrets set ${set}`;
}

function isSet(value: unknown): boolean {
  return value !== undefined && !(Array.isArray(value) && value.length === 0);
}
