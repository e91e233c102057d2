/**
 * What is listed and saved of Storage's files, and what is not read again.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  compareKeys,
  type KeyRange,
  type RangedItem,
} from "../../supabase/functions/backup/core/items.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { byApi, bySql, md5 } from "../support/file_sources.ts";
import { backUpItems } from "../support/memory_items.ts";
import { bytesOf, listAll, saveFiles, SIGNAL } from "../support/saved_files.ts";
import { StorageServer } from "../support/storage_server.ts";

const ODD_NAMES = [
  "plain.txt",
  "a folder/with spaces (1).txt",
  "é/日本語/🎉.txt",
  "what?#%25&+=.txt",
  "double//slash",
  "climbs/../out",
  "./here",
  "trailing/",
  "x".repeat(1024),
];

Deno.test("files of any name are saved with their bytes and all that is stored beside them", async () => {
  await using server = await StorageServer.start("files_names");
  await server.addBucket("public images", { public: true, types: ["image/*"] });
  await server.addBucket("docs");
  await server.put("docs", "out", "another object, which `climbs/../out` would lead to");
  for (const name of ODD_NAMES) await server.put("docs", name, `content of ${name}`);
  await server.put("docs", "empty", "");
  await server.put("docs", "page.html", "<p>", {
    mimetype: "text/html; charset=utf-8",
    cacheControl: "max-age=60",
    userMetadata: { author: "Zoë" },
    owner: "b5c8a1f0-0000-4000-8000-000000000001",
    robots: "noindex",
  });
  const { items, open } = await saveFiles(bySql(server));
  assert.deepEqual(items.filter(({ failure }) => failure !== undefined), []);
  assert.equal(items.length, 2 + ODD_NAMES.length + 3);
  for (const name of [...ODD_NAMES, "empty"]) {
    const item = items.find(({ key }) => key === `docs/${name}`)!;
    const text = new TextDecoder().decode(await bytesOf(open(item.contents[0]!)));
    assert.equal(text, name === "empty" ? "" : `content of ${name}`);
  }
  const page = items.find(({ key }) => key === "docs/page.html")!.facts;
  assert.equal(page.mimetype, "text/html; charset=utf-8");
  assert.equal(page.cacheControl, "max-age=60");
  assert.deepEqual(page.userMetadata, { author: "Zoë" });
  assert.equal(page.owner, "b5c8a1f0-0000-4000-8000-000000000001");
  assert.equal(page.robots, "noindex");
  assert.equal(page.eTag, md5(new TextEncoder().encode("<p>")));
  assert.match(String(page.createdAt), /^20\d\d-/);
  const bucket = items.find(({ key }) => key === "public images")!;
  assert.equal(bucket.facts.public, true);
  assert.deepEqual(bucket.facts.allowedMimeTypes, ["image/*"]);
});

Deno.test("a name of dots alone is told of, and nothing else is read in its place", async () => {
  await using server = await StorageServer.start("files_dots");
  await server.addBucket("b");
  await server.put("b", "..", "unreachable");
  await server.put("b", "fine", "reachable");
  const { items } = await saveFiles(bySql(server));
  assert.deepEqual(items.map(({ key, failure }) => [key, failure?.code]), [
    ["b", undefined],
    ["b/..", "files_refused"],
    ["b/fine", undefined],
  ]);
});

Deno.test("listing by SQL in small pages, by SQL at once and by the API finds the same items", async () => {
  await using server = await StorageServer.start("files_pages");
  for (const bucket of ["a", "a-b", "empty", "z"]) await server.addBucket(bucket);
  for (const name of ["B", "a", "a/b", "a-b", "ä", "🎉", "\uffee"]) {
    await server.put("a", name, name);
    await server.put("a-b", name, name);
  }
  await server.put("z", "last", "z");
  const whole = await listAll(bySql(server));
  assert.equal(whole.length, 4 + 15);
  for (const pageItems of [1, 2, 5]) {
    assert.deepEqual(await listAll(bySql(server, pageItems)), whole);
  }
  const told = await listAll(byApi(server));
  assert.deepEqual(told.map(({ key }) => key), whole.map(({ key }) => key));
  const saved = await saveFiles(byApi(server));
  assert.deepEqual(saved.items.filter(({ failure }) => failure !== undefined), []);
});

Deno.test("the database's digests of runs of keys are those of what it lists, wherever they begin", async () => {
  await using server = await StorageServer.start("files_digests");
  for (const bucket of ["a", "a b", "a-b", "empty", "z"]) await server.addBucket(bucket);
  for (const name of ["B", "a", "a/b", "a-b", "ä", "🎉", "\uffee", 'q"\\,{}']) {
    for (const bucket of ["a", "a b", "a-b"]) await server.put(bucket, name, name);
  }
  await server.put("z", "last", "z");
  const keys = (await listAll(bySql(server))).map(({ key }) => key);
  const listing = (await bySql(server, 3).ranged!(SIGNAL))!;
  const list = async (range: KeyRange) => {
    const all: RangedItem[] = [];
    for (let from = range.from;; from = all.at(-1)!.key) {
      const { items, end } = await listing.list({ from, upTo: range.upTo }, SIGNAL);
      all.push(...items);
      if (end) return all;
    }
  };
  // Borders at buckets, at objects, between them, at what is not there, and at both ends.
  for (const step of [1, 2, 5, 11]) {
    const borders = [...keys.filter((_, at) => at % step === 0), "a-b/0", "m", "zz"]
      .sort(compareKeys);
    const runs = [null, ...borders].map((from, at) => ({ from, upTo: borders[at] ?? null }));
    const listed = await Promise.all(runs.map(list));
    assert.deepEqual(listed.flat().map(({ key }) => key), keys);
    const digests = await listing.digests!(runs, SIGNAL);
    assert.deepEqual(digests, listed.map((items) => listing.digestOf(items)), `step ${step}`);
  }
  const all = [{ from: null, upTo: null }];
  const digest = async () => (await listing.digests!(all, SIGNAL))[0];
  for (
    const change of [
      "UPDATE storage.objects SET user_metadata = '{\"by\": \"me\"}' WHERE name = '🎉'",
      "UPDATE storage.objects SET owner_id = 'me' WHERE name = 'a/b'",
      "UPDATE storage.buckets SET public = NOT public WHERE id = 'empty'",
      "DELETE FROM storage.objects WHERE bucket_id = 'z'",
      "DELETE FROM storage.buckets WHERE id = 'z'",
    ]
  ) {
    const before = await digest();
    assert.equal(await digest(), before);
    // As the owner of the tables may; Storage's own trigger keeps others from deleting rows.
    await server.session.execute(`SET session_replication_role = replica; ${change};
      RESET session_replication_role`);
    assert.notEqual(await digest(), before, change);
  }
});

Deno.test("a backup of rows that did not change lists no object and reads none", async () => {
  await using server = await StorageServer.start("files_unchanged");
  await server.addBucket("b");
  for (let at = 0; at < 40; at++) await server.put("b", `${at}`, `content ${at}`);
  const repository = await createRepository({ storage: memoryStorage(), key: null });
  const listed: string[] = [];
  const reads: string[] = [];
  const source = () => {
    const own = bySql(server);
    const [read, ranged] = [own.read.bind(own), own.ranged!.bind(own)];
    own.read = (item, signal) => {
      reads.push(item.key);
      return read(item, signal);
    };
    own.ranged = async (signal) => {
      const listing = (await ranged(signal))!;
      const list = listing.list.bind(listing);
      listing.list = async (range, signal) => {
        const found = await list(range, signal);
        listed.push(...found.items.map(({ key }) => key));
        return found;
      };
      return listing;
    };
    return own;
  };
  const limits = { pageItems: 8 };
  const first = await backUpItems(source(), repository, { limits });
  [listed.length, reads.length] = [0, 0];
  const second = await backUpItems(source(), repository, { limits });
  assert.deepEqual([listed, reads], [[], []]);
  assert.deepEqual(second.items, first.items);
  await server.put("b", "21", "other");
  const third = await backUpItems(source(), repository, { limits });
  assert.deepEqual(reads, ["b/21"]);
  assert.ok(listed.length <= 8, `${listed.length} listed`);
  assert.equal(third.manifest.totals.unchanged, 40);
});

Deno.test("only what was uploaded anew has another revision", async () => {
  await using server = await StorageServer.start("files_revisions");
  await server.addBucket("b");
  for (const name of ["same", "new"]) await server.put("b", name, name);
  for (const source of [bySql, byApi]) {
    const before = new Map(
      (await listAll(source(server))).map((item) => [item.key, item.revision]),
    );
    await server.put("b", "new", `other ${crypto.randomUUID()}`);
    const after = new Map((await listAll(source(server))).map((item) => [item.key, item.revision]));
    const changed = [...after].filter(([key, revision]) => before.get(key) !== revision);
    assert.deepEqual(changed.map(([key]) => key), ["b/new"]);
    const { items } = await saveFiles(source(server));
    const read = new Map(items.map(({ key, revision }) => [key, revision]));
    assert.deepEqual(read, after, "reading gives the revision of the listing");
  }
});
