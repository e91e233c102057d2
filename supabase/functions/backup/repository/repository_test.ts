/**
 * The repository as those see it who write and read backups. Longer than usual: all tests share the same few
 * helpers and one way to make a repository.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { bytes, isCode, names } from "../../../../tests/support/storage_suite.ts";
import {
  noise,
  readSampleBackup,
  SAMPLE_KEY,
  writeSampleBackup,
} from "../../../../tests/support/repository_samples.ts";
import type { Piece } from "../core/model.ts";
import { Secret } from "../core/secret.ts";
import { localStorage } from "../storage/local.ts";
import { type MemoryStorage, memoryStorage } from "../storage/memory.ts";
import { createRepository, openRepository, type Repository, type ZstdCodec } from "./mod.ts";
import { wasmZstd } from "./zstd.ts";

const ID = "backup_20260101T000000000Z_0000000001";
const LATER = "backup_20260102T000000000Z_0000000002";

async function fresh(key: Secret | null = SAMPLE_KEY) {
  const storage = memoryStorage();
  const repository = await createRepository({ storage, key });
  return { storage, repository };
}

async function linesOf<T>(lines: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const line of lines) all.push(line);
  return all;
}

for (const key of [SAMPLE_KEY, null]) {
  const how = key ? "encrypted" : "unencrypted";
  for (const algorithm of ["zstd", "gzip", "none"] as const) {
    Deno.test(`Repository gives back what it was given, ${how}, ${algorithm}`, async () => {
      const storage = memoryStorage();
      const compression = { algorithm, level: 3 };
      const writer = await createRepository({ storage, key, compression });
      const parts = [bytes(100_000), noise(70_000, 1), new Uint8Array(0), bytes(3)];
      await writeSampleBackup(writer, { backupId: ID, parts, targetBytes: 4096 });
      // Reading needs no setting: every object says how it is compressed.
      const reader = await openRepository({ storage, key });
      assert.deepEqual(await readSampleBackup(reader, "latest"), parts);
      const report = await reader.verify({ level: "full" });
      assert.deepEqual(report.problems, []);
      assert.ok(report.objectsChecked >= 30);
    });
  }
}

Deno.test("Repository stores content once, known or found", async () => {
  const { storage, repository } = await fresh();
  const first = await repository.writeChunk(bytes(5000));
  assert.equal(first.created, true);
  assert.ok(first.storedBytes > 0 && first.storedBytes < 5000, "compressed");
  const again = await (await openRepository({ storage, key: SAMPLE_KEY })).writeChunk(bytes(5000));
  assert.deepEqual(again, { ...first, created: false, storedBytes: 0 });
  const both = await Promise.all([1, 2].map(() => repository.writeChunk(noise(9000, 2))));
  assert.equal(both.filter((chunk) => chunk.created).length, 1);
});

Deno.test("Repository adds almost nothing for an unchanged database", async () => {
  const { storage, repository } = await fresh();
  const parts = Array.from({ length: 20 }, (_, i) => noise(20_000 + i, i));
  await writeSampleBackup(repository, { backupId: ID, parts, targetBytes: 64_000 });
  const second = await openRepository({ storage, key: SAMPLE_KEY });
  assert.equal(await second.rememberBackup("latest"), ID);
  const before = new Set(storage.objects.keys());
  await writeSampleBackup(second, { backupId: LATER, parts, targetBytes: 64_000 });
  const added = [...storage.objects.keys()].filter((name) => !before.has(name));
  assert.deepEqual(added.map((name) => name.split("/")[0]).toSorted(), ["backups", "manifests"]);
});

Deno.test("Repository shows nothing of content, keys or names in storage", async () => {
  const { storage, repository } = await fresh();
  const secret = new TextEncoder().encode("a very telling row ".repeat(50));
  await writeSampleBackup(repository, { backupId: ID, parts: [secret] });
  for (const [name, { body }] of storage.objects) {
    const text = new TextDecoder("latin1").decode(body);
    assert.ok(!text.includes("telling"), name);
    assert.ok(!text.toLowerCase().includes(SAMPLE_KEY.reveal()), name);
  }
  const other = await fresh();
  const chunk = await other.repository.writeChunk(secret);
  assert.equal(await storage.head(`chunks/${chunk.name.slice(0, 2)}/${chunk.name}`), null);
});

Deno.test("readPieces() gives each reader its own bytes where memory is used again", async () => {
  // A codec that uses what it is given, as those of a host do.
  const zstd: ZstdCodec = {
    compress: async (bytes, level, room) => into(await wasmZstd.compress(bytes, level), room),
    decompress: async (bytes, length, room) => into(await wasmZstd.decompress(bytes, length), room),
  };
  const folder = await Deno.makeTempDir();
  const storage = localStorage(folder);
  const repository = await createRepository({ storage, key: null, zstd }); // opened where it was read
  const full = 8 << 20;
  // One is there twice, and the last two do not shrink.
  const contents = [1, 2, 3, 1].map((seed) => new Uint8Array(full).fill(seed));
  contents.push(noise(full, 5), noise(full, 6));
  const pieces = await Promise.all(contents.map(async (content) => {
    const { name } = await repository.writeChunk(content);
    return { chunk: name, offset: 0, length: full };
  }));
  const two = pieces[1]!;
  const halves = [{ ...two, length: 100 }, { ...two, offset: 100, length: full - 100 }];
  const contentOf = (slice: Uint8Array) =>
    contents.findIndex((content) => Buffer.compare(slice, content.subarray(-slice.length)) === 0);
  const read = async (all: readonly Piece[]) => {
    const seen: string[] = [];
    for await (const slice of repository.readPieces(all, { passing: true })) {
      await new Promise((resolve) => setTimeout(resolve, 0)); // another reader goes on
      seen.push(`${slice.length} of ${contentOf(slice)}`);
    }
    return seen;
  };
  try {
    const [forth, back, cut] = await Promise.all([pieces, pieces.toReversed(), halves].map(read));
    const expected = [0, 1, 2, 0, 4, 5].map((of) => `${full} of ${of}`);
    assert.deepEqual(forth, expected);
    assert.deepEqual(back, expected.toReversed());
    assert.deepEqual(cut, ["100 of 1", `${full - 100} of 1`]);
    // As long as nobody asks for the next one, a slice stays what it is.
    const held = pieces.map((piece) =>
      repository.readPieces([piece, two], { passing: true })[Symbol.asyncIterator]()
    );
    const slices: Uint8Array[] = [];
    for (const reader of held) slices.push((await reader.next()).value);
    assert.deepEqual(await read(pieces), expected);
    assert.deepEqual(slices.map(contentOf), [0, 1, 2, 0, 4, 5]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readPieces() stops at once for a reader that is stopped, and for no other of the same chunk", async () => {
  const { storage } = await fresh();
  const answer = Promise.withResolvers<void>();
  const slow: MemoryStorage = {
    ...storage,
    async get(name, options = {}) {
      if (name.startsWith("chunks/")) {
        const { signal } = options;
        signal?.addEventListener("abort", () => answer.reject(signal.reason), { once: true });
        await answer.promise;
      }
      return await storage.get(name, options);
    },
  };
  const repository = await openRepository({ storage: slow, key: SAMPLE_KEY });
  const { name: chunk } = await repository.writeChunk(bytes(3000));
  const [stopped, other] = [new AbortController(), new AbortController()];
  const read = (offset: number, length: number, { signal }: AbortController) =>
    linesOf(repository.readPieces([{ chunk, offset, length }], { signal }));
  const first = read(0, 1000, stopped);
  const second = read(1000, 2000, other);
  stopped.abort(new Error("enough"));
  await assert.rejects(first, /enough/);
  answer.resolve();
  assert.deepEqual(await second, [bytes(3000).subarray(1000)]);
});

Deno.test("writeChunk() stores a chunk whose other writer is stopped meanwhile", async () => {
  const { storage } = await fresh();
  const stopped = new AbortController();
  const begun = Promise.withResolvers<void>();
  let puts = 0;
  const slow: MemoryStorage = {
    ...storage,
    async put(path, body, signal) {
      if (path.startsWith("chunks/") && ++puts === 1) {
        begun.resolve();
        await new Promise((_, reject) => signal?.addEventListener("abort", reject));
      }
      return await storage.put(path, body, signal);
    },
  };
  const repository = await openRepository({ storage: slow, key: SAMPLE_KEY });
  const first = repository.writeChunk(bytes(3000), { signal: stopped.signal });
  await begun.promise; // names are hashed beside each other: else the second could be the first
  const second = repository.writeChunk(bytes(3000));
  setTimeout(() => stopped.abort(), 10);
  await assert.rejects(first);
  const { name: chunk, created } = await second;
  assert.deepEqual([created, puts], [true, 2]);
  const found = await linesOf(repository.readPieces([{ chunk, offset: 0, length: 3000 }]));
  assert.deepEqual(found, [bytes(3000)]);
});

function into(bytes: Uint8Array, room?: Uint8Array): Uint8Array {
  if (room === undefined || room.length < bytes.length) return bytes;
  room.set(bytes);
  return room.subarray(0, bytes.length);
}

Deno.test("openRepository() tells no repository, no key, a wrong key and a weak key apart", async () => {
  const { storage } = await fresh();
  const open = (key: Secret | null, at = storage) => openRepository({ storage: at, key });
  await assert.rejects(open(SAMPLE_KEY, memoryStorage()), isCode("repository_missing"));
  await assert.rejects(open(null), isCode("key_missing"));
  await assert.rejects(
    open(new Secret("f0".repeat(16) + SAMPLE_KEY.reveal().slice(32))),
    isCode("key_wrong"),
  );
  await assert.rejects(open(new Secret("a passphrase that is another")), isCode("key_wrong"));
  await assert.rejects(open(new Secret("your-encryption-key")), isCode("key_weak"));
  await assert.rejects(createRepository({ storage, key: SAMPLE_KEY }), isCode("repository_exists"));
  const plain = await fresh(null);
  await assert.rejects(open(SAMPLE_KEY, plain.storage), isCode("invalid_config"));
});

Deno.test("openRepository() finds damaged and missing key files", async () => {
  const { storage } = await fresh();
  const [path = ""] = await names(storage, "keys/");
  const file = storage.objects.get(path);
  assert.ok(file);
  const open = () => openRepository({ storage, key: SAMPLE_KEY });
  const text = new TextDecoder().decode(file.body);
  const replace = (body: string) =>
    storage.objects.set(path, { ...file, body: new TextEncoder().encode(body) });
  replace(text.replace('"first"', '"other"'));
  await assert.rejects(open(), isCode("key_wrong"));
  replace(text.slice(0, 100));
  await assert.rejects(open(), isCode("object_altered"));
  replace(text.replace('"format": 1', '"format": 2'));
  await assert.rejects(open(), isCode("repository_format"));
  await storage.delete(path);
  await assert.rejects(open(), isCode("object_missing"));
});

Deno.test("Repository is opened by every key that was added and by none that was removed", async () => {
  const { storage, repository } = await fresh();
  const chunk = await repository.writeChunk(bytes(100));
  const phrase = new Secret("correct horse battery staple");
  const added = await repository.addKey(phrase, { label: "laptop" });
  assert.deepEqual(added.kind, "passphrase");
  const second = await openRepository({ storage, key: phrase });
  assert.deepEqual(await second.readChunk(chunk.name), bytes(100));
  const first = (await second.listKeys()).find((key) => key.id !== added.id);
  assert.ok(first);
  await second.removeKey(first.id);
  await assert.rejects(openRepository({ storage, key: SAMPLE_KEY }), isCode("key_wrong"));
  await assert.rejects(second.removeKey(added.id), isCode("conflict"));
  await assert.rejects(second.removeKey("0000"), isCode("not_found"));
});

Deno.test("Repository belongs to the first database that writes", async () => {
  const { storage, repository } = await fresh();
  const mine = { projectRef: "abc", systemIdentifier: "1", database: "postgres" };
  assert.equal(await repository.owner(), null);
  await repository.claimOwner(mine);
  await repository.claimOwner({ ...mine, systemIdentifier: "2" }); // after a platform upgrade
  const clone = await openRepository({ storage, key: SAMPLE_KEY });
  await clone.claimOwner({ ...mine, projectRef: null }); // by a program that knows the address only
  for (
    const change of [
      { projectRef: "xyz" },
      { projectRef: null, systemIdentifier: "2" },
      { projectRef: null, systemIdentifier: null },
      { database: "other" },
    ]
  ) {
    const other = { ...mine, ...change };
    await assert.rejects(clone.claimOwner(other), isCode("repository_foreign"));
  }
  await clone.claimOwner({ ...mine, projectRef: "xyz" }, { takeOver: true });
  assert.equal((await repository.owner())?.projectRef, "xyz");
  await assert.rejects(repository.claimOwner(mine), isCode("repository_foreign"));
});

Deno.test("Repository gives ownership to one of two first writers", async () => {
  const { repository } = await fresh();
  const claims = ["1", "2"].map((systemIdentifier) =>
    repository.claimOwner({ projectRef: null, systemIdentifier, database: "db" })
  );
  const results = await Promise.allSettled(claims);
  assert.deepEqual(results.map((r) => r.status).toSorted(), ["fulfilled", "rejected"]);
});

Deno.test("Repository lists backups newest first and sets damaged ones apart", async () => {
  const { storage, repository } = await fresh();
  const safety = "safety_20260103T000000000Z_0000000003";
  for (const backupId of [LATER, ID, safety]) {
    await writeSampleBackup(repository, { backupId, parts: [bytes(10)] });
  }
  const list = await repository.listBackups();
  assert.deepEqual(list.backups.map((record) => record.backupId), [safety, LATER, ID]);
  assert.equal((await repository.readBackup("latest")).record.backupId, LATER);
  assert.equal((await repository.listBackups({ limit: 1 })).backups.length, 1);
  await storage.delete(`manifests/${list.backups[1]?.manifest}`);
  const after = await repository.listBackups();
  assert.deepEqual(after.backups.map((record) => record.backupId), [safety, ID]);
  assert.deepEqual(after.damaged.map(({ backupId, code }) => [backupId, code]), [
    [LATER, "object_missing"],
  ]);
  await assert.rejects(repository.readBackup("latest"), isCode("object_missing"));
  await assert.rejects(repository.readBackup("backup_x"), isCode("backup_not_found"));
  await assert.rejects(repository.readBackup("../keys"), isCode("backup_not_found"));
});

Deno.test("Repository commits a backup again without harm and refuses another of its id", async () => {
  const { repository } = await fresh();
  const parts = [bytes(10)];
  const record = await writeSampleBackup(repository, { backupId: ID, parts });
  const { manifest } = await repository.readBackup(ID);
  const facts = { reason: null, origin: "manual" as const, writtenBy: "test" };
  const again = { ...facts, completedAt: record.completedAt };
  assert.deepEqual(await repository.commitBackup(manifest, again), record);
  const other = { ...facts, completedAt: "2027-01-01T00:00:00.000Z" };
  await assert.rejects(repository.commitBackup(manifest, other), isCode("conflict"));
});

Deno.test("Repository does not commit a backup whose remembered chunks are gone", async () => {
  const { storage, repository } = await fresh();
  await writeSampleBackup(repository, { backupId: ID, parts: [noise(5000, 1)] });
  const second = await openRepository({ storage, key: SAMPLE_KEY });
  await second.rememberBackup("latest");
  const largest = [...storage.objects].filter(([name]) => name.startsWith("chunks/"))
    .toSorted((a, b) => b[1].body.length - a[1].body.length)[0]?.[0] ?? "";
  await storage.delete(largest);
  const write = writeSampleBackup(second, { backupId: LATER, parts: [noise(5000, 1)] });
  await assert.rejects(write, isCode("object_missing"));
  assert.equal((await repository.listBackups()).backups.length, 1);
});

Deno.test("Repository reads lines back and cuts them where a change stays local", async () => {
  const { repository } = await fresh();
  const values = Array.from({ length: 6000 }, (_, i) => ({ i, text: `line ${i} `.repeat(20) }));
  const ref = await repository.writeLines(values);
  assert.equal(ref.lines, 6000);
  assert.ok(ref.chunks.length >= 4, `${ref.chunks.length} chunks`);
  assert.deepEqual(await linesOf(repository.readLines(ref)), values);
  const changed = await repository.writeLines([{ i: -1 }, ...values]);
  const old = new Set(ref.chunks.map((chunk) => chunk.name));
  const fresher = changed.chunks.filter((chunk) => !old.has(chunk.name));
  assert.ok(fresher.length <= 2, `${fresher.length} of ${changed.chunks.length} chunks are new`);
  const short = { ...ref, chunks: ref.chunks.slice(1) };
  await assert.rejects(linesOf(repository.readLines(short)), isCode("object_altered"));
});

/** Every way to damage the object at `path`; the code that reading must give. */
function damages(storage: MemoryStorage, path: string, other: string) {
  const object = storage.objects.get(path);
  const swapped = storage.objects.get(other);
  assert.ok(object && swapped);
  const set = (body: Uint8Array) => storage.objects.set(path, { ...object, body });
  const flip = (at: number) => {
    const body = object.body.slice();
    body[at] = (body[at] ?? 0) ^ 1;
    set(body);
  };
  const last = object.body.length - 1;
  const ways: [string, () => void, string][] = [
    ["missing", () => storage.objects.delete(path), "object_missing"],
    ["empty", () => set(new Uint8Array(0)), "object_truncated"],
    ["cut in the header", () => set(object.body.slice(0, 40)), "object_truncated"],
    ["cut by a byte", () => set(object.body.slice(0, -1)), "object_truncated"],
    ["longer", () => set(new Uint8Array([...object.body, 0])), "object_altered"],
    ["swapped", () => set(swapped.body), "object_swapped"],
    ["another magic", () => flip(0), "object_altered"],
    ["another format", () => flip(4), "repository_format"],
    ["another tag", () => flip(last), "object_altered"],
    ["another payload", () => flip(68), "object_altered"],
  ];
  // Every other byte of the header: kind, compression, cipher, key id, nonce, lengths, path digest.
  for (const at of [5, 6, 7, 8, 15, 16, 27, 28, 31, 36, 67]) {
    ways.push([`header byte ${at}`, () => flip(at), "object_altered"]);
  }
  return ways.map(([what, damage, code]) => ({
    what,
    damage,
    code,
    repair: () => storage.objects.set(path, object),
  }));
}

for (const key of [SAMPLE_KEY, null]) {
  const how = key ? "encrypted" : "unencrypted";
  Deno.test(`Repository names each damage of a chunk and never gives bad data, ${how}`, async () => {
    const { storage, repository } = await fresh(key);
    const chunk = await repository.writeChunk(noise(300, 1));
    const other = await repository.writeChunk(noise(300, 2));
    const path = (name: string) => `chunks/${name.slice(0, 2)}/${name}`;
    for (
      const { what, damage, code, repair } of damages(storage, path(chunk.name), path(other.name))
    ) {
      damage();
      await assert.rejects(repository.readChunk(chunk.name), isCode(code), what);
      repair();
      assert.deepEqual(await repository.readChunk(chunk.name), noise(300, 1));
    }
  });

  Deno.test(`verify() finds each damage and the backups that it touches, ${how}`, async () => {
    const { storage, repository } = await fresh(key);
    const parts = [noise(3000, 1), noise(3000, 2)];
    for (const backupId of [ID, LATER]) {
      await writeSampleBackup(repository, { backupId, parts, targetBytes: 3000 });
    }
    const [path = "", other = ""] = [...storage.objects.keys()]
      .filter((name) =>
        name.startsWith("chunks/") && (storage.objects.get(name)?.body.length ?? 0) > 3000
      );
    for (const { what, damage, code, repair } of damages(storage, path, other)) {
      damage();
      const { problems } = await repository.verify({ level: "full" });
      assert.deepEqual(problems.map((p) => [p.object, p.code]), [[path, code]], what);
      assert.deepEqual(problems[0]?.backups.toSorted(), [ID, LATER]);
      repair();
    }
    await storage.delete(path);
    const quick = await repository.verify({ level: "quick" });
    assert.deepEqual(quick.problems.map((p) => p.code), ["object_missing"]);
  });
}

Deno.test("pieceWriter() gives the same chunks for the same parts however they are appended", async () => {
  const { repository } = await fresh();
  const part = noise(50_000, 3);
  const run = async (step: number): Promise<string[]> => {
    const writer = repository.pieceWriter({ targetBytes: 8192 });
    for (let at = 0; at < part.length; at += step) {
      await writer.append(part.subarray(at, at + step));
    }
    const pieces = writer.endPart();
    await writer.finish();
    return (await pieces).map((piece) => piece.chunk);
  };
  const whole = await run(part.length);
  assert.equal(whole.length, 7);
  assert.deepEqual(await run(777), whole);
  assert.deepEqual(await run(8192), whole);
});

Deno.test("pieceWriter() shows a failure to every later call and to the parts it hit", async () => {
  const storage = memoryStorage();
  const repository: Repository = await createRepository({ storage, key: SAMPLE_KEY });
  const put = storage.put.bind(storage);
  const broken = new Error("broken");
  storage.put = (name, ...rest) =>
    name.startsWith("chunks/") ? Promise.reject(broken) : put(name, ...rest);
  const writer = repository.pieceWriter({ targetBytes: 10 });
  const isBroken = (error: unknown) => error === broken;
  await writer.append(bytes(10));
  const pieces = writer.endPart();
  await assert.rejects(writer.finish(), isBroken);
  await assert.rejects(pieces, isBroken);
  await assert.rejects(writer.append(bytes(1)), isBroken);
});

Deno.test("Repository refuses a commit during which half an hour passed, and not one whose clock was set back", async () => {
  const inner = memoryStorage();
  let nowMs = Date.parse("2026-01-01T00:00:00Z");
  let passesMs = 0;
  const storage = {
    ...inner,
    put(...[name, ...rest]: Parameters<typeof inner.put>) {
      if (name.startsWith("manifests/")) nowMs += passesMs;
      return inner.put(name, ...rest);
    },
  };
  const clock = { now: () => new Date(nowMs), sleep: () => Promise.resolve() };
  const repository = await createRepository({ storage, key: null, clock });
  const write = (backupId: string) =>
    writeSampleBackup(repository, { backupId, parts: [bytes(100)] });
  passesMs = 31 * 60_000;
  await assert.rejects(write(ID), isCode("storage_busy"));
  assert.equal(inner.objects.has(`backups/${ID}`), false);
  passesMs = -3_600_000;
  assert.equal((await write(LATER)).backupId, LATER);
});
