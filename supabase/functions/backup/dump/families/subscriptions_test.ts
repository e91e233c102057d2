import assert from "node:assert/strict";
import { withoutPassword } from "./subscriptions.ts";

Deno.test("a password leaves a connection string in key and value form", () => {
  assert.equal(withoutPassword("host=a password='x \\' y' user=u"), "host=a user=u");
  assert.equal(withoutPassword("password = secret host=a"), "host=a");
  assert.equal(withoutPassword("host=a sslpassword=z"), "host=a");
});

Deno.test("a password leaves a connection URI", () => {
  assert.equal(withoutPassword("postgresql://u:secret@h:5432/d"), "postgresql://u@h:5432/d");
  assert.equal(
    withoutPassword("postgres://u@h/d?password=s&sslmode=require"),
    "postgres://u@h/d?sslmode=require",
  );
  assert.equal(
    withoutPassword("postgres://u@h/d?sslmode=require&password=s"),
    "postgres://u@h/d?sslmode=require",
  );
});

Deno.test("a string without a password stays as it is", () => {
  assert.equal(withoutPassword("host=a user=passwordless"), "host=a user=passwordless");
});
