import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { nativeAesGcm } from "./native_aes_gcm.ts";

const aesGcm = nativeAesGcm();
const ignore = aesGcm === undefined;
const why = ignore ? " (no OpenSSL here)" : "";

Deno.test({
  name: `what the system's AES-GCM seals, Web Crypto seals alike, and each opens the other's${why}`,
  ignore,
  async fn() {
    const keyBytes = crypto.getRandomValues(new Uint8Array(32));
    const key = await crypto.subtle.importKey("raw", keyBytes, "AES-GCM", false, [
      ...["encrypt" as const, "decrypt" as const],
    ]);
    const native = aesGcm!(keyBytes);
    const associated = crypto.getRandomValues(new Uint8Array(68));
    for (const bytes of [0, 1, 15, 16, 17, 4095, 65_536, 1_000_003]) {
      const payload = new Uint8Array(bytes).fill(bytes % 251);
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const sealed = native.seal(payload, iv, associated);
      const options = { name: "AES-GCM", iv, additionalData: associated };
      const expected = await crypto.subtle.encrypt(options, key, payload);
      assert.equal(Buffer.compare(sealed.subarray(0, 68), associated), 0);
      assert.equal(Buffer.compare(sealed.subarray(68), new Uint8Array(expected)), 0, `${bytes}`);
      const opened = await crypto.subtle.decrypt(options, key, sealed.slice(68));
      assert.equal(Buffer.compare(new Uint8Array(opened), payload), 0);
      const byNative = native.open(new Uint8Array(expected), iv, associated);
      assert.equal(Buffer.compare(byNative!, payload), 0, `${bytes}`);
    }
  },
});

Deno.test({
  name: `the system's AES-GCM seals in memory that it is given, also what is in place there${why}`,
  ignore,
  fn() {
    const native = aesGcm!(crypto.getRandomValues(new Uint8Array(32)));
    const nonce = crypto.getRandomValues(new Uint8Array(12));
    const associated = crypto.getRandomValues(new Uint8Array(68));
    const payload = crypto.getRandomValues(new Uint8Array(1000));
    const sealed = native.seal(payload, nonce, associated);
    for (const bytes of [0, sealed.length - 1, sealed.length, 5000]) {
      const room = new Uint8Array(bytes).fill(7);
      const elsewhere = native.seal(payload, nonce, associated, room);
      assert.equal(Buffer.compare(elsewhere, sealed), 0, `${bytes}`);
      assert.equal(elsewhere.buffer === room.buffer, bytes >= sealed.length);
      if (bytes < sealed.length) continue;
      room.set(payload, 68);
      const inPlace = native.seal(room.subarray(68, 1068), nonce, associated, room);
      assert.equal(Buffer.compare(inPlace, sealed), 0, `in place of ${bytes}`);
    }
  },
});

Deno.test({
  name:
    `the system's AES-GCM opens nothing in which one bit is another, and goes on after it${why}`,
  ignore,
  fn() {
    const native = aesGcm!(crypto.getRandomValues(new Uint8Array(32)));
    const nonce = crypto.getRandomValues(new Uint8Array(12));
    const associated = crypto.getRandomValues(new Uint8Array(68));
    const payload = crypto.getRandomValues(new Uint8Array(33));
    const sealed = native.seal(payload, nonce, associated).subarray(68);
    for (let at = 0; at < sealed.length; at++) {
      const changed = sealed.slice();
      changed[at]! ^= 0x80;
      assert.equal(native.open(changed, nonce, associated), null, `byte ${at}`);
    }
    for (const [otherNonce, otherAssociated] of [[0, 1], [1, 0]] as const) {
      const changed = [nonce.slice(), associated.slice()] as const;
      changed[0][3]! ^= otherNonce;
      changed[1][67]! ^= otherAssociated;
      assert.equal(native.open(sealed.slice(), ...changed), null);
    }
    for (const length of [0, 15, 16, sealed.length - 1]) {
      assert.equal(native.open(sealed.slice(0, length), nonce, associated), null, `${length}`);
    }
    assert.equal(Buffer.compare(native.open(sealed.slice(), nonce, associated)!, payload), 0);
  },
});

Deno.test({
  name: `the system's AES-GCM takes no key and no nonce of another length${why}`,
  ignore,
  fn() {
    const [key, nonce, nothing] = [32, 12, 0].map((bytes) => new Uint8Array(bytes)) as [
      ...[Uint8Array, Uint8Array, Uint8Array],
    ];
    for (const verb of ["seal", "open"] as const) {
      const use = (key: Uint8Array, nonce: Uint8Array) => () =>
        aesGcm!(key)[verb](nothing, nonce, nothing);
      assert.throws(use(key.subarray(1), nonce), { code: "internal" });
      assert.throws(use(key, nonce.subarray(1)), { code: "internal" });
    }
  },
});
