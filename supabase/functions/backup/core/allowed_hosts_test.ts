import assert from "node:assert/strict";
import {
  checkChannelHost,
  checkDatabaseHost,
  checkEndpoint,
  checkStorageHost,
  type HostRules,
} from "./allowed_hosts.ts";
import { BackupError } from "./errors.ts";
import { mergeSettings } from "./settings.ts";

const HOSTED: HostRules = { settings: {}, allowedHosts: null, hosted: true };

function storage(config: { endpoint?: string; region?: string }) {
  const patch = { backupStorageType: "s3", backupStorageConfig: { bucket: "b", ...config } };
  return mergeSettings([{ name: "rows", patch }]);
}

function allows(config: { endpoint?: string; region?: string }, rules: HostRules): boolean {
  try {
    checkStorageHost(storage(config), rules);
    return true;
  } catch (error) {
    assert.ok(error instanceof BackupError && error.code === "invalid_config", String(error));
    return false;
  }
}

Deno.test("checkStorageHost() allows only Amazon's hosts of the region when nothing is listed", () => {
  assert.equal(allows({}, HOSTED), true);
  const eu = "eu-west-1";
  assert.equal(
    allows({ region: eu, endpoint: "https://s3.eu-west-1.amazonaws.com" }, HOSTED),
    true,
  );
  for (
    const endpoint of [
      "https://s3.us-west-2.amazonaws.com",
      "http://s3.eu-west-1.amazonaws.com",
      "https://s3.eu-west-1.amazonaws.com:8443",
      "https://s3.eu-west-1.amazonaws.com.evil.example",
      "https://169.254.169.254",
      "http://127.0.0.1:9000",
      "https://user:password@s3.eu-west-1.amazonaws.com",
      "ftp://s3.eu-west-1.amazonaws.com",
    ]
  ) assert.equal(allows({ region: eu, endpoint }, HOSTED), false, endpoint);
});

Deno.test("checkStorageHost() allows this machine only where it is not the hosted runtime", () => {
  const here = { ...HOSTED, hosted: false };
  for (const endpoint of ["http://127.0.0.1:9000", "http://localhost:1", "http://[::1]:9000"]) {
    assert.equal(allows({ endpoint }, here), true, endpoint);
    assert.equal(allows({ endpoint }, HOSTED), false, endpoint);
  }
  assert.equal(allows({ endpoint: "http://10.0.0.1:9000" }, here), false);
});

Deno.test("checkStorageHost() holds to the list of the environment, and to nothing else", () => {
  const listed: HostRules = {
    ...HOSTED,
    allowedHosts: ["minio.example:9000", "*.r2.example", "plain.example"],
  };
  const expected: [string, boolean][] = [
    ["http://minio.example:9000", true],
    ["https://minio.example", false],
    ["https://account.r2.example", true],
    ["https://r2.example", false],
    ["https://evilr2.example", false],
    ["https://PLAIN.example", true],
    ["http://plain.example", false],
    ["https://s3.us-east-1.amazonaws.com", false],
  ];
  for (const [endpoint, allowed] of expected) {
    assert.equal(allows({ endpoint }, listed), allowed, endpoint);
  }
  assert.equal(allows({}, listed), false, "Amazon has to be listed as well");
});

Deno.test("checkStorageHost() does not question what the environment itself sets", () => {
  const endpoint = "http://10.0.0.1:9000";
  const rules = { ...HOSTED, settings: { backupStorageConfig: { bucket: "b", endpoint } } };
  assert.equal(allows({ endpoint }, rules), true);
});

Deno.test("checkStorageHost() knows the usual hosts of every kind, and none of Supabase", () => {
  const check = (backupStorageType: string, config: Record<string, string>, rules = HOSTED) => {
    const patch = { backupStorageType, backupStorageConfig: { bucket: "b", ...config } };
    const settings = mergeSettings([{ name: "rows", patch }]);
    try {
      checkStorageHost(settings, rules);
      return true;
    } catch (error) {
      assert.ok(error instanceof BackupError && error.code === "invalid_config", String(error));
      return false;
    }
  };
  assert.equal(check("gcs", {}), true);
  assert.equal(check("gcs", { endpoint: "https://gcs.example" }), false);
  assert.equal(check("azure", { account: "mine" }), true);
  assert.equal(check("azure", { endpoint: "https://mine.blob.core.windows.net" }), true);
  assert.equal(check("azure", { endpoint: "https://blob.core.windows.net.evil.example" }), false);
  assert.equal(check("azure", { endpoint: "http://mine.blob.core.windows.net" }), false);
  assert.equal(check("supabase", { endpoint: "https://other.supabase.co" }), false);
  const listed = { ...HOSTED, allowedHosts: ["other.supabase.co"] };
  assert.equal(check("supabase", { endpoint: "https://other.supabase.co" }, listed), true);
  assert.equal(check("gcs", {}, listed), false, "Google has to be listed as well");
});

Deno.test("checkStorageHost() trusts a destination of the environment only, whatever the storage's own place", () => {
  const endpoint = "http://10.0.0.1:9000";
  const destinations = [
    { name: "inside", type: "s3" as const, bucket: "b", endpoint },
    { name: "amazon", type: "s3" as const, bucket: "c" },
  ];
  const settings = mergeSettings([{ name: "rows", patch: { destinations } }]);
  const check = (destination: string, rules: HostRules) => () =>
    checkStorageHost(settings, rules, { destination });
  const bound = {
    backupStorageType: "s3" as const,
    backupStorageConfig: { bucket: "a", endpoint },
  };
  const rules = { ...HOSTED, settings: bound };
  assert.throws(check("inside", rules), { code: "invalid_config", message: /10\.0\.0\.1:9000/ });
  check("amazon", rules)();
  check("inside", { ...HOSTED, settings: { destinations } })();
  check("inside", { ...rules, allowedHosts: ["10.0.0.1:9000"] })();
  assert.throws(check("amazon", { ...rules, allowedHosts: ["10.0.0.1:9000"] }), BackupError);
  // And the other way round: a destination of the environment makes no row's storage trusted.
  const moved = mergeSettings([{ name: "rows", patch: bound }]);
  assert.throws(
    () => checkStorageHost(moved, { ...HOSTED, settings: { destinations } }),
    BackupError,
  );
});

Deno.test("checkEndpoint() looks at what a connection string names", () => {
  const patch = { backupStorageType: "azure", backupStorageConfig: { bucket: "b" } };
  const settings = mergeSettings([{ name: "rows", patch }]);
  checkStorageHost(settings, HOSTED);
  checkEndpoint("https://mine.blob.core.windows.net", { settings, rules: HOSTED });
  for (const endpoint of ["https://evil.example", "http://169.254.169.254", "http://127.0.0.1:1"]) {
    assert.throws(
      () => checkEndpoint(endpoint, { settings, rules: HOSTED }),
      BackupError,
      endpoint,
    );
  }
});

Deno.test("checkDatabaseHost() wants the host listed", () => {
  const rules = { ...HOSTED, allowedHosts: ["db.example", "db.example:6543"] };
  checkDatabaseHost({ host: "db.example", port: 5432 }, rules);
  checkDatabaseHost({ host: "DB.example", port: 6543 }, rules);
  assert.throws(() => checkDatabaseHost({ host: "db.example", port: 5433 }, rules), BackupError);
  assert.throws(() => checkDatabaseHost({ host: "127.0.0.1", port: 5432 }, rules), BackupError);
  assert.throws(() => checkDatabaseHost({ host: "127.0.0.1", port: 5432 }, HOSTED), BackupError);
});

Deno.test("settings of storage cannot carry parameters of their own into its address", () => {
  for (
    const config of [
      { bucket: "b?endpoint=http://169.254.169.254" },
      { bucket: "b/../../x" },
      { bucket: "b", prefix: "x?endpoint=http://169.254.169.254" },
      { bucket: "b", prefix: "x#y" },
      { bucket: "b", prefix: "../x" },
      { bucket: "b", region: "x.evil.example/" },
    ]
  ) {
    const patch = { backupStorageConfig: config };
    assert.throws(
      () => mergeSettings([{ name: "rows", patch }]),
      BackupError,
      JSON.stringify(config),
    );
  }
  const patch = {
    backupStorageConfig: { bucket: "my.bucket-1", prefix: "a/b=1/c", region: "eu-west-1" },
  };
  mergeSettings([{ name: "rows", patch }]);
});

Deno.test("checkChannelHost() allows a channel's own host, encrypted, and what is listed", () => {
  const isAllowed = (
    address: string,
    rules: HostRules,
    usualHost: string | null = "hooks.example",
  ) => {
    try {
      checkChannelHost(address, { name: "slack", usualHost }, rules);
      return true;
    } catch (error) {
      assert.ok(error instanceof BackupError && error.code === "invalid_config", String(error));
      assert.doesNotMatch(error.message, /token/);
      return false;
    }
  };
  assert.equal(isAllowed("https://hooks.example/token", HOSTED), true);
  for (
    const address of [
      "http://hooks.example/token",
      "https://hooks.example:8443/token",
      "https://hooks.example.evil/token",
      "https://user:token@hooks.example/",
      "https://169.254.169.254/token",
      "http://127.0.0.1/token",
      "ftp://hooks.example/token",
    ]
  ) assert.equal(isAllowed(address, HOSTED), false, address);
  assert.equal(isAllowed("https://hooks.example/token", HOSTED, null), false);
  const listed = { ...HOSTED, allowedHosts: ["receiver.example", "inside.example:8080"] };
  assert.equal(isAllowed("https://receiver.example/token", listed), true);
  assert.equal(isAllowed("http://inside.example:8080/token", listed), true);
  assert.equal(isAllowed("https://hooks.example/token", listed), false);
});
