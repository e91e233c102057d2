import assert from "node:assert/strict";
import { matchesRelation } from "./relations.ts";

Deno.test("matchesRelation() takes a bare pattern as a name in any schema", () => {
  assert.ok(matchesRelation(["log_*"], "app", "log_1"));
  assert.ok(!matchesRelation(["log_*"], "log_1", "app"));
});

Deno.test("matchesRelation() takes schema and name apart at any dot", () => {
  assert.ok(matchesRelation(["app.t"], "app", "t"));
  assert.ok(matchesRelation(["my.app.t"], "my.app", "t"));
  assert.ok(matchesRelation(["app.t.old"], "app", "t.old"));
  assert.ok(!matchesRelation(["app.t"], "other", "t"));
});

Deno.test("matchesRelation() takes nothing without patterns", () => {
  assert.ok(!matchesRelation([], "app", "t"));
});
