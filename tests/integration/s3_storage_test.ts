/**
 * The S3 storage against a real server.
 *
 * @module
 */
import assert from "node:assert/strict";
import { randomId } from "../../supabase/functions/backup/core/ids.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import {
  createRepository,
  openRepository,
} from "../../supabase/functions/backup/repository/mod.ts";
import { openStorage } from "../../supabase/functions/backup/storage/open.ts";
import { s3Storage } from "../../supabase/functions/backup/storage/s3.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { cuttingProxy } from "../support/cutting_proxy.ts";
import {
  noise,
  readSampleBackup,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../support/repository_samples.ts";
import { type S3Server, startS3Server } from "../support/s3_server.ts";
import { bytes, isCode, names, testStorage } from "../support/storage_suite.ts";

function open(server: S3Server, place: string): Storage {
  const credentials: Record<string, string> = server.credentials;
  const url = `s3://${place}?endpoint=${server.endpoint}&region=us-east-1`;
  return openStorage(url, (name) => credentials[name]);
}

// The server knows no conditional put, so of writers at one moment the last wins there, and it orders
// names by folder.
testStorage("s3Storage()", async () => {
  const server = await startS3Server();
  return {
    storage: open(server, "backups/some/prefix"),
    reopen: () => open(server, "backups/some/prefix"),
    close: () => server.close(),
  };
}, { createsOnce: false, listsInOrder: false });

Deno.test("the test server keeps nothing of an upload whose sender is gone", async () => {
  const server = await startS3Server();
  const { hostname, port, host } = new URL(server.endpoint);
  const sender = await Deno.connect({ hostname, port: Number(port) });
  const head = `PUT /backups/cut HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1000\r\n\r\n`;
  await sender.write(new TextEncoder().encode(`${head}the first of it`));
  await sender.closeWrite();
  await sender.read(new Uint8Array(1)); // its refusal: it is done with the request
  sender.close();
  assert.equal(await open(server, "backups").head("cut"), null);
  await server.close();
});

// The test server cannot list more than a page and knows no conditions: `storage/s3_test.ts` plays a server
// that does. A real one that has all of it is tried when it is given (credentials as AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY). Every test has a prefix of its own.
const REAL = Deno.env.get("TEST_S3_URL");
if (REAL === undefined) {
  Deno.test({
    name: "s3Storage() on a server with conditional puts (skipped: TEST_S3_URL names none)",
    ignore: true,
    fn: () => {},
  });
} else {
  const openReal = () => {
    const url = new URL(REAL);
    url.pathname = `${url.pathname.replace(/\/$/, "")}/test-${randomId(10)}`;
    const again = () => openStorage(url.href, (name) => Deno.env.get(name));
    const storage = again();
    return Promise.resolve({
      storage,
      reopen: again,
      async close() {
        for (const name of await names(storage, "")) await storage.delete(name);
      },
    });
  };
  testStorage("s3Storage() on the server of TEST_S3_URL", openReal);
  Deno.test("s3Storage() lists more names than one page holds", async () => {
    const { storage, close } = await openReal();
    const expected = Array.from({ length: 1003 }, (_, i) => `x/${String(i).padStart(5, "0")}`);
    for (let at = 0; at < expected.length; at += 20) {
      await Promise.all(expected.slice(at, at + 20).map((name) => storage.put(name, bytes(1))));
    }
    assert.deepEqual(await names(storage, "x/"), expected);
    await close();
  });
}

async function withServer(run: (server: S3Server) => Promise<void>): Promise<void> {
  const server = await startS3Server();
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

Deno.test("s3Storage() keeps to its prefix", () =>
  withServer(async (server) => {
    const [left, right] = [open(server, "backups/left"), open(server, "backups/right")];
    await right.put("other", bytes(1));
    const expected: string[] = [];
    for (let i = 0; i < 40; i++) expected.push(`x/${String(i).padStart(5, "0")}`);
    for (let at = 0; at < expected.length; at += 50) {
      await Promise.all(expected.slice(at, at + 50).map((name) => left.put(name, bytes(1))));
    }
    assert.deepEqual((await names(left, "")).toSorted(), expected);
    assert.deepEqual(await names(right, ""), ["other"]);
  }));

Deno.test("s3Storage() names a missing bucket and a wrong key", () =>
  withServer(async (server) => {
    const nowhere = open(server, "nowhere/x");
    await assert.rejects(nowhere.put("a", bytes(1)), isCode("storage_refused"));
    await assert.rejects(names(nowhere, ""), isCode("storage_refused"));
    const wrong = { ...server, credentials: { ...server.credentials, AWS_ACCESS_KEY_ID: "x" } };
    await assert.rejects(open(wrong, "backups").put("a", bytes(1)), isCode("storage_refused"));
  }));

Deno.test("s3Storage() calls a server that is not there unreachable", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const storage = s3Storage({
    bucket: "b",
    prefix: "",
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${port}`,
    pathStyle: true,
    credentials: { accessKeyId: "a", secretAccessKey: new Secret("s"), sessionToken: null },
  });
  await assert.rejects(storage.put("a", bytes(1)), isCode("storage_unreachable"));
});

// The client keeps connections, also to what stands in between.
const keeps = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "s3Storage() stores large objects whole though the connection is cut in mid-upload",
  keeps,
  () =>
    withServer(async (server) => {
      await using proxy = cuttingProxy(server.endpoint);
      const endpoint = proxy.url.replace(/\/$/, "");
      // In one request and in parts.
      for (const [name, length] of [["one", 7 << 20], ["parts", 17 << 20]] as const) {
        const cut = proxy.cutAfter(length / 2, "to-server");
        const body = bytes(length);
        const patient = open({ ...server, endpoint }, "backups/cut");
        assert.deepEqual(await patient.put(name, body), { created: true });
        await cut;
        const stored = await open(server, "backups/cut").get(name);
        assert.ok(stored.length === length && stored.every((byte, at) => byte === body[at]), name);
      }
    }),
);

Deno.test("a repository lives in a bucket", () =>
  withServer(async (server) => {
    const storage = open(server, "backups/repository");
    const repository = await createRepository({ storage, key: SAMPLE_KEY });
    const parts = [noise(9_000_000, 1), bytes(20)];
    const backupId = "backup_20260101T000000000Z_0000000001";
    await writeSampleBackup(repository, { backupId, parts });
    const again = await openRepository({ storage, key: SAMPLE_KEY });
    const [first, second] = await readSampleBackup(again, "latest");
    assert.equal(first?.length, parts[0]?.length);
    assert.ok(first?.every((byte, at) => byte === parts[0]?.[at]), "every byte of the large part");
    assert.deepEqual(second, parts[1]);
    assert.deepEqual((await again.verify({ level: "full" })).problems, []);
  }));
