/**
 * The storage in a bucket of Supabase against the stand-in of `tests/support/storage_server.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { MAX_STORED_BYTES } from "../../supabase/functions/backup/repository/object.ts";
import { retryStorage } from "../../supabase/functions/backup/storage/retry.ts";
import { supabaseStorage } from "../../supabase/functions/backup/storage/supabase.ts";
import { cuttingProxy } from "../support/cutting_proxy.ts";
import { LIMITS } from "../support/storage_refusals.ts";
import { type StorageFault, StorageServer } from "../support/storage_server.ts";
import { bytes, isCode, names, testStorage } from "../support/storage_suite.ts";

// One server for the file: the last test stops it.
const shared = { sanitizeOps: false, sanitizeResources: false };
let starting: Promise<StorageServer> | undefined;
const start = () => starting ??= StorageServer.start("destination");
let count = 0;

function open(server: StorageServer, { bucket = "backups", key = server.key } = {}) {
  const prefix = "some/prefix/";
  return supabaseStorage({ endpoint: server.url, bucket, prefix, key: new Secret(key) });
}

async function bucket(types: string[] = []): Promise<{ server: StorageServer; bucket: string }> {
  const server = await start();
  const name = `backups-${++count}`;
  await server.addBucket(name, types.length === 0 ? {} : { types });
  return { server, bucket: name };
}

testStorage("supabaseStorage()", async () => {
  const { server, bucket: name } = await bucket();
  const again = () => open(server, { bucket: name });
  return { storage: again(), reopen: again };
}, { sanitize: false });

Deno.test("supabaseStorage() lists more names than one page holds", shared, async () => {
  const { server, bucket: name } = await bucket();
  await server.session.query(
    `insert into storage.objects (bucket_id, name)
     select $1, 'some/prefix/x/' || lpad(i::text, 5, '0') from generate_series(0, 2099) i`,
    [name],
  );
  const expected = Array.from({ length: 2100 }, (_, i) => `x/${String(i).padStart(5, "0")}`);
  assert.deepEqual(await names(open(server, { bucket: name }), "x/"), expected);
});

Deno.test(
  "supabaseStorage() says no to a wrong key, a missing bucket, a forbidden type",
  shared,
  async () => {
    const { server, bucket: name } = await bucket(["image/png"]);
    const images = open(server, { bucket: name });
    await assert.rejects(images.put("a", bytes(1)), isCode("storage_refused"));
    for (const wrong of [open(server, { bucket: "nowhere" }), open(server, { key: "other" })]) {
      await assert.rejects(wrong.put("a", bytes(1)), isCode("storage_refused"));
      await assert.rejects(wrong.get("a"), isCode("storage_refused"));
      await assert.rejects(wrong.head("a"), isCode("storage_refused"));
    }
    await assert.rejects(names(open(server, { key: "other" }), ""), isCode("storage_refused"));
  },
);

const FAULTS: [string, StorageFault["answer"], string][] = [
  ["a busy server", { status: 503, body: "busy" }, "storage_unreachable"],
  ["too many requests", refused("429", "SlowDown"), "storage_unreachable"],
  ["a locked object", refused("423", "ResourceLocked"), "storage_unreachable"],
  ["a restricted project", { status: 402, body: "{}" }, "storage_full"],
  ["an object that is too large", refused("413", "EntityTooLarge"), "storage_refused"],
  ["an ended token", refused("403", "InvalidJWT"), "storage_refused"],
  ["an answer of a proxy", { status: 200, body: "<html>" }, "storage_unreachable"],
  [
    "a redirection",
    { status: 302, headers: { location: "http://127.0.0.1:1/" } },
    "storage_refused",
  ],
];

function refused(statusCode: string, code: string): NonNullable<StorageFault["answer"]> {
  return { status: 400, body: JSON.stringify({ statusCode, code, error: code, message: code }) };
}

for (const [what, answer, code] of FAULTS) {
  Deno.test(`supabaseStorage() makes ${code} of ${what}`, shared, async () => {
    const { server, bucket: name } = await bucket();
    server.faults.push({ request: /POST .*\/object\/backups/, answer: answer! });
    await assert.rejects(open(server, { bucket: name }).put("a", bytes(1)), isCode(code));
  });
}

Deno.test(
  "supabaseStorage() notices an answer that breaks off, and an object that stays",
  shared,
  async () => {
    const { server, bucket: name } = await bucket();
    const storage = open(server, { bucket: name });
    await storage.put("a", bytes(5000));
    server.faults.push({ request: /GET .*\/a$/, cutAfter: 100 });
    await assert.rejects(storage.get("a"), isCode("storage_unreachable"));
    server.faults.push({ request: /DELETE/, answer: { status: 200, body: "[]" } });
    await assert.rejects(storage.delete("a"), isCode("storage_refused"));
    assert.deepEqual(await storage.get("a"), bytes(5000));
  },
);

Deno.test(
  "supabaseStorage() stores objects whole though the connection is cut in mid-upload",
  shared,
  async () => {
    const { server, bucket: name } = await bucket();
    await using proxy = cuttingProxy(server.url);
    const key = new Secret(server.key);
    const endpoint = proxy.url.replace(/\/$/, "");
    const through = supabaseStorage({ endpoint, bucket: name, prefix: "some/prefix/", key });
    const cut = proxy.cutAfter(2 << 20, "to-server");
    const body = bytes(5 << 20);
    const patient = retryStorage(through, { firstDelayMs: 1 });
    assert.deepEqual(await patient.put("large", body), { created: true });
    await cut;
    const stored = await open(server, { bucket: name }).get("large");
    assert.ok(stored.length === body.length && stored.every((byte, at) => byte === body[at]));
  },
);

Deno.test(
  "supabaseStorage() says which object is over the 50 MB of a free plan",
  shared,
  async () => {
    const { server, bucket: name } = await bucket();
    const storage = open(server, { bucket: name });
    assert.ok(MAX_STORED_BYTES > LIMITS.standard, "only an unusually long list is that large");
    await assert.rejects(
      storage.put("a", new Uint8Array(LIMITS.standard + 1)),
      (error: BackupError) => {
        assert.equal(error.code, "storage_refused");
        assert.match(error.message, /store a of 52428801 bytes/);
        assert.match(error.hint!, /50 MB/);
        return true;
      },
    );
  },
);

Deno.test("the server stops", shared, async () => {
  await (await start())[Symbol.asyncDispose]();
});
