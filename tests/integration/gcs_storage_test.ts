/**
 * The storage of Google Cloud against the stand-in of `tests/support/gcs_server.ts`: neither npm nor Debian
 * has a server of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { gcsStorage } from "../../supabase/functions/backup/storage/gcs.ts";
import { readServiceAccount } from "../../supabase/functions/backup/storage/gcs_token.ts";
import { retryStorage } from "../../supabase/functions/backup/storage/retry.ts";
import { cuttingProxy } from "../support/cutting_proxy.ts";
import { type GcsAsked, type GcsServer, refusal, startGcsServer } from "../support/gcs_server.ts";
import { bytes, isCode, names, testStorage } from "../support/storage_suite.ts";

function open(server: GcsServer, { bucket = "backups", keyFile = server.keyFile } = {}) {
  const { endpoint } = server;
  const account = readServiceAccount(new Secret(keyFile), { endpoint });
  return gcsStorage({ bucket, prefix: "some/prefix/", endpoint, account });
}

testStorage("gcsStorage()", async () => {
  const server = await startGcsServer();
  return { storage: open(server), reopen: () => open(server), close: () => server.close() };
});

async function withServer(run: (server: GcsServer) => Promise<void>): Promise<void> {
  const server = await startGcsServer();
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

const MIB = 1024 * 1024;
const isPiece = ({ method, url }: GcsAsked) =>
  method === "PUT" && url.searchParams.has("upload_id");

Deno.test("gcsStorage() goes on where an upload broke off, without sending again what is there", () =>
  withServer(async (server) => {
    let pieces = 0;
    // The second piece gets lost on the way; the server has kept the first.
    server.fault = (asked) =>
      isPiece(asked) && ++pieces === 2 ? refusal(503, "backendError", "") : null;
    const body = bytes(17 * MIB);
    assert.deepEqual(await open(server).put("large", body), { created: true });
    const ranges = server.asked.filter(isPiece).map(({ headers }) => headers.get("content-range"));
    assert.deepEqual(ranges, [
      "bytes 0-8388607/17825792",
      "bytes 8388608-16777215/17825792",
      "bytes */17825792",
      "bytes 8388608-16777215/17825792",
      "bytes 16777216-17825791/17825792",
    ]);
    const stored = server.objects.get("some/prefix/large")!.body;
    assert.ok(stored.every((byte, at) => byte === body[at]), "every byte");
  }));

Deno.test("gcsStorage() survives a connection that is cut in mid-upload", () =>
  withServer(async (server) => {
    await using proxy = cuttingProxy(server.endpoint);
    const endpoint = proxy.url.replace(/\/$/, "");
    const account = readServiceAccount(new Secret(server.keyFile), { endpoint: server.endpoint });
    const storage = gcsStorage({ bucket: "backups", prefix: "p/", endpoint, account });
    const cut = proxy.cutAfter(9 * MIB, "to-server");
    const patient = retryStorage(storage, { firstDelayMs: 1 });
    assert.deepEqual(await patient.put("large", bytes(17 * MIB)), { created: true });
    await cut;
    assert.equal(server.objects.get("p/large")!.body.length, 17 * MIB);
  }));

Deno.test("gcsStorage() begins an upload again that the server has forgotten, and gives up in the end", () =>
  withServer(async (server) => {
    const patient = retryStorage(open(server), { firstDelayMs: 1 });
    let forgotten = 0;
    server.fault = (asked) =>
      isPiece(asked) && forgotten++ === 0 ? refusal(404, "notFound", "No such upload") : null;
    assert.deepEqual(await patient.put("a", bytes(9 * MIB)), { created: true });
    // A server that takes pieces and keeps none of them.
    server.fault = (asked) => isPiece(asked) ? new Response(null, { status: 308 }) : null;
    await assert.rejects(open(server).put("b", bytes(9 * MIB)), isCode("storage_unreachable"));
    assert.equal(server.objects.has("some/prefix/b"), false);
  }));

Deno.test("gcsStorage() does not let an upload be sent to another host", () =>
  withServer(async (server) => {
    const location = "http://127.0.0.2:1/upload";
    server.fault = ({ url }) =>
      url.searchParams.get("uploadType") === "resumable"
        ? new Response(null, { headers: { location } })
        : null;
    await assert.rejects(open(server).put("a", bytes(9 * MIB)), isCode("storage_refused"));
  }));

Deno.test("gcsStorage() asks for a token once, and again when it is not taken any more", () =>
  withServer(async (server) => {
    const storage = open(server);
    await Promise.all(["a", "b", "c"].map((name) => storage.put(name, bytes(1))));
    const tokens = () => server.asked.filter(({ url }) => url.pathname === "/token").length;
    assert.equal(tokens(), 1);
    server.expire();
    assert.equal((await storage.get("a")).length, 1);
    assert.equal(tokens(), 2);
    server.fault = ({ url }) => url.pathname === "/token" ? null : refusal(401, "authError", "no");
    await assert.rejects(storage.get("a"), isCode("storage_refused"));
  }));

Deno.test("gcsStorage() says what is wrong with an account: key, clock, rights, bucket", () =>
  withServer(async (server) => {
    const clock = {
      now: () => new Date(Date.now() + 2 * 3_600_000),
      sleep: () => Promise.resolve(),
    };
    const account = readServiceAccount(new Secret(server.keyFile), server);
    const late = gcsStorage({ bucket: "backups", prefix: "", ...server, account, clock });
    await assert.rejects(late.get("a"), (error: BackupError) => {
      assert.equal(error.code, "storage_refused");
      assert.match(error.hint!, /clock/);
      return true;
    });
    const other = JSON.parse(server.keyFile);
    other.client_email = "gone@project.example";
    const gone = open(server, { keyFile: JSON.stringify(other) });
    await assert.rejects(gone.get("a"), isCode("storage_refused"));
    const broken = { ...other, private_key: "-----BEGIN PRIVATE KEY-----\nAAAA\n" };
    const unreadable = open(server, { keyFile: JSON.stringify(broken) });
    await assert.rejects(unreadable.get("a"), isCode("invalid_config"));
    const nowhere = open(server, { bucket: "nowhere" });
    for (
      const ask of [() => nowhere.get("a"), () => nowhere.head("a"), () => nowhere.delete("a")]
    ) {
      await assert.rejects(ask, isCode("storage_refused"));
    }
  }));

const REFUSALS: [number, string, string][] = [
  [403, "forbidden", "storage_refused"],
  [403, "rateLimitExceeded", "storage_unreachable"],
  [403, "quotaExceeded", "storage_full"],
  [403, "retentionPolicyNotMet", "storage_refused"],
  [404, "notFound", "storage_missing"],
  [408, "timeout", "storage_unreachable"],
  [409, "conflict", "storage_unreachable"],
  [429, "rateLimitExceeded", "storage_unreachable"],
  [500, "backendError", "storage_unreachable"],
  [503, "backendError", "storage_unreachable"],
  [400, "invalidArgument", "storage_refused"],
  [302, "found", "storage_refused"],
];

for (const [status, reason, code] of REFUSALS) {
  Deno.test(`gcsStorage() makes ${code} of ${status} ${reason}`, () =>
    withServer(async (server) => {
      server.fault = ({ url }) =>
        url.pathname === "/token" ? null : refusal(status, reason, reason);
      await assert.rejects(open(server).get("a"), isCode(code));
    }));
}

Deno.test("gcsStorage() makes storage_unreachable of an answer that is no JSON or breaks off", () =>
  withServer(async (server) => {
    const storage = open(server);
    await storage.put("a", bytes(5000));
    server.fault = () => new Response("<html>");
    await assert.rejects(names(storage, ""), isCode("storage_unreachable"));
    server.fault = () =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(bytes(100));
            controller.error(new Error("cut"));
          },
        }),
      );
    await assert.rejects(storage.get("a"), isCode("storage_unreachable"));
  }));

Deno.test("gcsStorage() lists more names than one page holds", () =>
  withServer(async (server) => {
    server.pageSize = 7;
    const expected = Array.from({ length: 30 }, (_, i) => `x/${String(i).padStart(3, "0")}`);
    for (const name of expected) await open(server).put(name, bytes(1));
    assert.deepEqual(await names(open(server), "x/"), expected);
  }));

Deno.test("gcsStorage() stores with class, retention and hold, and makes retention longer only", () =>
  withServer(async (server) => {
    const lock = { mode: "compliance" as const, days: 30, legalHold: true };
    const account = readServiceAccount(new Secret(server.keyFile), server);
    const storage = gcsStorage({
      ...{ bucket: "backups", prefix: "", endpoint: server.endpoint, account, lock },
      storageClass: "COLDLINE",
    });
    await storage.put("a", bytes(1));
    await storage.put("large", bytes(9 * MIB));
    for (const name of ["a", "large"]) {
      const { storageClass, retention, temporaryHold } = server.objects.get(name)!;
      assert.deepEqual([storageClass, retention?.mode, temporaryHold], [
        "COLDLINE",
        "Locked",
        true,
      ]);
    }
    await assert.rejects(storage.delete("a"), (error: BackupError) => {
      assert.match(error.message, /lock or a hold keeps/);
      return error.code === "storage_refused";
    });
    const later = new Date(Date.now() + 60 * 86_400_000);
    await storage.extendLock!(["a"], later);
    await storage.extendLock!(["a"], new Date(Date.now() + 86_400_000));
    assert.equal(server.objects.get("a")!.retention!.retainUntilTime, later.toISOString());
    await assert.rejects(storage.extendLock!(["none"], later), isCode("storage_missing"));
  }));
