import assert from "node:assert/strict";
import { matchesPattern, matchesTable } from "./match_pattern.ts";

Deno.test("matchesPattern() knows * and ?, and takes all else as it is", () => {
  assert.ok(matchesPattern("app_*", "app_one"));
  assert.ok(matchesPattern("a?c", "a𝄞c"), "one character, however it is encoded");
  assert.ok(matchesPattern("a*c", "a\nc"));
  assert.ok(!matchesPattern("a.c", "abc"));
  assert.ok(!matchesPattern("app", "my app"));
  assert.ok(matchesPattern("(a)[b]{1}^$|\\+", "(a)[b]{1}^$|\\+"));
});

Deno.test("matchesTable() compares names without their quotes", () => {
  assert.ok(matchesTable(["other.*", "public.orders"], '"public"."orders"'));
  assert.ok(matchesTable(['public.say "hi"'], '"public"."say ""hi"""'));
  assert.ok(!matchesTable(["public.order"], '"public"."orders"'));
  assert.ok(!matchesTable(["orders"], '"public"."orders"'), "a pattern says the schema too");
  assert.ok(!matchesTable([], '"public"."orders"'));
});
