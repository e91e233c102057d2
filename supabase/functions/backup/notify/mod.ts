/**
 * Telling people: the door of this folder.
 *
 * @module
 */
export type { ChannelContext, Outgoing } from "./channel.ts";
export { channelsOf, findChannels, type NamedChannel } from "./channels.ts";
export { alertKeys, decideAlert } from "./decide_alert.ts";
export { sendMessage } from "./send_message.ts";
export { tryChannel } from "./try_channel.ts";
export { type Message, writeMessage } from "./write_message.ts";
