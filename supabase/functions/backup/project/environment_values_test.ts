import assert from "node:assert/strict";
import { SETTING_VARIABLES, STORAGE_VARIABLES } from "../core/settings_variables.ts";
import { readVariables } from "./environment_values.ts";

function kept(variables: Record<string, string>, declared: string[] = []): string[] {
  const found = readVariables(Object.keys(variables), {
    variable: (name) => variables[name],
    declared,
  });
  return found.flatMap(({ name, value }) => value === null ? [] : [`${name}=${value}`]);
}

Deno.test("readVariables() keeps the values of this service's own settings but for keys", () => {
  const variables = Object.fromEntries(
    [...SETTING_VARIABLES, ...STORAGE_VARIABLES].map(([name, , form]) => [name, form]),
  );
  const names = kept(variables).map((line) => line.split("=")[0]!);
  const keys = Object.keys(variables).filter((name) => !names.includes(name));
  assert.ok(names.length > 50);
  assert.deepEqual(keys.filter((name) => variables[name] !== "secret"), []);
  assert.ok(keys.length > 8 && keys.includes("BACKUP_ENCRYPTION_KEY"));
});

Deno.test("readVariables() keeps no value of a variable that nobody declared harmless", () => {
  assert.deepEqual(kept({ GREETING: "hello", NODE_ENV: "production" }), []);
  assert.deepEqual(kept({ GREETING: "hello" }, ["GREETING"]), ["GREETING=hello"]);
});

Deno.test("readVariables() keeps no secret, even where it was declared harmless", () => {
  const variables = {
    BACKUP_ENCRYPTION_KEY: "short",
    BACKUP_STORAGE_SECRET_KEY: "short",
    BACKUP_MANAGEMENT_TOKEN: "short",
    DATABASE_URL: "short",
    STRIPE_API_KEY: "short",
    SMTP_PASSWORD: "short",
    SLACK_WEBHOOK_URL: "https://hooks.example/x",
    SOME_URL: "postgres://user:pass@host/db",
    OTHER_URL: "https://user@host/",
    NAME_OF_NOTHING: "sk_live_0123456789",
    ALSO_NOTHING: "eyJhbGciOiJIUzI1NiJ9.e30.x",
    RANDOM: "0123456789abcdef0123456789abcdef",
    PEM: "-----BEGIN PRIVATE " + "KEY-----",
  };
  assert.deepEqual(kept(variables, Object.keys(variables)), []);
});

Deno.test("readVariables() keeps no password that stands in an own setting's address", () => {
  assert.deepEqual(kept({ SUPABASE_URL: "https://user:word@x.supabase.co" }), []);
  assert.deepEqual(kept({ SUPABASE_URL: "https://x.supabase.co" }), [
    "SUPABASE_URL=https://x.supabase.co",
  ]);
});

Deno.test("readVariables() names every variable, those of the process that are known beside those of the list", () => {
  const found = readVariables(["B", "A"], {
    variable: (name) => name === "SB_REGION" ? "eu-central-1" : undefined,
    declared: [],
  });
  assert.deepEqual(found, [
    { name: "A", value: null },
    { name: "B", value: null },
    { name: "SB_REGION", value: "eu-central-1" },
  ]);
});
