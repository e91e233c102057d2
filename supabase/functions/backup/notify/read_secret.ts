/**
 * Secrets of channels: looked up when they are needed, refused where an example was left in place.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Settings } from "../core/settings.ts";
import type { ChannelContext } from "./channel.ts";

/** Settings that hold references. */
type SecretKey =
  | "emailApiKey"
  | "slackWebhookUrl"
  | "webhookUrl"
  | "webhookSecret"
  | "pagerdutyRoutingKey";

/** @throws `invalid_config` when there is none, or a placeholder of an example */
export async function readSecret(key: SecretKey, context: ChannelContext): Promise<string> {
  const reference = context.settings[key];
  if (reference === undefined) throw unusable(key, "it is not set");
  const value = (await context.secret(reference)).reveal().trim();
  if (/^(https?:\/\/)?(your[-_ ]|<|example|placeholder|change[-_ ]?me)/i.test(value)) {
    throw unusable(key, "it is a placeholder from an example");
  }
  return value;
}

/** The same for an address. @throws `invalid_config` */
export async function readAddress(
  key: "slackWebhookUrl" | "webhookUrl",
  context: ChannelContext,
): Promise<{ url: string; isTrusted: boolean }> {
  const url = await readSecret(key, context);
  if (!/^https?:$/.test(protocolOf(url))) throw unusable(key, "it is no address as https://host");
  // A variable was set by whoever sets the environment, whatever names it.
  return { url, isTrusted: context.settings[key]?.startsWith("env:") === true };
}

function protocolOf(url: string): string {
  return URL.canParse(url) ? new URL(url).protocol : "";
}

/** The error for a value that cannot be used; never says the value. */
export function unusable(key: keyof Settings, why: string): BackupError {
  return new BackupError("invalid_config", `Cannot use the setting ${key}: ${why}`, {
    hint: "docs/notifications.md lists what each channel needs.",
  });
}
