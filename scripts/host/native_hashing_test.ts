import assert from "node:assert/strict";
import { runtimeHashing } from "../../supabase/functions/backup/core/hashing.ts";
import { nativeHashing } from "./native_hashing.ts";

const native = nativeHashing(); // the library stays loaded

Deno.test("nativeHashing() gives the digests that the runtime gives", () => {
  const key = crypto.getRandomValues(new Uint8Array(32));
  for (const length of [0, 1, 55, 56, 64, 10_000, 65_536]) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    assert.equal(native.md5(bytes), runtimeHashing.md5(bytes));
    assert.equal(native.sha256(bytes), runtimeHashing.sha256(bytes));
    assert.deepEqual(
      [...native.hmacSha256(key, bytes)],
      [...runtimeHashing.hmacSha256(key, bytes)],
    );
    const part = new Uint8Array(bytes.buffer, Math.min(1, length));
    assert.equal(native.md5(part), runtimeHashing.md5(part));
  }
});

Deno.test({
  name: "nativeHashing() is the runtime's for a program that may not load libraries",
  permissions: { ffi: false },
  fn() {
    assert.equal(nativeHashing(), runtimeHashing);
  },
});
