import assert from "node:assert/strict";
import { toBase64, toHex } from "../core/bytes.ts";
import { BackupError } from "../core/errors.ts";
import { Secret } from "../core/secret.ts";
import { openVaultSeal } from "./vault_seal.ts";

const bytes = Uint8Array.from({ length: 32 }, (_, at) => at * 7 + 1);
const key = new Secret(toBase64(bytes));
const other = new Secret(toHex(bytes.map((byte) => byte ^ 255)));

function withCode(code: string) {
  return (error: unknown) => error instanceof BackupError && error.code === code;
}

Deno.test("openVaultSeal() opens what the same key sealed, whichever way the key is written", async () => {
  const seal = await openVaultSeal(key, { repositoryKey: null });
  const again = await openVaultSeal(new Secret(toHex(bytes)), { repositoryKey: other });
  for (const value of ["", "hunter22", "🗝 \0 line\nend", "x".repeat(100_000)]) {
    const sealed = await seal.seal(value, "vault/one");
    assert.equal(await again.unseal(sealed, "vault/one"), value);
  }
  assert.equal(seal.keyId, again.keyId);
});

Deno.test("openVaultSeal() never seals the same value to the same bytes, nor leaves it readable", async () => {
  const seal = await openVaultSeal(key, { repositoryKey: null });
  const [one, two] = [await seal.seal("hunter22", "a"), await seal.seal("hunter22", "a")];
  assert.notDeepEqual(one, two);
  assert.ok(!new TextDecoder().decode(one).includes("hunter22"));
});

Deno.test("openVaultSeal() refuses another key, another name, any changed byte and any cut", async () => {
  const seal = await openVaultSeal(key, { repositoryKey: null });
  const stranger = await openVaultSeal(other, { repositoryKey: null });
  const sealed = await seal.seal("hunter22", "vault/one");
  await assert.rejects(stranger.unseal(sealed, "vault/one"), withCode("key_wrong"));
  await assert.rejects(seal.unseal(sealed, "vault/two"), withCode("object_altered"));
  for (let at = 0; at < sealed.length; at++) {
    const changed = sealed.slice();
    changed[at]! ^= 1;
    const code = at >= 4 && at < 12 ? "key_wrong" : "object_altered";
    await assert.rejects(seal.unseal(changed, "vault/one"), withCode(code), `byte ${at}`);
    await assert.rejects(seal.unseal(sealed.subarray(0, at), "vault/one"), BackupError);
  }
});

Deno.test("openVaultSeal() wants 32 random bytes, and not the repository's key", async () => {
  for (
    const weak of ["", "a passphrase of some length", "your-key", toBase64(new Uint8Array(32))]
  ) {
    await assert.rejects(
      openVaultSeal(new Secret(weak), { repositoryKey: null }),
      withCode("key_weak"),
      weak,
    );
  }
  await assert.rejects(
    openVaultSeal(key, { repositoryKey: new Secret(toHex(bytes)) }),
    withCode("invalid_config"),
  );
});
