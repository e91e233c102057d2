/**
 * The check of a provider, against servers that keep their promises and servers that do not.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { azureStorage } from "../../supabase/functions/backup/storage/azure.ts";
import { readAzureAccess } from "../../supabase/functions/backup/storage/azure_access.ts";
import {
  checkProvider,
  type ProviderFinding,
} from "../../supabase/functions/backup/storage/check_provider.ts";
import { gcsStorage } from "../../supabase/functions/backup/storage/gcs.ts";
import { readServiceAccount } from "../../supabase/functions/backup/storage/gcs_token.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { s3Storage } from "../../supabase/functions/backup/storage/s3.ts";
import type { ObjectLock, Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { startAzureServer } from "../support/azure_server.ts";
import { type GcsServer, startGcsServer } from "../support/gcs_server.ts";
import { type LockingS3Server, startLockingS3Server } from "../support/locking_s3_server.ts";
import { bytes, names } from "../support/storage_suite.ts";

const MINUTE_DAYS = 1 / 1440;
const ALL_WELL = {
  "read-after-write": "ok",
  "list-after-write": "ok",
  "clock": "ok",
  "write-once": "ok",
};

/** Worst severity by check. */
function severities(findings: readonly ProviderFinding[]): Record<string, string> {
  const order = ["ok", "note", "warning", "error"];
  const result: Record<string, string> = {};
  for (const { check, severity } of findings) {
    const before = result[check] ?? "ok";
    result[check] = order.indexOf(severity) > order.indexOf(before) ? severity : before;
  }
  return result;
}

function lockOf(mode: ObjectLock["mode"]): ObjectLock {
  return { mode, days: MINUTE_DAYS, legalHold: false };
}

function openS3(server: LockingS3Server, lock: ObjectLock | null = null): Storage {
  return s3Storage({
    ...{ bucket: "backups", prefix: "p/", region: "us-east-1", endpoint: server.endpoint },
    ...{ pathStyle: true, lock },
    credentials: { accessKeyId: "a", secretAccessKey: new Secret("s"), sessionToken: null },
  });
}

async function checkS3(
  setUp: (server: LockingS3Server) => void,
  mode: ObjectLock["mode"] = null,
): Promise<{ findings: ProviderFinding[]; severity: Record<string, string>; left: number }> {
  const server = startLockingS3Server();
  try {
    setUp(server);
    const locked = mode && openS3(server, lockOf(mode));
    const findings = await checkProvider({ storage: openS3(server), locked, clock: systemClock });
    const left = [...server.versions.values()].flat().filter((version) => version !== null).length;
    return { findings, severity: severities(findings), left };
  } finally {
    await server.close();
  }
}

Deno.test("checkProvider() finds nothing wrong with a bucket that is set up well, and leaves nothing", async () => {
  const { severity, left } = await checkS3(() => {});
  assert.deepEqual(severity, { ...ALL_WELL, rights: "note" });
  assert.equal(left, 0);
});

Deno.test("checkProvider() proves a lock, and says until when its probe stays", async () => {
  for (const mode of ["governance", "compliance"] as const) {
    const { findings, severity, left } = await checkS3(() => {}, mode);
    assert.deepEqual(severity, { ...ALL_WELL, rights: "note", lock: "ok" });
    assert.match(findings.at(-1)!.found, /stays locked until \d{4}-/);
    assert.equal(left, 1);
  }
});

Deno.test("checkProvider() warns of credentials that get round a lock, and removes the probe by them", async () => {
  const { findings, severity, left } = await checkS3(
    (server) => server.mayBypass = true,
    "governance",
  );
  assert.equal(severity.lock, "warning");
  assert.match(findings.at(-1)!.hint!, /compliance/);
  assert.equal(left, 0);
});

Deno.test("checkProvider() fails a lock that is only written down", async () => {
  const { severity } = await checkS3((server) => server.heedsLocks = false, "compliance");
  assert.equal(severity.lock, "error");
});

Deno.test("checkProvider() fails a lock in a bucket that was made without", async () => {
  const { findings, severity } = await checkS3(
    (server) => server.hasObjectLock = false,
    "governance",
  );
  assert.equal(severity.lock, "error");
  assert.match(findings.at(-1)!.found, /no object lock/);
});

Deno.test("checkProvider() warns of a server that ignores conditions", async () => {
  const { severity, left } = await checkS3((server) => server.heedsConditions = false);
  assert.equal(severity["write-once"], "warning");
  assert.equal(left, 1, "the version below the one that it removed");
});

Deno.test("checkProvider() warns of credentials that see other buckets", async () => {
  const all = await checkS3((server) => server.buckets = ["backups", "customers"]);
  assert.equal(all.severity.rights, "warning");
  const one = await checkS3((server) => server.buckets = ["backups"]);
  assert.equal(one.severity.rights, "note");
});

Deno.test("checkProvider() removes what an earlier check left, once its lock has ended", async () => {
  const server = startLockingS3Server();
  await openS3(server).put("probe/old", bytes(3));
  const held = openS3(server, lockOf("compliance"));
  await held.put("probe/held", bytes(3));
  const check = { storage: openS3(server), locked: null, clock: systemClock };
  const findings = await checkProvider(check);
  assert.deepEqual(await names(openS3(server), "probe/"), ["probe/held"]);
  assert.match(findings[0]!.found, /1 probes/);
  await server.close();
});

Deno.test("checkProvider() stops where nothing can be written, with the server's reason", async () => {
  const { findings, severity } = await checkS3((server) => {
    server.fault = () => new Response("<Error><Code>AccessDenied</Code></Error>", { status: 403 });
  });
  assert.equal(severity["read-after-write"], "error");
  assert.ok(findings.every(({ found }) => /access denied/.test(found)), JSON.stringify(findings));
});

/** A storage in memory with one fault, and the check that has to find it. */
const FAULTS: [string, string, string, (inner: Storage) => Partial<Storage>][] = [
  ["other bytes", "read-after-write", "error", () => ({ get: () => Promise.resolve(bytes(9)) })],
  ["an object that is not seen", "read-after-write", "error", () => ({
    head: () => Promise.resolve(null),
  })],
  ["a list that comes late", "list-after-write", "error", () => ({ async *list() {} })],
  ["an object written twice", "write-once", "error", (inner) => ({
    put: async (...put) => (await inner.put(...put), { created: true }),
  })],
  ["no right to delete", "rights", "error", () => ({
    delete: () => Promise.reject(new BackupError("storage_refused", "Cannot delete: no right")),
  })],
  ["a clock that is minutes off", "clock", "warning", (inner) => ({
    head: (name) => inner.head(name).then((head) => head && { ...head, modifiedAt: minutesAgo(2) }),
  })],
  ["a clock that is hours off", "clock", "error", (inner) => ({
    head: (name) =>
      inner.head(name).then((head) => head && { ...head, modifiedAt: minutesAgo(90) }),
  })],
];

function minutesAgo(minutes: number): Date {
  return new Date(Date.now() - minutes * 60_000);
}

for (const [what, check, expected, fault] of FAULTS) {
  Deno.test(`checkProvider() finds ${what}`, async () => {
    const inner = memoryStorage();
    const storage = { ...inner, ...fault(inner) };
    const findings = await checkProvider({ storage, locked: null, clock: systemClock });
    assert.equal(severities(findings)[check], expected, JSON.stringify(findings));
  });
}

function openGcs(server: GcsServer, lock: ObjectLock | null = null): Storage {
  const { endpoint, keyFile } = server;
  const account = readServiceAccount(new Secret(keyFile), { endpoint });
  return gcsStorage({ bucket: "backups", prefix: "p/", endpoint, account, lock });
}

Deno.test("checkProvider() proves retention in Google Cloud, and finds that it can be taken away", async () => {
  const server = await startGcsServer();
  for (const [mode, expected] of [["compliance", "ok"], ["governance", "warning"]] as const) {
    server.objects.clear();
    const locked = openGcs(server, lockOf(mode));
    const findings = await checkProvider({ storage: openGcs(server), locked, clock: systemClock });
    assert.deepEqual(severities(findings), { ...ALL_WELL, rights: "note", lock: expected });
    assert.equal(server.objects.size, mode === "compliance" ? 1 : 0);
  }
  await server.close();
});

Deno.test("checkProvider() says that an account's key of Azure opens all of it", async () => {
  const server = await startAzureServer();
  const { endpoint, account, key } = server;
  const access = readAzureAccess(new Secret(key), { account, endpoint });
  const container = await server.container();
  const storage = azureStorage({ container, prefix: "p/", access });
  // Azurite has no immutability: a lock that is set has to be found missing.
  const locked = azureStorage({ container, prefix: "p/", access, lock: lockOf("compliance") });
  const findings = await checkProvider({ storage, locked, clock: systemClock });
  assert.deepEqual(severities(findings), { ...ALL_WELL, rights: "warning", lock: "error" });
  await server.close();
});
