/**
 * Files of Storage that change, vanish or break while they are read, and a Storage that refuses.
 *
 * @module
 */
import assert from "node:assert/strict";
import { filesSource } from "../../supabase/functions/backup/project/files_source.ts";
import { byApi, bySql, code, md5, textOf } from "../support/file_sources.ts";
import { bytesOf, listAll, SIGNAL } from "../support/saved_files.ts";
import { type StorageFault, StorageServer, type StoredBytes } from "../support/storage_server.ts";

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
