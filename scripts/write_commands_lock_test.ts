import assert from "node:assert/strict";
import { lockOf } from "./write_commands_lock.ts";

const whole = {
  version: "4",
  specifiers: { "npm:@a/one@1.0.0": "1.0.0_peer@3.0.0", "npm:test@9.0.0": "9.0.0" },
  npm: {
    "@a/one@1.0.0_peer@3.0.0": { integrity: "1", dependencies: ["two", "twice@1.0.0"] },
    "two@2.0.0": { integrity: "2", dependencies: ["@a/one@1.0.0_peer@3.0.0"] },
    "twice@1.0.0_peer@3.0.0": { integrity: "3" },
    "twice@2.0.0": { integrity: "4" },
    "test@9.0.0": { integrity: "5", dependencies: ["two", "twice@2.0.0"] },
  },
};

Deno.test("lockOf() has the packages with all that they depend on, and nothing else", () => {
  const lock = lockOf(whole, new Set(["@a/one"]));
  assert.deepEqual(lock.specifiers, { "npm:@a/one@1.0.0": "1.0.0_peer@3.0.0" });
  assert.deepEqual(Object.keys(lock.npm), [
    "@a/one@1.0.0_peer@3.0.0",
    "two@2.0.0",
    "twice@1.0.0_peer@3.0.0",
  ]);
  assert.equal(lock.npm["two@2.0.0"]?.integrity, "2");
});

Deno.test("lockOf() refuses a lock that lacks a package, or what one depends on", () => {
  assert.throws(() => lockOf(whole, new Set(["absent"])), /absent/);
  const { "two@2.0.0": _, ...npm } = whole.npm;
  assert.throws(() => lockOf({ ...whole, npm }, new Set(["@a/one"])), /two/);
});
