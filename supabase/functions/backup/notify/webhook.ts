/**
 * Any receiver: the message as JSON, signed as the Standard Webhooks specification says, so that receivers
 * can check it with a library. Unsigned while no secret is set.
 *
 * @module
 */
import { cryptoBytes, fromBase64, toBase64, utf8 } from "../core/bytes.ts";
import type { ChannelKind } from "./channel.ts";
import { readAddress, readSecret, unusable } from "./read_secret.ts";

/** See the module. */
export const webhook: ChannelKind = {
  name: "webhook",
  needs: [{ key: "webhookUrl", variable: "BACKUP_WEBHOOK_URL", what: "https://…" }],
  async request(message, context) {
    const body = JSON.stringify({
      type: `backup.${message.event}`,
      timestamp: message.at,
      data: message,
    });
    const timestamp = String(Math.floor(context.now().getTime() / 1000));
    const secret = context.settings.webhookSecret === undefined
      ? null
      : await readSecret("webhookSecret", context);
    return {
      ...await readAddress("webhookUrl", context),
      usualHost: null,
      headers: {
        "content-type": "application/json",
        "webhook-id": message.id,
        "webhook-timestamp": timestamp,
        ...(secret === null
          ? {}
          : { "webhook-signature": await sign(`${message.id}.${timestamp}.${body}`, secret) }),
      },
      body,
    };
  },
};

/** @param secret `whsec_` and base64, or any text */
async function sign(content: string, secret: string): Promise<string> {
  const encoded = /^whsec_(.+)$/.exec(secret)?.[1];
  const raw = encoded === undefined ? utf8(secret) : decode(encoded);
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", cryptoBytes(raw), algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, cryptoBytes(utf8(content)));
  return `v1,${toBase64(new Uint8Array(signature))}`;
}

function decode(encoded: string): Uint8Array {
  try {
    return fromBase64(encoded);
  } catch {
    throw unusable("webhookSecret", "what follows whsec_ is not base64"); // the cause may quote it
  }
}
