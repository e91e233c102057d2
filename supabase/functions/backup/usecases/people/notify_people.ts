/**
 * Tells people what happened: decides under the incident's lock, records the messages, then sends them.
 * While the tables cannot be used the memory of this process decides, and messages are sent all the same.
 *
 * @module
 */
import type { Alert, AlertChange } from "../../core/alert.ts";
import { cryptoBytes, toHex, utf8 } from "../../core/bytes.ts";
import { outwardMessage, toBackupError } from "../../core/errors.ts";
import { randomId } from "../../core/ids.ts";
import { toJson } from "../../core/json.ts";
import type { NotifyEvent, NotifyReport } from "../../core/notify_event.ts";
import { mergeSettings, type Settings } from "../../core/settings.ts";
import {
  alertKeys,
  channelsOf,
  decideAlert,
  findChannels,
  type NamedChannel,
  writeMessage,
} from "../../notify/mod.ts";
import { isStateUnavailable } from "../../state/state_error.ts";
import { deliver, type Recorded } from "./deliver.ts";
import type { Deps } from "../deps.ts";

/** The function of {@linkcode Deps}; one per process, because it remembers what the tables cannot keep. */
export function createNotify(deps: Deps): Deps["notify"] {
  const memory = new Map<string, Alert>();
  return async function notify(event) {
    try {
      const settings = await settingsNow(deps);
      return event.kind === "message"
        ? await sendWords(deps, event, settings)
        : await tellOfIncident({ deps, memory, settings }, event);
    } catch (error) {
      const failure = toBackupError(error);
      deps.reportError(failure, `notify: ${event.kind} of ${event.type}`);
      return { messageId: null, sent: [], failed: [], silencedBy: outwardMessage(failure) };
    }
  };
}

/** Sends again what was recorded and not sent; for the clock. */
export async function sendUnsent(deps: Deps): Promise<void> {
  const unsent = await deps.state.alerts.claimUnsent().catch(unlessUnavailable);
  if (unsent === null) return;
  if (unsent.length > 0) {
    await deliver(deps, unsent, { settings: await settingsNow(deps), isRecorded: true });
  }
  await deps.state.alerts.prune();
}

/** Without its tables, or with older ones, there is nothing to be sent again. */
function unlessUnavailable(error: unknown): null {
  const failure = toBackupError(error);
  if (!isStateUnavailable(failure)) throw failure;
  return null;
}

/** With wrong rows in the tables the environment alone says whom to tell: that they are wrong, too. */
async function settingsNow(deps: Deps): Promise<Settings> {
  try {
    return (await deps.settings()).settings;
  } catch (error) {
    deps.reportError(toBackupError(error), "notify: settings");
    return mergeSettings([{ name: "the environment", patch: deps.environment.settings }]);
  }
}

interface Incidents {
  deps: Deps;
  memory: Map<string, Alert>;
  settings: Settings;
}

async function tellOfIncident(
  { deps, memory, settings }: Incidents,
  event: NotifyEvent,
): Promise<NotifyReport> {
  const channels = channelsFor(event, settings);
  const ready = channels.filter(({ problem }) => problem === null).map(({ name }) => name);
  const canTell = settings.enableBackupNotifications && ready.length > 0;
  const mayPraise = settings.notifyOnSuccess && event.key === undefined &&
    event.jobId?.startsWith("backup_") === true;
  const changes: RecordedChange[] = [];
  const keys = alertKeys(event);
  for (const [index, key] of keys.entries()) {
    // Praise is for what was well before: for no key was anything wrong.
    const isLast = index === keys.length - 1 && !changes.some(({ closed }) => closed);
    const decide = decider(deps, event, {
      ...{ key, settings, ready, canTell },
      tellSuccess: mayPraise && isLast,
    });
    changes.push(await changeIncident({ deps, memory }, key, decide));
  }
  const deliveries = changes.flatMap((change) => change.deliveries);
  const isRecorded = changes.every((change) => change.isRecorded);
  if (deliveries.length > 0) {
    deps.inBackground(deliver(deps, deliveries, { settings, isRecorded }));
  }
  return {
    messageId: deliveries[0]?.messageId ?? null,
    sent: [],
    failed: [],
    silencedBy: deliveries.length > 0 ? null : whySilent({ settings, ready, channels }),
  };
}

function channelsFor({ channels }: NotifyEvent, settings: Settings): NamedChannel[] {
  return channels === undefined ? channelsOf(settings) : findChannels(channels, settings);
}

type RecordedChange = AlertChange & { isRecorded: boolean };

async function changeIncident(
  { deps, memory }: Pick<Incidents, "deps" | "memory">,
  key: string,
  decide: (open: Alert | null) => AlertChange,
): Promise<RecordedChange> {
  const known = memory.get(key) ?? null;
  try {
    const change = await deps.state.alerts.change(key, (open) => decide(open ?? known));
    memory.delete(key);
    return { ...change, isRecorded: true };
  } catch (error) {
    deps.reportError(toBackupError(error), `notify: record of ${key}`);
  }
  const change = decide(known);
  if (change.alert === null || change.closed) memory.delete(key);
  else memory.set(key, change.alert);
  return { ...change, isRecorded: false };
}

/** What an event makes of an incident, with the messages in words. */
function decider(
  deps: Deps,
  event: NotifyEvent,
  { key, settings, ready, canTell, tellSuccess }: {
    key: string;
    settings: Settings;
    ready: readonly string[];
    canTell: boolean;
    tellSuccess: boolean;
  },
): (open: Alert | null) => AlertChange {
  const now = deps.clock.now();
  return (open) => {
    const { alert, closed, tell } = decideAlert({ key, open }, event, {
      ...{ threshold: settings.failureNotificationThreshold, now, canTell, tellSuccess },
      newId: () => `incident_${now.toISOString().replace(/[-:.]/g, "")}_${randomId(10)}`,
    });
    if (tell === null) return { alert, closed, deliveries: [] };
    const id = `${alert?.incidentId ?? event.jobId}/${tell}`;
    const message = toJson(writeMessage({ event, tell, alert, now, id, ...placeOf(deps) }));
    return {
      alert,
      closed,
      deliveries: ready.map((channel) => ({ messageId: id, channel, message })),
    };
  };
}

function whySilent({ settings, ready, channels }: {
  settings: Settings;
  ready: readonly string[];
  channels: readonly NamedChannel[];
}): string {
  if (!settings.enableBackupNotifications) return "enableBackupNotifications is off";
  if (ready.length > 0) return "people have been told of this incident, or there is none";
  return whyNobody(channels);
}

function whyNobody(channels: readonly NamedChannel[]): string {
  return channels.map(({ problem }) => problem).join("; ") || "no channel is named";
}

async function sendWords(
  deps: Deps,
  event: NotifyEvent,
  settings: Settings,
): Promise<NotifyReport> {
  const channels = channelsFor(event, settings);
  const failed = channels.flatMap(({ name, problem, isWaiting }) =>
    problem === null || isWaiting ? [] : [{ channel: name, message: problem }]
  );
  const ready = channels.filter(({ problem }) => problem === null).map(({ name }) => name);
  const id = await messageId(event.id);
  if (ready.length === 0) {
    const silencedBy = failed.length > 0 ? null : whyNobody(channels);
    return { messageId: null, sent: [], failed, silencedBy };
  }
  const message = toJson(writeMessage({
    ...{ event, tell: "message", alert: null, now: deps.clock.now(), id },
    ...placeOf(deps),
  }));
  const wanted = ready.map((channel) => ({ messageId: id, channel, message }));
  let recorded: { sent: string[]; unsent: Recorded[] } | null = null;
  try {
    recorded = await deps.state.alerts.add(id, wanted);
  } catch (error) {
    deps.reportError(toBackupError(error), `notify: record of ${id}`);
  }
  const report = await deliver(deps, recorded?.unsent ?? wanted, {
    settings,
    isRecorded: recorded !== null,
  });
  return {
    messageId: id,
    sent: [...recorded?.sent ?? [], ...report.sent],
    failed: [...failed, ...report.failed],
    silencedBy: null,
  };
}

/** Ids go into headers: what does not fit there is told by its hash. */
async function messageId(wanted: string | undefined): Promise<string> {
  if (wanted === undefined) return `message_${randomId(20)}`;
  if (/^[\x21-\x7e]{1,200}$/.test(wanted)) return wanted;
  const hash = await crypto.subtle.digest("SHA-256", cryptoBytes(utf8(wanted)));
  return `message_${toHex(new Uint8Array(hash))}`;
}

function placeOf({ environment }: Deps): { project: string | null; serviceUrl: string | null } {
  return { project: environment.projectRef, serviceUrl: environment.functionUrl };
}
