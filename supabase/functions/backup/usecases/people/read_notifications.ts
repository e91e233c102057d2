/**
 * Whether people would be told: what each named channel lacks, how it has done, and what they were told of.
 *
 * @module
 */
import type { ChannelRecord } from "../../core/alert.ts";
import { outwardMessage, toBackupError } from "../../core/errors.ts";
import type { Settings } from "../../core/settings.ts";
import {
  type ChannelContext,
  channelsOf,
  type NamedChannel,
  tryChannel,
} from "../../notify/mod.ts";
import { channelContext, checkOutgoing } from "./deliver.ts";
import type { Deps } from "../deps.ts";

/** A named channel. */
export interface ChannelStatus {
  name: string;
  /** What stands against sending, with what to do; null when nothing does. */
  problem: string | null;
  lastSentAt: string | null;
  /** The newest failure since the last success. */
  lastError: string | null;
  lastFailedAt: string | null;
  /** Messages that wait for another try. */
  unsent: number;
}

/** See the module. */
export interface NotificationStatus {
  ok: boolean;
  found: string;
  channels: ChannelStatus[];
  /** Incidents that are not over. */
  open: { incidentId: string; about: string; since: string; count: number; escalated: boolean }[];
}

/** Reads no network: whether an address answers is known by what was sent there. */
export async function readNotifications(
  deps: Deps,
  settings: Settings,
): Promise<NotificationStatus> {
  const [records, alerts] = await Promise.all([
    orNothing(deps, () => deps.state.alerts.channels()),
    orNothing(deps, () => deps.state.alerts.open()),
  ]);
  const named = channelsOf(settings);
  const channels = await Promise.all(
    named.map((channel) => statusOf(deps, channel, { settings, records })),
  );
  return {
    ...summary(settings, { channels, waiting: named.filter(({ isWaiting }) => isWaiting) }),
    channels,
    open: alerts.map(({ incidentId, key, firstAt, count, escalatedAt }) => ({
      ...{ incidentId, about: key, since: firstAt, count },
      escalated: escalatedAt !== null,
    })),
  };
}

async function statusOf(
  deps: Deps,
  { name, kind, problem }: NamedChannel,
  { settings, records }: { settings: Settings; records: ChannelRecord[] },
): Promise<ChannelStatus> {
  const record = records.find(({ channel }) => channel === name);
  const context = channelContext(deps, settings);
  return {
    name,
    problem: problem ?? (kind === null ? null : await problemOf(deps, { kind, context })),
    lastSentAt: record?.lastSentAt ?? null,
    lastError: record?.lastError ?? null,
    lastFailedAt: record?.lastFailedAt ?? null,
    unsent: record?.unsent ?? 0,
  };
}

/** What would stand against a message: a secret that is missing or an example, a host not allowed. */
async function problemOf(
  deps: Deps,
  { kind, context }: { kind: NonNullable<NamedChannel["kind"]>; context: ChannelContext },
): Promise<string | null> {
  try {
    await tryChannel(kind, context, (outgoing) => checkOutgoing(deps, kind.name, outgoing));
    return null;
  } catch (error) {
    const failure = toBackupError(error);
    return [outwardMessage(failure), failure.hint].filter(Boolean).join(". ");
  }
}

function summary(
  settings: Settings,
  { channels, waiting }: { channels: readonly ChannelStatus[]; waiting: readonly NamedChannel[] },
): Pick<NotificationStatus, "ok" | "found"> {
  if (!settings.enableBackupNotifications) return { ok: true, found: "switched off" };
  if (channels.length === 0) return { ok: true, found: "no channel is named: nobody is told" };
  const asked = channels.filter(({ name }) => !waiting.some((other) => other.name === name));
  if (asked.length === 0) {
    const problems = waiting.map(({ problem }) => problem).join("; ");
    return { ok: false, found: `nobody is told: ${problems}` };
  }
  const problems = asked.flatMap(({ problem, lastError }) => problem ?? lastError ?? []);
  return problems.length > 0
    ? { ok: false, found: problems.join("; ") }
    : { ok: true, found: `by ${asked.map(({ name }) => name).join(", ")}` };
}

/** Without the tables the settings still say whether people would be told. */
async function orNothing<T>(deps: Deps, read: () => Promise<T[]>): Promise<T[]> {
  try {
    return await read();
  } catch (error) {
    const failure = toBackupError(error);
    if (failure.code === "internal") deps.reportError(failure, "status: notifications");
    return [];
  }
}
