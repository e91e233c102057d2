/**
 * Finds out, without sending, whether a message could be made for a channel.
 *
 * @module
 */
import type { ChannelContext, ChannelKind, Outgoing } from "./channel.ts";
import { writeMessage } from "./write_message.ts";

/** @throws `invalid_config` saying what stands against it */
export async function tryChannel(
  kind: ChannelKind,
  context: ChannelContext,
  allow: (outgoing: Outgoing) => void,
): Promise<void> {
  const message = writeMessage({
    event: { kind: "message", type: "test", jobId: null, message: "A test" },
    ...{ tell: "message", alert: null, now: context.now(), id: "test" },
    ...{ project: null, serviceUrl: null },
  });
  const outgoing = await kind.request(message, context);
  if (outgoing !== null) allow(outgoing);
}
