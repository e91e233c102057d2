/**
 * Brings recorded messages to their channels, and records what became of them.
 *
 * @module
 */
import type { Delivery } from "../../core/alert.ts";
import { checkChannelHost } from "../../core/allowed_hosts.ts";
import { BackupError, outwardMessage, toBackupError } from "../../core/errors.ts";
import type { NotifyReport } from "../../core/notify_event.ts";
import { DEFAULT_SETTINGS, type Settings } from "../../core/settings.ts";
import {
  type ChannelContext,
  findChannels,
  type Message,
  type Outgoing,
  sendMessage,
} from "../../notify/mod.ts";
import type { Deps } from "../deps.ts";
import { recordAudit } from "../jobs/record_audit.ts";

/** A message to a channel, as it is recorded. */
export type Recorded = Pick<Delivery, "messageId" | "channel" | "message">;

/** Sends to all channels at once; a channel that fails is recorded, and no other is the worse for it. */
export async function deliver(
  deps: Deps,
  deliveries: readonly (Recorded & { attempts?: number })[],
  { settings, isRecorded }: { settings: Settings; isRecorded: boolean },
): Promise<Pick<NotifyReport, "sent" | "failed">> {
  const sent: string[] = [];
  const failed: NotifyReport["failed"] = [];
  await Promise.all(deliveries.map(async (delivery) => {
    const { channel } = delivery;
    const error = await tryToSend(deps, delivery, settings);
    if (error === null) sent.push(channel);
    else failed.push({ channel, message: outwardMessage(error) });
    try {
      await record(deps, delivery, { error, isRecorded });
    } catch (thrown) {
      deps.reportError(toBackupError(thrown), `notify: record of ${delivery.messageId}`);
    }
  }));
  return { sent, failed };
}

async function tryToSend(
  deps: Deps,
  { channel, message }: Recorded,
  settings: Settings,
): Promise<BackupError | null> {
  const words = message as unknown as Message;
  try {
    if (words.event !== "message" && !settings.enableBackupNotifications) {
      throw unready("enableBackupNotifications is off");
    }
    const [found] = findChannels([channel], settings);
    if (!found?.kind || found.problem !== null) throw unready(found?.problem ?? "it is gone");
    await sendMessage(found.kind, words, {
      context: channelContext(deps, settings),
      fetch: globalThis.fetch,
      clock: deps.clock,
      allow: (outgoing) => checkOutgoing(deps, channel, outgoing),
    });
    return null;
  } catch (error) {
    return toBackupError(error);
  }
}

async function record(
  deps: Deps,
  delivery: Recorded & { attempts?: number },
  { error, isRecorded }: { error: BackupError | null; isRecorded: boolean },
): Promise<void> {
  const { messageId, channel, attempts = 1 } = delivery;
  if (error === null) {
    if (isRecorded) await deps.state.alerts.markSent(delivery);
    return;
  }
  deps.reportError(error, `notify: ${messageId}`);
  const isGivenUp = isRecorded &&
    await deps.state.alerts.markFailed(delivery, outwardMessage(error));
  if (attempts > 1 && !isGivenUp) return; // each try would be a line of the audit log
  await recordAudit(deps, { name: "service", requestId: messageId }, {
    ...{ action: "notify", subject: messageId, outcome: "failed" },
    details: { channel, code: error.code, message: outwardMessage(error), givenUp: isGivenUp },
  });
}

/** What channels make their requests from. */
export function channelContext(deps: Deps, settings: Settings): ChannelContext {
  const { environment, clock } = deps;
  return {
    settings,
    // The default is nobody's choice: it is as good as the environment's.
    isFromEnvironment: (key) =>
      environment.settings[key] !== undefined || settings[key] === DEFAULT_SETTINGS[key],
    secret: (reference) => deps.secret(reference),
    now: () => clock.now(),
  };
}

/** @throws `invalid_config` for a host that the environment does not allow */
export function checkOutgoing(deps: Deps, channel: string, outgoing: Outgoing): void {
  const { url, isTrusted, usualHost } = outgoing;
  if (!isTrusted) checkChannelHost(url, { name: channel, usualHost }, deps.environment);
}

function unready(why: string): BackupError {
  return new BackupError("channel_failed", `Cannot send now: ${why}`);
}
