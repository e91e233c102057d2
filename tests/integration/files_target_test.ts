import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type {
  ItemResult,
  ItemStep,
  ItemTarget,
  OpenContent,
  SavedItem,
} from "../../supabase/functions/backup/core/items.ts";
import type { Json } from "../../supabase/functions/backup/core/part.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { filesSource } from "../../supabase/functions/backup/project/files_source.ts";
import {
  filesTarget,
  type FilesTargetOptions,
} from "../../supabase/functions/backup/project/files_target.ts";
import { cuttingProxy } from "../support/cutting_proxy.ts";
import { type SavedFiles, saveFiles, SIGNAL } from "../support/saved_files.ts";
import { StorageServer } from "../support/storage_server.ts";

const STEP = 6 * 1024 * 1024;

function target(server: StorageServer, more: Partial<FilesTargetOptions> = {}): ItemTarget {
  return filesTarget({
    ...{ api: server.api(), onExisting: "replace", database: null, ownersAndTimes: false, ...more },
  });
}

async function save(server: StorageServer): Promise<SavedFiles> {
  const { session: database } = server;
  return await saveFiles(filesSource({ api: server.api(), projectRef: "ref", database }));
}

/** Plans and does all steps, each as often as it pauses. */
async function restore(
  into: ItemTarget,
  { items, open }: SavedFiles,
  maxBytes = Infinity,
): Promise<ItemResult[]> {
  const results: ItemResult[] = [];
  for (const step of await into.plan(items, SIGNAL)) {
    const item = items.find(({ key }) => key === step.key)!;
    let result: ItemResult;
    let resume: Json = null;
    do {
      result = await into.apply(step, { item, open, resume, maxBytes, signal: SIGNAL });
      resume = JSON.parse(JSON.stringify(result.resume ?? null)) as Json;
    } while (result.outcome === "paused");
    results.push(result);
  }
  return results;
}

/** An object that is not stored anywhere: as many bytes of one value as are asked for. */
function made(key: string, bytes: number, facts = {}): { item: SavedItem; open: OpenContent } {
  const content = { name: "object", bytes, sha256: null, pieces: [] };
  const savedAt = new Date(0).toISOString();
  return {
    item: { key, revision: "v", facts, sizeBytes: bytes, contents: [content], savedAt },
    async *open(_, { from } = { from: 0 }) {
      for (let at = from; at < bytes; at += 1 << 20) {
        yield new Uint8Array(Math.min(1 << 20, bytes - at));
      }
    },
  };
}

function create(key: string): ItemStep {
  return { key, action: "create", title: `store ${key}` };
}

function code(expected: string, words = /./): (error: unknown) => boolean {
  return (error) => {
    const { code, message, hint } = error as BackupError;
    assert.equal(code, expected, String(error));
    assert.match(message, words);
    assert.ok(hint, "no hint");
    return true;
  };
}

Deno.test("files come back in another project with all that is stored beside them", async () => {
  await using source = await StorageServer.start("files_from");
  await using other = await StorageServer.start("files_to");
  await source.addBucket("docs", { types: ["text/*"] });
  await source.addBucket("empty", { public: true });
  await source.put("docs", "a folder/it's (1).txt", "hello", {
    ...{ mimetype: "text/html", cacheControl: "max-age=60", robots: "noindex" },
    ...{ userMetadata: { b: "ü", a: [1, { c: null }] }, owner: "someone" },
  });
  await source.put("docs", "nothing", "");
  const saved = await save(source);
  const results = await restore(target(other), saved);
  assert.deepEqual(results.map(({ key, outcome, checked }) => [key, outcome, checked]), [
    ["docs", "done", "the bucket has the settings of the backup"],
    ["empty", "done", "the bucket has the settings of the backup"],
    [
      "docs/a folder/it's (1).txt",
      "done",
      "length and MD5 match; it belongs to nobody, which only the database can change",
    ],
    ["docs/nothing", "done", "length and MD5 match"],
  ]);
  const before = await source.row("docs", "a folder/it's (1).txt");
  const after = await other.row("docs", "a folder/it's (1).txt");
  const { lastModified: _, ...metadata } = before!.metadata;
  const { lastModified: __, ...restored } = after!.metadata;
  assert.deepEqual(restored, metadata);
  assert.deepEqual(after!.user_metadata, before!.user_metadata);
  const again = await target(other).plan(saved.items, SIGNAL);
  assert.deepEqual(again.map(({ action }) => action), ["keep", "keep", "keep", "keep"]);
});

Deno.test("what is there already is kept or replaced, as asked, and the plan shows the difference", async () => {
  await using server = await StorageServer.start("files_existing");
  await server.addBucket("b", { public: true });
  for (const name of ["changed", "retyped", "same"]) await server.put("b", name, name);
  const saved = await save(server);
  await server.session.execute(
    `update storage.buckets set public = false, file_size_limit = 5000000`,
  );
  await server.put("b", "changed", "otherwise");
  await server.put("b", "retyped", "retyped", { mimetype: "image/png" });
  for (const database of [null, server.session]) {
    const [bucket, changed, retyped, same] = await target(server, { database }).plan(
      saved.items,
      SIGNAL,
    );
    assert.deepEqual([bucket, changed, retyped, same].map((step) => step!.action), [
      ...["replace", "replace", "replace", "keep"],
    ]);
    assert.deepEqual(bucket!.difference, {
      public: { now: false, backup: true },
      fileSizeLimit: { now: 5_000_000, backup: null },
    });
    assert.deepEqual(retyped!.difference, { mimetype: { now: "image/png", backup: "text/plain" } });
    assert.equal(changed!.hazards!.length, 1);
    assert.equal(bucket!.hazards!.length, 1);
  }
  const skipping = target(server, { onExisting: "skip" });
  const skipped = await restore(skipping, saved);
  assert.deepEqual(skipped.map(({ outcome }) => outcome), ["kept", "kept", "kept", "kept"]);
  assert.deepEqual(await server.bytes("b", "changed"), {
    bytes: new TextEncoder().encode("otherwise"),
  });
  await restore(target(server), saved);
  assert.deepEqual(await server.bytes("b", "changed"), {
    bytes: new TextEncoder().encode("changed"),
  });
  const after = await target(server).plan(saved.items, SIGNAL);
  assert.ok(after.every(({ action }) => action === "keep"));
});

Deno.test("an object whose row came back without its bytes is stored again", async () => {
  await using server = await StorageServer.start("files_rows");
  await server.addBucket("b");
  for (const name of ["gone", "kept", "unreadable"]) await server.put("b", name, `${name} bytes`);
  const saved = await save(server);
  for (const key of server.store.keys()) {
    if (key.startsWith("b/gone/")) server.store.delete(key);
  }
  // As a server says it that keeps its bytes as files.
  const answer = {
    status: 500,
    body: '{"statusCode":"500","error":"Internal","message":"ENOENT"}',
  };
  server.faults.push({ request: /^GET .*\/b\/unreadable$/, times: 3, answer });
  const into = target(server, { database: server.session });
  const steps = await into.plan(saved.items, SIGNAL);
  assert.deepEqual(steps.map(({ key, action, hazards }) => [key, action, hazards ?? []]), [
    ["b", "keep", []],
    ["b/gone", "replace", []],
    ["b/kept", "keep", []],
    ["b/unreadable", "replace", []],
  ]);
  await restore(into, saved);
  assert.deepEqual(await server.bytes("b", "gone"), {
    bytes: new TextEncoder().encode("gone bytes"),
  });
});

Deno.test("an object that comes into being after the plan is not overwritten where that was not asked", async () => {
  await using server = await StorageServer.start("files_meanwhile");
  await server.addBucket("b");
  await server.put("b", "o", "ours");
  await server.put("b", "large", { zeros: 2 * STEP });
  const saved = await save(server);
  const work = (key: string) => ({
    ...{ item: saved.items.find((item) => item.key === key)!, open: saved.open, resume: null },
    ...{ maxBytes: Infinity, signal: SIGNAL },
  });
  const into = target(server, { onExisting: "skip" });
  // The answer to an earlier try was lost: what is there is what was to be stored.
  const own = await into.apply(create("b/o"), work("b/o"));
  assert.equal(own.outcome, "done");
  await server.put("b", "o", "theirs");
  await server.put("b", "large", { zeros: STEP });
  for (const key of ["b/o", "b/large"]) {
    const result = await into.apply(create(key), work(key));
    assert.deepEqual([result.outcome, result.checked], [
      "kept",
      "another object has taken the name meanwhile",
    ]);
  }
});

Deno.test("a large object is uploaded in steps of 6 MB, and gone on with by others", async () => {
  await using server = await StorageServer.start("files_steps");
  await server.addBucket("b");
  const size = 4 * STEP + 5;
  const bytes = new Uint8Array(size).map((_, at) => (at * 7) % 251);
  await server.put("b", "o", { bytes }, {
    ...{ mimetype: "video/mp4", cacheControl: "max-age=60", userMetadata: { cut: "director's" } },
  });
  const saved = await save(server);
  await server.remove("b", "o");
  let applied = 0;
  let resume: Json = null;
  let result: ItemResult;
  const item = saved.items[1]!;
  do {
    // Every time another worker, which knows nothing but what the one before has left.
    const work = { item, open: saved.open, resume, maxBytes: STEP, signal: SIGNAL };
    result = await target(server).apply(create("b/o"), work);
    resume = JSON.parse(JSON.stringify(result.resume ?? null)) as Json;
    applied += 1;
  } while (result.outcome === "paused");
  assert.equal(applied, 5);
  assert.equal(result.checked, "length and MD5 match");
  const stored = await server.bytes("b", "o");
  assert.ok(stored !== null && "bytes" in stored);
  assert.equal(md5(stored.bytes), md5(bytes));
  const { metadata, user_metadata } = (await server.row("b", "o"))!;
  assert.deepEqual([metadata.mimetype, metadata.cacheControl], ["video/mp4", "max-age=60"]);
  assert.deepEqual(user_metadata, { cut: "director's" });
});

Deno.test("a step whose answer is lost, and one whose connection breaks, are gone on with", async () => {
  await using server = await StorageServer.start("files_lost");
  await using proxy = cuttingProxy(server.url);
  await server.addBucket("b");
  const { item, open } = made("b/o", 3 * STEP);
  server.faults.push({ request: /^PATCH/, loseAnswer: true });
  const cut = proxy.cutAfter(STEP + STEP / 2, "to-server");
  const api = server.api({ url: proxy.url.replace(/\/$/, "") });
  const work = { item, open, resume: null, maxBytes: Infinity, signal: SIGNAL };
  const result = await target(server, { api }).apply(create("b/o"), work);
  await cut;
  assert.equal(result.outcome, "done");
  assert.deepEqual(await server.bytes("b", "o"), { zeros: 3 * STEP });
});

Deno.test("an upload that the server has forgotten begins again, but not for ever", async () => {
  await using server = await StorageServer.start("files_forgotten");
  await server.addBucket("b");
  const { item, open } = made("b/o", 2 * STEP, { eTag: "0".repeat(32) });
  const into = target(server);
  const work = { item, open, resume: null, maxBytes: STEP, signal: SIGNAL };
  const paused = await into.apply(create("b/o"), work);
  assert.equal(paused.outcome, "paused");
  server.forgetUploads();
  const resumed = await into.apply(create("b/o"), {
    ...work,
    resume: paused.resume!,
    maxBytes: Infinity,
  });
  assert.equal(resumed.outcome, "done");
  server.faults.push({ request: /^PATCH/, times: 99, answer: { status: 410 } });
  await assert.rejects(into.apply(create("b/o"), work), code("files_refused", /forgot/));
});

Deno.test("what an upload in steps cannot carry is told", async () => {
  await using server = await StorageServer.start("files_carry");
  await server.addBucket("b");
  const { item, open } = made("b/o", STEP + 1, {
    ...{ cacheControl: "private, max-age=5", robots: "none", mimetype: "text/plain" },
  });
  const work = { item, open, resume: null, maxBytes: Infinity, signal: SIGNAL };
  const { outcome, checked } = await target(server).apply(create("b/o"), work);
  assert.equal(outcome, "done");
  assert.match(checked!, /cache control is no-cache, not private, max-age=5; the rule for robots/);
});

Deno.test("objects that the target refuses say why", async () => {
  await using server = await StorageServer.start("files_refused");
  await server.addBucket("b");
  await server.addBucket("pictures", { types: ["image/*"] });
  const into = target(server);
  const apply = (key: string, bytes: number) => {
    const { item, open } = made(key, bytes, { mimetype: "text/plain" });
    return into.apply(create(key), {
      item,
      open,
      resume: null,
      maxBytes: Infinity,
      signal: SIGNAL,
    });
  };
  for (const bytes of [5, STEP + 1]) {
    await assert.rejects(apply("b/日本", bytes), code("files_refused", /name/));
    await assert.rejects(apply("pictures/o", bytes), code("files_refused", /media type/));
    await assert.rejects(apply("none/o", bytes), code("files_refused", /no such bucket/));
  }
  await assert.rejects(apply("b/o", 7 * 1024 ** 3), code("files_full", /larger/));
  await server.session.execute(`update storage.buckets set file_size_limit = 4`);
  await assert.rejects(apply("b/o", 5), code("files_full", /larger/));
  const quota = { status: 402, body: `{"message":"quota exceeded"}` };
  server.faults.push({ request: /^POST \/object/, answer: quota });
  await assert.rejects(apply("b/o", 3), code("files_full", /quota/));
  server.faults.push({ request: /^POST \/object/, times: 9, answer: { status: 503 } });
  await assert.rejects(apply("b/o", 3), code("files_unreachable"));
  server.faults.splice(0);
  server.faults.push({ request: /^POST \/object/, times: 2, answer: { status: 429 } });
  assert.equal((await apply("b/o", 3)).outcome, "done");
  server.faults.push({ request: /^POST \/object/, loseAnswer: true });
  assert.equal((await apply("b/p", 3)).outcome, "done");
});

Deno.test("an object that is not stored as it was sent is an error", async () => {
  await using server = await StorageServer.start("files_otherwise");
  await server.addBucket("b");
  const { item, open } = made("b/o", 5);
  server.faults.push({
    request: /^GET \/object\/info/,
    before: () => server.put("b", "o", "OTHER"),
  });
  const work = { item, open, resume: null, maxBytes: Infinity, signal: SIGNAL };
  await assert.rejects(target(server).apply(create("b/o"), work), code("files_damaged"));
});

Deno.test("owners and times come back where the database is given and it is asked for", async () => {
  await using source = await StorageServer.start("files_owners_from");
  await using other = await StorageServer.start("files_owners_to");
  await source.addBucket("b");
  const owner = "b5c8a1f0-0000-4000-8000-000000000001";
  await source.put("b", "it's", "owned", { owner });
  const saved = await save(source);
  const database = await connect({ url: other.databaseUrl });
  try {
    const results = await restore(target(other, { database, ownersAndTimes: true }), saved);
    assert.equal(results[1]!.checked, "length and MD5 match");
  } finally {
    await database.close();
  }
  const [before, after] = [await source.row("b", "it's"), await other.row("b", "it's")];
  assert.deepEqual([after!.owner_id, after!.owner], [owner, owner]);
  assert.deepEqual([after!.created_at, after!.updated_at], [
    before!.created_at,
    before!.updated_at,
  ]);
  assert.throws(() => target(other, { ownersAndTimes: true }), code("invalid_config"));
});

Deno.test("an item that the backup has no bytes of is for a person to supply", async () => {
  await using server = await StorageServer.start("files_by_hand");
  const failure = { code: "files_damaged", message: "gone" };
  const item = { ...made("b/o", 5).item, contents: [], failure };
  const [step] = await target(server).plan([item], SIGNAL);
  assert.equal(step!.action, "by-hand");
});

function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
}
