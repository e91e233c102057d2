import assert from "node:assert/strict";
import { parseDatabaseUrl, projectRefOf } from "./database_url.ts";

function pick(url: string) {
  const { host, port, user, password, database } = parseDatabaseUrl(url);
  return { host, port, user, password, database };
}

Deno.test("a full URL is taken apart", () => {
  assert.deepEqual(pick("postgresql://me:p%40ss@db.example:6543/shop?sslmode=require"), {
    host: "db.example",
    port: 6543,
    user: "me",
    password: "p@ss",
    database: "shop",
  });
  const target = parseDatabaseUrl(
    "postgres://h/d?sslmode=verify-full&sslrootcert=/ca.pem&application_name=a&options=-c%20x%3D1&connect_timeout=3",
  );
  assert.equal(target.sslMode, "verify-full");
  assert.equal(target.sslRootCert, "/ca.pem");
  assert.equal(target.applicationName, "a");
  assert.equal(target.options, "-c x=1");
  assert.equal(target.connectTimeoutMs, 3000);
});

Deno.test("what is left out has a default", () => {
  assert.deepEqual(pick("postgres://"), {
    host: "localhost",
    port: 5432,
    user: "postgres",
    password: undefined,
    database: "postgres",
  });
  assert.equal(parseDatabaseUrl("postgres://ann@h").database, "ann");
});

Deno.test("raw special characters in a password are understood where they can be", () => {
  assert.equal(pick("postgres://u:a@b@h/d").password, "a@b");
  assert.equal(pick("postgres://u:100%sure@h/d").password, "100%sure");
  assert.equal(pick("postgres://u:a/b?c@h/d").password, "a/b?c");
});

Deno.test("addresses of version 6 and unix sockets are understood", () => {
  assert.equal(pick("postgres://[::1]:5433/d").host, "::1");
  assert.equal(pick("postgres://[::1]:5433/d").port, 5433);
  assert.equal(pick("postgres://%2Fvar%2Frun/d").host, "/var/run");
  assert.equal(pick("postgres:///d?host=/var/run").host, "/var/run");
});

Deno.test("a wrong URL is refused without being shown", () => {
  const wrong = [
    "mysql://u:topsecret@h/d",
    "postgres://u:topsecret@h:0/d",
    "postgres://u:topsecret@h/d?sslmode=maybe",
    "postgres://u:topsecret@h1,h2/d",
  ];
  for (const url of wrong) {
    assert.throws(
      () => parseDatabaseUrl(url),
      (error: Error & { code?: string; hint?: string }) => {
        assert.equal(error.code, "invalid_config");
        return !`${error.message}${error.hint}`.includes("topsecret");
      },
    );
  }
});

Deno.test("projectRefOf() knows a project by its host and by its pooler's user, and nothing else", () => {
  const ref = "abcdefghijklmnopqrst";
  const of = (url: string) => projectRefOf(parseDatabaseUrl(url));
  assert.equal(of(`postgres://postgres:x@db.${ref}.supabase.co:5432/postgres`), ref);
  assert.equal(of(`postgres://postgres.${ref}:x@aws-0-eu.pooler.supabase.com:6543/postgres`), ref);
  assert.equal(of(`postgres://postgres.${ref}:x@example.com/postgres`), null);
  assert.equal(of(`postgres://postgres:x@db.${ref}.supabase.co.example.com/postgres`), null);
});
