/**
 * What a way to reach people is to those who send: it says where to post what.
 *
 * @module
 */
import type { Channel } from "../core/notify_event.ts";
import type { Secret } from "../core/secret.ts";
import type { Settings } from "../core/settings.ts";
import type { Message } from "./write_message.ts";

/** A request to a channel. The address may itself be a secret. */
export interface Outgoing {
  url: string;
  /** Whether the environment itself said the address; else its host must be on the list. */
  isTrusted: boolean;
  /** The host that the channel has where nothing else is said; allowed without a list. */
  usualHost: string | null;
  headers: Record<string, string>;
  body: string;
}

/** What a channel makes its requests from. */
export interface ChannelContext {
  settings: Settings;
  /** Keys of settings that the environment says. */
  isFromEnvironment: (key: keyof Settings) => boolean;
  /** What a reference stands for. @throws `invalid_config` */
  secret: (reference: string) => Promise<Secret>;
  now: () => Date;
}

/** One kind of channel. */
export interface ChannelKind {
  name: Channel;
  /** Settings that it cannot do without, each with the variable that says it. */
  needs: readonly { key: keyof Settings; variable: string; what: string }[];
  /**
   * The request that brings a message; null when the channel has nothing to do with such messages.
   *
   * @throws `invalid_config` when a secret is missing or a placeholder
   */
  request(message: Message, context: ChannelContext): Promise<Outgoing | null>;
}
