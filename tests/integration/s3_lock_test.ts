/**
 * Object lock, holds, storage classes and conditions of the S3 storage, against the stand-in of
 * `tests/support/locking_s3_server.ts`: no S3 server of npm enforces a lock.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { type S3Options, s3Storage } from "../../supabase/functions/backup/storage/s3.ts";
import {
  type LockingS3Server,
  s3Refusal,
  startLockingS3Server,
} from "../support/locking_s3_server.ts";
import { bytes, isCode, testStorage } from "../support/storage_suite.ts";

const DAY_MS = 86_400_000;

function open(server: LockingS3Server, options: Partial<S3Options> = {}) {
  return s3Storage({
    ...{ bucket: "backups", prefix: "p/", region: "us-east-1", endpoint: server.endpoint },
    ...{ pathStyle: true },
    credentials: { accessKeyId: "a", secretAccessKey: new Secret("s"), sessionToken: null },
    ...options,
  });
}

async function withServer(run: (server: LockingS3Server) => Promise<void>): Promise<void> {
  const server = startLockingS3Server();
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

testStorage("s3Storage() on a server with versions and conditions", () => {
  const server = startLockingS3Server();
  const storage = open(server, { lock: { mode: "governance", days: 1, legalHold: false } });
  return Promise.resolve({ storage, reopen: () => open(server), close: () => server.close() });
});

Deno.test("s3Storage() stores with lock, hold and class, in one request and in parts", () =>
  withServer(async (server) => {
    const lock = { mode: "compliance" as const, days: 30, legalHold: true };
    const storage = open(server, { lock, storageClass: "STANDARD_IA", multipartBytes: 1000 });
    const before = Date.now();
    await storage.put("small", bytes(10));
    await storage.put("large", bytes(2000));
    for (const name of ["p/small", "p/large"]) {
      const version = server.versions.get(name)!.at(-1)!;
      assert.equal(version.storageClass, "STANDARD_IA");
      assert.equal(version.isHeld, true);
      assert.equal(version.lock?.mode, "COMPLIANCE");
      const days = (version.lock!.until.getTime() - before) / DAY_MS;
      assert.ok(days >= 30 && days < 30.1, `${days} days`);
    }
  }));

Deno.test("s3Storage() makes a lock longer and never shorter", () =>
  withServer(async (server) => {
    const storage = open(server, { lock: { mode: "compliance", days: 30, legalHold: false } });
    await storage.put("a", bytes(1));
    const until = () => server.versions.get("p/a")!.at(-1)!.lock!.until;
    const later = new Date(Date.now() + 60 * DAY_MS);
    await storage.extendLock!(["a"], later);
    assert.deepEqual(until(), later);
    await storage.extendLock!(["a"], new Date(Date.now() + 40 * DAY_MS));
    assert.deepEqual(until(), later);
    await assert.rejects(storage.extendLock!(["none"], later), isCode("storage_missing"));
  }));

Deno.test("s3Storage() gives a lock and a hold to an object that was stored without them", () =>
  withServer(async (server) => {
    await open(server).put("a", bytes(1));
    const lock = { mode: "governance" as const, days: 1, legalHold: true };
    const until = new Date(Date.now() + DAY_MS);
    await open(server, { lock }).extendLock!(["a"], until);
    const version = server.versions.get("p/a")!.at(-1)!;
    assert.deepEqual(version.lock, { mode: "GOVERNANCE", until });
    assert.equal(version.isHeld, true);
  }));

Deno.test("s3Storage() locks nothing where nothing is said of locks", () =>
  withServer(async (server) => {
    const storage = open(server);
    assert.equal(storage.extendLock, undefined);
    assert.equal(storage.lock, undefined);
    await storage.put("a", bytes(1));
    const { headers } = server.asked.find(({ method }) => method === "PUT")!;
    assert.ok(![...headers.keys()].some((name) => /object-lock|storage-class/.test(name)));
  }));

Deno.test("s3Storage() says that a bucket has no object lock, and what to do", () =>
  withServer(async (server) => {
    server.hasObjectLock = false;
    const lock = { mode: "governance" as const, days: 1, legalHold: false };
    const storage = open(server, { lock });
    await assert.rejects(storage.put("a", bytes(1)), (error: BackupError) => {
      assert.equal(error.code, "storage_refused");
      assert.match(error.message, /no object lock/);
      assert.match(error.hint!, /versioning/);
      return true;
    });
  }));

const REFUSALS: [string, number, string, string, RegExp][] = [
  ["credentials that have ended", 400, "ExpiredToken", "storage_refused", /credentials have ended/],
  ["a key that is not known", 403, "InvalidAccessKeyId", "storage_refused", /access denied/],
  ["another region", 400, "AuthorizationHeaderMalformed", "storage_refused", /another region/],
  ["a redirection", 301, "PermanentRedirect", "storage_refused", /another (region|place)/],
  ["an archived object", 403, "InvalidObjectState", "storage_refused", /archive class/],
  ["a conflict", 409, "OperationAborted", "storage_unreachable", /busy/],
  ["too many requests", 429, "TooManyRequests", "storage_unreachable", /busy/],
  ["a request to slow down", 503, "SlowDown", "storage_unreachable", /busy/],
  ["a full bucket", 507, "XMinioStorageFull", "storage_full", /no room/],
  ["a used up quota", 403, "QuotaExceeded", "storage_full", /no room/],
];

for (const [what, status, code, expected, words] of REFUSALS) {
  Deno.test(`s3Storage() makes ${expected} of ${what}`, () =>
    withServer(async (server) => {
      const message = "the region 'us-east-1' is wrong; expecting 'eu-central-1'";
      server.fault = () => s3Refusal(status, code, message);
      await assert.rejects(open(server).get("a"), (error: BackupError) => {
        assert.equal(error.code, expected, error.message);
        assert.match(error.message, words);
        if (/region/.test(what)) assert.match(error.hint!, /eu-central-1/);
        return true;
      });
    }));
}
