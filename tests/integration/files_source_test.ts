import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import {
  compareKeys,
  type KeyRange,
  type RangedItem,
} from "../../supabase/functions/backup/core/items.ts";
import { filesSource } from "../../supabase/functions/backup/project/files_source.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import { backUpItems } from "../support/memory_items.ts";
import { bytesOf, listAll, saveFiles, SIGNAL } from "../support/saved_files.ts";
import { type StorageFault, StorageServer, type StoredBytes } from "../support/storage_server.ts";

/** A source that lists by SQL. */
function bySql(server: StorageServer, pageItems = 1000) {
  const { session: database } = server;
  return filesSource({ api: server.api(), projectRef: "ref", database, pageItems });
}

/** A source that lists by the API. */
function byApi(server: StorageServer) {
  return filesSource({ api: server.api(), projectRef: "ref", database: null });
}

/** Text of the first content that reading an item gives. */
async function textOf(server: StorageServer, name: string): Promise<string | null> {
  const source = bySql(server);
  const item = (await listAll(source)).find(({ key }) => key === name);
  const read = item === undefined ? null : await source.read(item, SIGNAL);
  return read === null ? null : new TextDecoder().decode(await bytesOf(read.contents[0]!.body));
}

function md5(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("hex");
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

Deno.test("an object that is replaced after it was listed is saved as it is now", async () => {
  await using server = await StorageServer.start("files_replaced");
  await server.addBucket("b");
  await server.put("b", "o", "old", { userMetadata: { v: 1 } });
  for (const source of [bySql(server), byApi(server)]) {
    const [, listed] = await listAll(source);
    await server.put("b", "o", `new ${crypto.randomUUID()}`, { userMetadata: { v: 2 } });
    const read = await source.read(listed!, SIGNAL);
    assert.deepEqual(read!.facts!.userMetadata, { v: 2 });
    const [, now] = await listAll(source);
    assert.equal(read!.revision, now!.revision);
    assert.notEqual(read!.revision, listed!.revision);
  }
});

Deno.test("an object that changes between its bytes and its row is read again", async () => {
  await using server = await StorageServer.start("files_race");
  await server.addBucket("b");
  await server.put("b", "o", "one");
  const source = byApi(server);
  const [, listed] = await listAll(source);
  // Its row is asked for after its bytes were: until the last try it is always another.
  let times = 0;
  server.faults.push({
    request: /^GET \/object\/info/,
    times: 2,
    before: () => server.put("b", "o", `version ${++times}`),
  });
  const read = await source.read(listed!, SIGNAL);
  assert.equal(new TextDecoder().decode(await bytesOf(read!.contents[0]!.body)), "version 2");
  server.faults.push({
    request: /^GET \/object\/info/,
    times: 9,
    before: () => server.put("b", "o", `version ${++times}`),
  });
  await assert.rejects(source.read(listed!, SIGNAL), code("files_changed", /b\/o: it changed/));
});

Deno.test("an object that vanishes is gone, and a row without bytes is drift that is told", async () => {
  await using server = await StorageServer.start("files_vanished");
  await server.addBucket("b");
  for (const name of ["gone", "hollow"]) await server.put("b", name, name);
  const source = bySql(server);
  const [, gone, hollow] = await listAll(source);
  await server.remove("b", "gone");
  assert.equal(await source.read(gone!, SIGNAL), null);
  assert.equal(await source.readRange!(gone!, { from: 0, to: 2, signal: SIGNAL }), null);
  server.store.clear();
  await assert.rejects(source.read(hollow!, SIGNAL), code("files_damaged", /no bytes/));
});

Deno.test("objects in the store that no row knows are counted and named", async () => {
  await using server = await StorageServer.start("files_orphans");
  await server.addBucket("b");
  await server.put("b", "deep/er/object", "old");
  await server.put("b", "deep/er/object", "new");
  server.store.set("b/left/behind/v1", { zeros: 5 });
  server.store.set("b/deep/er/object/v2.info", { zeros: 5 });
  const store = {
    async *list() {
      for (const name of server.store.keys()) yield { name, sizeBytes: 0, modifiedAt: null };
    },
  };
  const source = filesSource({
    ...{ api: server.api(), projectRef: "ref", database: server.session, store },
  });
  const { facts, missing } = await source.describe(SIGNAL);
  const orphans = facts.objectsWithoutRow as { count: number; names: string[] };
  assert.equal(orphans.count, 2, "the version that was replaced and the one left behind");
  assert.ok(orphans.names.includes("b/left/behind/v1"));
  assert.deepEqual(missing, []);
});

Deno.test("bytes that do not fit the store's checksum are read again, and told when they never do", async () => {
  await using server = await StorageServer.start("files_damaged");
  await server.addBucket("b");
  await server.put("b", "once", "right");
  const [[key, right]] = [...server.store] as [[string, StoredBytes]];
  const wrong = { bytes: new TextEncoder().encode("wrong") };
  server.store.set(key, wrong);
  const download = /^GET \/object\/authenticated/;
  server.faults.push({ request: download });
  server.faults.push({
    request: download,
    before: () => Promise.resolve(void server.store.set(key, right)),
  });
  assert.equal(await textOf(server, "b/once"), "right");
  server.store.set(key, wrong);
  await assert.rejects(textOf(server, "b/once"), code("files_damaged", /MD5/));
});

Deno.test("a download that breaks off goes on where it was", async () => {
  await using server = await StorageServer.start("files_cut");
  await server.addBucket("b");
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const large = new Uint8Array(3 << 20).map((_, at) => bytes[at % bytes.length]!);
  await server.put("b", "large", { bytes: large });
  await server.put("b", "small", { bytes });
  for (const [name, content] of [["large", large], ["small", bytes]] as const) {
    const source = bySql(server);
    const item = (await listAll(source)).find(({ key }) => key === `b/${name}`)!;
    server.faults.push({ request: /authenticated/, times: 1, cutAfter: 40_000 });
    const read = await source.read(item, SIGNAL);
    assert.equal(md5(await bytesOf(read!.contents[0]!.body)), md5(content));
    const asked = server.requests.filter((line) => line.includes(`/authenticated/b/${name}`));
    assert.equal(asked.length, 2);
  }
});

Deno.test("a large object that is replaced while its download is broken is told of", async () => {
  await using server = await StorageServer.start("files_cut_changed");
  await server.addBucket("b");
  await server.put("b", "o", { zeros: 4 << 20 });
  const source = bySql(server);
  const [, item] = await listAll(source);
  server.faults.push({ request: /authenticated/, cutAfter: 1 << 20 });
  server.faults.push({
    request: /authenticated/,
    before: () => server.put("b", "o", { zeros: 9 << 20 }),
  });
  const read = await source.read(item!, SIGNAL);
  await assert.rejects(bytesOf(read!.contents[0]!.body), code("files_changed"));
});

Deno.test("a large object is read in ranges of one version", async () => {
  await using server = await StorageServer.start("files_ranges");
  await server.addBucket("b");
  const large = new Uint8Array(2_500_000).map((_, at) => at % 251);
  await server.put("b", "o", { bytes: large });
  const source = bySql(server);
  const [, item] = await listAll(source);
  const first = await source.readRange!(item!, { from: 0, to: 1_000_000, signal: SIGNAL });
  const second = await source.readRange!(item!, { from: 1_000_000, to: 2_500_000, signal: SIGNAL });
  assert.equal(md5(await bytesOf(first!.body)), md5(large.subarray(0, 1_000_000)));
  assert.equal(md5(await bytesOf(second!.body)), md5(large.subarray(1_000_000)));
  assert.equal(first!.revision, second!.revision);
  await server.put("b", "o", "shorter now");
  const late = source.readRange!(item!, { from: 0, to: 5, signal: SIGNAL });
  await assert.rejects(late, code("files_changed"));
});

Deno.test("refusals and disturbances of Storage say what they are and what to do", async () => {
  await using server = await StorageServer.start("files_refusals");
  await server.addBucket("b");
  await server.put("b", "o", "content");
  const cases: [StorageFault["answer"], string | null, number][] = [
    [{ status: 429, headers: { "retry-after": "1" } }, null, 2],
    [{ status: 503, body: "upstream" }, null, 2],
    [{ status: 500 }, "files_unreachable", 9],
    [{ status: 544, body: `{"statusCode":"544","message":"timeout"}` }, "files_unreachable", 9],
    [{ status: 401, body: `{"message":"Invalid API key"}` }, "files_unauthorized", 9],
    [{ status: 403 }, "files_unauthorized", 9],
    [{ status: 302, headers: { location: "http://127.0.0.1:9/" } }, "files_refused", 9],
  ];
  for (const [answer, expected, times] of cases) {
    server.faults.splice(0, server.faults.length, {
      request: /authenticated/,
      times,
      answer: answer!,
    });
    if (expected === null) assert.equal(await textOf(server, "b/o"), "content");
    else await assert.rejects(textOf(server, "b/o"), code(expected));
  }
  server.faults.splice(0);
  server.faults.push({
    request: /GET \/bucket/,
    times: 9,
    answer: { status: 200, body: "<html>" },
  });
  await assert.rejects(bySql(server).describe(SIGNAL), code("files_unreachable"));
  server.faults.splice(0);
  server.faults.push({ request: /GET \/bucket/, times: 9, answer: { status: 200, body: "{}" } });
  await assert.rejects(bySql(server).describe(SIGNAL), code("files_refused"));
});

Deno.test("a key that sees nothing is an error, not an empty project", async () => {
  await using server = await StorageServer.start("files_blind");
  await server.addBucket("b");
  await server.put("b", "o", "content");
  const api = server.api({ key: "expired" });
  const blind = filesSource({ api, projectRef: "ref", database: server.session });
  await assert.rejects(blind.describe(SIGNAL), code("files_unauthorized"));
  const [, item] = await listAll(blind);
  await assert.rejects(blind.read(item!, SIGNAL), code("files_unauthorized"));
  server.faults.push({ request: /GET \/bucket/, answer: { status: 200, body: "[]" } });
  const source = bySql(server);
  await assert.rejects(source.describe(SIGNAL), code("files_unauthorized", /does not see/));
  const claims = btoa(JSON.stringify({ role: "anon" })).replace(/=+$/, "");
  const nobody = server.api({ key: `${btoa("{}")}.${claims}.signature` });
  server.faults.push({ request: /GET \/bucket/, answer: { status: 200, body: "[]" } });
  const told = filesSource({ api: nobody, projectRef: "ref", database: null }).describe(SIGNAL);
  await assert.rejects(told, code("files_unauthorized", /the role anon/));
});

Deno.test("what is left out is said: buckets of other kinds, and owners where only the API is asked", async () => {
  await using server = await StorageServer.start("files_left_out");
  await server.addBucket("b");
  await server.session.execute(`insert into storage.buckets_analytics (name) values ('warehouse')`);
  const { skipped, facts } = await bySql(server).describe(SIGNAL);
  assert.deepEqual(skipped.map(({ what }) => what), ["1 analytics bucket"]);
  assert.deepEqual(facts, { listedBy: "database", buckets: 1 });
  const told = await byApi(server).describe(SIGNAL);
  assert.deepEqual(told.skipped.map(({ what }) => what), ["owners of objects"]);
});
