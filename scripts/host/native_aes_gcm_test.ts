import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { nativeAesGcm } from "./native_aes_gcm.ts";

const aesGcm = nativeAesGcm();
const ignore = aesGcm === undefined;
const why = ignore ? " (no OpenSSL here)" : "";

Deno.test({
  name: `what the system's AES-GCM seals, Web Crypto opens, and it seals the same${why}`,
  ignore,
  async fn() {
    const keyBytes = crypto.getRandomValues(new Uint8Array(32));
    const key = await crypto.subtle.importKey("raw", keyBytes, "AES-GCM", false, [
      ...["encrypt" as const, "decrypt" as const],
    ]);
    const seal = aesGcm!(keyBytes);
    const associated = crypto.getRandomValues(new Uint8Array(68));
    for (const bytes of [0, 1, 15, 16, 17, 4095, 65_536, 1_000_003]) {
      const payload = new Uint8Array(bytes).fill(bytes % 251);
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const sealed = seal(payload, iv, associated);
      const options = { name: "AES-GCM", iv, additionalData: associated };
      const expected = await crypto.subtle.encrypt(options, key, payload);
      assert.equal(Buffer.compare(sealed.subarray(0, 68), associated), 0);
      assert.equal(Buffer.compare(sealed.subarray(68), new Uint8Array(expected)), 0, `${bytes}`);
      const opened = await crypto.subtle.decrypt(options, key, sealed.slice(68));
      assert.equal(Buffer.compare(new Uint8Array(opened), payload), 0);
    }
  },
});

Deno.test({
  name: `the system's AES-GCM takes no key and no nonce of another length${why}`,
  ignore,
  fn() {
    const [key, nonce, nothing] = [32, 12, 0].map((bytes) => new Uint8Array(bytes)) as [
      ...[Uint8Array, Uint8Array, Uint8Array],
    ];
    assert.throws(() => aesGcm!(key.subarray(1))(nothing, nonce, nothing), { code: "internal" });
    assert.throws(() => aesGcm!(key)(nothing, nonce.subarray(1), nothing), { code: "internal" });
  },
});
