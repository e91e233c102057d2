import assert from "node:assert/strict";
import { isCode } from "../../../../tests/support/storage_suite.ts";
import { toBase64, toHex } from "../core/bytes.ts";
import { Secret } from "../core/secret.ts";
import { readKeyInput } from "./key_input.ts";

const KEY = new Uint8Array(32).map((_, i) => i * 7 + 1);

Deno.test("readKeyInput() reads 32 bytes as base64, URL-safe base64 and hexadecimal", () => {
  const base64 = toBase64(KEY);
  const forms = [base64, base64.replace("=", ""), toHex(KEY), toHex(KEY).toUpperCase()];
  forms.push(base64.replaceAll("+", "-").replaceAll("/", "_"), ` ${base64}\n`);
  for (const form of forms) {
    assert.deepEqual(readKeyInput(new Secret(form)), { kind: "key", bytes: KEY }, form);
  }
});

Deno.test("readKeyInput() takes other text as a passphrase", () => {
  assert.equal(readKeyInput(new Secret("a horse, a battery, a staple")).kind, "passphrase");
});

Deno.test("readKeyInput() refuses what protects nothing", () => {
  const weak = [
    "your-encryption-key-here",
    "your_32_byte_key_base64_encoded_value_here",
    "changeme-changeme",
    "<32 bytes as base64>",
    "0".repeat(64),
    toBase64(new Uint8Array(32).fill(7)),
    "short pass",
    "abababababababababab",
  ];
  for (const text of weak) {
    assert.throws(() => readKeyInput(new Secret(text)), isCode("key_weak"), text);
  }
  assert.throws(() => readKeyInput(new Secret("  ")), isCode("key_missing"));
});
