import assert from "node:assert/strict";
import { nativeHmac } from "./native_hmac.ts";

const hmac = nativeHmac();

Deno.test({
  name: `the system's HMAC is Web Crypto's${hmac === undefined ? " (no OpenSSL here)" : ""}`,
  ignore: hmac === undefined,
  async fn() {
    const content = new Uint8Array(1 << 20);
    for (let at = 0; at < content.length; at += 65_536) {
      crypto.getRandomValues(content.subarray(at, at + 65_536));
    }
    for (const keyBytes of [16, 32, 64, 65, 200]) {
      const key = crypto.getRandomValues(new Uint8Array(keyBytes));
      const named = hmac!(key);
      const expected = await webCrypto(key);
      for (const [from, to] of [[0, 0], [1, 2], [3, 66], [64, 128], [5, 1000], [1, 1 << 20]]) {
        const part = content.subarray(from, to);
        assert.deepEqual(await named(part), await expected(part), `${part.length} bytes`);
      }
    }
  },
});

async function webCrypto(bytes: Uint8Array) {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign"]);
  return async (part: Uint8Array) =>
    new Uint8Array(await crypto.subtle.sign("HMAC", key, part.slice()));
}
